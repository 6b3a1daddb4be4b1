// SPDX-License-Identifier: MIT
//
// Rules of waits for programs.

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "tools/doctor/rule_table.hpp"
#include "tools/doctor/words.hpp"

namespace v4lfence {

namespace {

const char* with_deadline = "give the queue a deadline (v4lfence_set_deadline)";

/// The edge by which a circle goes through a process that is to end a fence.
const WaitEdge* end_in_circle(const WaitChain& chain) {
    const auto first = chain.edges.begin() + static_cast<std::ptrdiff_t>(*chain.circle);
    const auto found = std::find_if(first, chain.edges.end(), [](const WaitEdge& edge) {
        return edge.reason == WaitReason::End;
    });
    return found == chain.edges.end() ? nullptr : &*found;
}

/// A sentence, with a space before it, of a display that is off: who ends the fence when a picture
/// is shown shows none. Nothing where it has no such display.
std::string display_remark(const Snapshot& snapshot, pid_t pid) {
    const auto& displays = snapshot.displays;
    const auto found =
        std::find_if(displays.begin(), displays.end(),
                     [pid](const SeenDisplay& one) { return one.pid == pid && one.off(); });
    return found == displays.end()
               ? ""
               : fmt::format(" Its display {} is off: if a picture shown there is to end it, none "
                             "is.",
                             found->name);
}

std::optional<Finding> find_ender(const RuleCase& what, bool itself) {
    const SeenProcess* process = last_process(what, WaitReason::End);
    const SeenFence* fence = last_fence(what);
    if (process == nullptr || fence == nullptr || (process->pid == program_of(what)) != itself) {
        return std::nullopt;
    }
    Finding finding = begin_finding(what);
    finding.blamed = party_of_end(what.snapshot, *fence, process->pid);
    finding.verdict = fmt::format("{} for {}, which only {} can end{}.{}{}", subject_text(what),
                                  fence_text(*fence), ends_text(what.snapshot, *fence),
                                  itself ? ": the program waits for itself" : ", and has not",
                                  bound_text(*fence), display_remark(what.snapshot, process->pid));
    finding.advice =
        fmt::format("{} has to {}; or {}.", capitalized(process_text(what.snapshot, process->pid)),
                    how_to_end(*fence), with_deadline);
    return finding;
}

}  // namespace

std::optional<Finding> find_circle(const RuleCase& what) {
    const WaitEdge* edge = what.chain.circle ? end_in_circle(what.chain) : nullptr;
    if (edge == nullptr) {
        return std::nullopt;
    }
    const SeenFence& fence = what.snapshot.fences[edge->from.place];
    const pid_t pid = what.snapshot.processes[edge->to.place].pid;
    const auto of_another = [pid](const FenceEnd& end) { return end.pid != pid; };
    if (std::any_of(fence.ends.begin(), fence.ends.end(), of_another)) {
        return std::nullopt;
    }
    Finding finding = begin_finding(what);
    finding.blamed = party_of_end(what.snapshot, fence, pid);
    finding.fence = fence.name;
    finding.verdict =
        fmt::format("{} in a circle: only {} can end {}, and that waits for what "
                    "this holds back: {} ← {}.",
                    subject_text(what), ends_text(what.snapshot, fence), fence_text(fence),
                    node_text(what.snapshot, what.chain.subject), way_text(what));
    finding.advice = fmt::format("{} has to {} before it waits, or in another thread; or {}.",
                                 capitalized(process_text(what.snapshot, pid)), how_to_end(fence),
                                 with_deadline);
    return finding;
}

std::optional<Finding> find_starvation(const RuleCase& what) {
    if (!what.chain.circle || end_in_circle(what.chain) != nullptr) {
        return std::nullopt;
    }
    const WaitNode& starving = what.chain.edges[*what.chain.circle].from;
    if (starving.kind != WaitNodeKind::Buffer) {
        return std::nullopt;
    }
    const SeenQueue& queue = what.snapshot.queues[starving.place];
    const bool known = queue.head.minimum != 0;
    Finding finding = begin_finding(what);
    finding.blamed = party_of_queue(what.snapshot, starving.place, starving.index);
    finding.verdict = fmt::format(
        "{}, and {} starves: {} {}, and those that are held wait for out-fences of this very "
        "queue: {} ← {}.",
        subject_text(what), queue.name, queue.device,
        known ? fmt::format("needs {} buffers to start and has {}", queue.head.minimum,
                            queue.head.given)
              : fmt::format("has {} of {} buffers and does not begin", queue.head.given,
                            queue.buffers.size()),
        node_text(what.snapshot, what.chain.subject), way_text(what));
    finding.advice = fmt::format(
        "{} has to let more buffers go without an in-fence of this queue's: at least as many as "
        "the driver needs{}.",
        capitalized(process_text(what.snapshot, queue.program)),
        known ? fmt::format(" ({})", queue.head.minimum) : "");
    return finding;
}

std::optional<Finding> find_stopped_producer(const RuleCase& what) {
    const SeenProcess* process = last_process(what, WaitReason::End);
    if (process == nullptr) {
        process = last_process(what, WaitReason::StreamOn);
    }
    const SeenFence* fence = last_fence(what);
    if (process == nullptr || !process->stopped() || fence == nullptr) {
        return std::nullopt;
    }
    Finding finding = begin_finding(what);
    finding.blamed = party_of_end(what.snapshot, *fence, process->pid);
    std::string whose;
    if (fence->buffer) {
        finding.blamed.device = what.snapshot.queues[fence->buffer->queue].device;
        finding.blamed.index = fence->buffer->index;
        whose = fmt::format(", the out-fence of {}", buffer_text(what.snapshot, *fence->buffer));
    }
    finding.verdict = fmt::format("{} for {}{}, which {} has to end and cannot.{}",
                                  subject_text(what), fence_text(*fence), whose,
                                  process_text(what.snapshot, process->pid), bound_text(*fence));
    finding.advice = fmt::format("Continue it (kill -CONT {}), or kill it: its fences end with it.",
                                 process->pid);
    return finding;
}

std::optional<Finding> find_idle_producer(const RuleCase& what) {
    const SeenProcess* process = last_process(what, WaitReason::StreamOn);
    if (process == nullptr) {
        return std::nullopt;
    }
    const WaitNode& producer = what.chain.edges.back().from;
    Finding finding = begin_finding(what);
    finding.blamed = party_of_queue(what.snapshot, producer.place, producer.index);
    finding.verdict = fmt::format("{} for {}, whose queue does not stream: {} has not called "
                                  "STREAMON there.",
                                  subject_text(what), node_text(what.snapshot, producer),
                                  process_text(what.snapshot, process->pid));
    finding.advice =
        fmt::format("Start {}, or stop this stream.", what.snapshot.queues[producer.place].name);
    return finding;
}

std::optional<Finding> find_other_process(const RuleCase& what) {
    return find_ender(what, false);
}

std::optional<Finding> find_this_program(const RuleCase& what) {
    return find_ender(what, true);
}

std::optional<Finding> find_never_dequeued(const RuleCase& what) {
    const SeenProcess* process = last_process(what, WaitReason::Fetch);
    if (process == nullptr) {
        return std::nullopt;
    }
    const WaitEdge& fetch = what.chain.edges.back();
    const SeenQueue& queue = what.snapshot.queues[fetch.from.place];
    const bool failed = queue.buffers[fetch.from.index].cell.state == SlotState::Failed;
    Finding finding = begin_finding(what);
    finding.blamed = party_of_queue(what.snapshot, fetch.from.place, fetch.from.index);
    finding.verdict = fmt::format(
        "{} has been {} {}, and {} has not fetched it (DQBUF); of {} buffers {} are with {}.",
        capitalized(node_text(what.snapshot, fetch.from)), failed ? "failed" : "done",
        for_text(what.snapshot, fetch.since_ns), process_text(what.snapshot, process->pid),
        queue.buffers.size(), queue.head.given, queue.device);
    finding.advice = process->stopped()
                         ? fmt::format("Continue it: kill -CONT {}.", process->pid)
                         : fmt::format("See what it does instead: gdb -p {}.", process->pid);
    return finding;
}

std::optional<Finding> find_too_few_queued(const RuleCase& what) {
    const SeenProcess* process = last_process(what, WaitReason::QueueMore);
    if (process == nullptr) {
        return std::nullopt;
    }
    const SeenQueue& queue = what.snapshot.queues[what.chain.edges.back().from.place];
    Finding finding = begin_finding(what);
    finding.blamed = party_of_queue(what.snapshot, what.chain.edges.back().from.place);
    const std::string lack =
        queue.head.given == 0 && queue.head.held == 0
            ? "no buffer is queued"
            : fmt::format("{} needs {} buffers to start, and has {}", queue.device,
                          queue.head.minimum, queue.head.given + queue.head.held);
    finding.verdict = fmt::format("{}: {}.", subject_text(what), lack);
    finding.advice = fmt::format("{} has to queue more buffers (QBUF).",
                                 capitalized(process_text(what.snapshot, process->pid)));
    return finding;
}

}  // namespace v4lfence
