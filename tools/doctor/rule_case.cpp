// SPDX-License-Identifier: MIT

#include "tools/doctor/rule_case.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "tools/doctor/words.hpp"

namespace v4lfence {

namespace {

constexpr const char* vgem_remark =
    " The kernel ends a fence of vgem by itself 10 s after it was made.";

Party party(const Snapshot& snapshot, pid_t pid, std::string device) {
    Party found = party_of_process(snapshot, pid);
    found.device = std::move(device);
    return found;
}

Party waiter_of(const RuleCase& what) {
    const WaitNode& subject = what.chain.subject;
    switch (subject.kind) {
    case WaitNodeKind::Display:
        return party_of_display(what.snapshot, subject.place);
    case WaitNodeKind::Buffer:
        return party_of_queue(what.snapshot, subject.place, subject.index);
    case WaitNodeKind::Process: {
        Party waiter = party_of_process(what.snapshot, program_of(what));
        waiter.fd = what.fd >= 0 ? std::optional(what.fd) : std::nullopt;
        return waiter;
    }
    default:
        return party_of_queue(what.snapshot, subject.place);
    }
}

}  // namespace

Party party_of_process(const Snapshot& snapshot, pid_t pid) {
    const SeenProcess* process = snapshot.process(pid);
    Party found;
    found.pid = pid;
    found.process = process == nullptr ? "" : process->name;
    return found;
}

Party party_of_queue(const Snapshot& snapshot, std::size_t queue, std::optional<unsigned> index) {
    const SeenQueue& seen = snapshot.queues[queue];
    Party found = party(snapshot, seen.program, seen.device);
    found.index = index;
    return found;
}

Party party_of_display(const Snapshot& snapshot, std::size_t display) {
    const SeenDisplay& seen = snapshot.displays[display];
    return party(snapshot, seen.pid, seen.name);
}

Party party_of_end(const Snapshot& snapshot, const SeenFence& fence, pid_t pid) {
    Party blamed = party_of_process(snapshot, pid);
    const auto end = std::find_if(fence.ends.begin(), fence.ends.end(), [pid](const FenceEnd& one) {
        return one.pid == pid && one.fd >= 0;
    });
    if (end != fence.ends.end()) {
        blamed.fd = end->fd;
    }
    return blamed;
}

pid_t program_of(const RuleCase& what) {
    const WaitNode& subject = what.chain.subject;
    switch (subject.kind) {
    case WaitNodeKind::Process:
        return what.snapshot.processes[subject.place].pid;
    case WaitNodeKind::Display:
        return what.snapshot.displays[subject.place].pid;
    default:
        return what.snapshot.queues[subject.place].program;
    }
}

Finding begin_finding(const RuleCase& what) {
    Finding finding;
    finding.waiter = waiter_of(what);
    finding.since_ns = what.since_ns;
    if (const SeenFence* fence = last_fence(what)) {
        finding.fence = fence->name;
    }
    return finding;
}

std::string subject_text(const RuleCase& what) {
    if (what.chain.subject.kind == WaitNodeKind::Process) {
        return fmt::format("{} waits, it is not known since when,",
                           capitalized(process_text(what.snapshot, program_of(what))));
    }
    return fmt::format(
        "{} ({}) has waited {}", capitalized(node_text(what.snapshot, what.chain.subject)),
        process_text(what.snapshot, program_of(what)), for_text(what.snapshot, what.since_ns));
}

std::string way_text(const RuleCase& what) {
    std::vector<std::string> names;
    for (const WaitEdge& edge : what.chain.edges) {
        names.push_back(node_text(what.snapshot, edge.to));
    }
    return fmt::format("{}", fmt::join(names, " ← "));
}

std::string bound_text(const SeenFence& fence) {
    const auto of_vgem = [](const KernelFence& kernel) { return kernel.driver == "vgem"; };
    return std::any_of(fence.kernel.begin(), fence.kernel.end(), of_vgem) ? vgem_remark : "";
}

std::string how_to_end(const SeenFence& fence) {
    switch (fence.shape) {
    case FenceShape::Pipe:
    case FenceShape::Socket:
        return "write to that descriptor, or close it";
    case FenceShape::EventFd:
        return "write to that eventfd";
    default:
        return "end that fence";
    }
}

const SeenFence* last_fence(const RuleCase& what) {
    const auto& edges = what.chain.edges;
    const auto edge = std::find_if(edges.rbegin(), edges.rend(), [](const WaitEdge& one) {
        return one.to.kind == WaitNodeKind::Fence;
    });
    return edge == edges.rend() ? nullptr : &what.snapshot.fences[edge->to.place];
}

const SeenProcess* last_process(const RuleCase& what, WaitReason reason) {
    const WaitNode& last = what.chain.last();
    const bool there = !what.chain.circle && what.chain.last_reason() == reason &&
                       last.kind == WaitNodeKind::Process &&
                       last.place < what.snapshot.processes.size();
    return there ? &what.snapshot.processes[last.place] : nullptr;
}

std::optional<std::size_t> display_on_the_way(const RuleCase& what) {
    const auto& edges = what.chain.edges;
    const auto edge = std::find_if(edges.begin(), edges.end(), [](const WaitEdge& one) {
        return one.to.kind == WaitNodeKind::Display;
    });
    return edge == edges.end() ? std::nullopt : std::optional(edge->to.place);
}

}  // namespace v4lfence
