// SPDX-License-Identifier: MIT

#include "tools/doctor/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "tools/doctor/words.hpp"

namespace v4lfence {

namespace {

bool is_asked(const Diagnosis& diagnosis, pid_t pid) {
    const auto& asked = diagnosis.asked;
    return asked.empty() || std::find(asked.begin(), asked.end(), pid) != asked.end();
}

/// "← in-fence pipe:[4711] ← pid 4242 ffmpeg": the waits behind a node, the first of several in the
/// line and how many more there are.
std::string tail_text(const Diagnosis& diagnosis, const WaitNode& node) {
    const auto chains =
        chains_from(diagnosis.graph, node, diagnosis.snapshot.now_ns, diagnosis.older_than_ns);
    std::string text;
    for (const WaitEdge& edge : chains.front().edges) {
        const bool names_itself =
            edge.to.kind == WaitNodeKind::Fence || edge.to.kind == WaitNodeKind::Buffer;
        const std::string what = names_itself ? "" : fmt::format("{}: ", reason_text(edge.reason));
        const char* word = edge.reason == WaitReason::InFence ? "in-fence " : "";
        text += fmt::format(" ← {}{}{}", word, what, node_text(diagnosis.snapshot, edge.to));
    }
    if (chains.front().circle) {
        text += " (a circle)";
    }
    if (chains.size() > 1) {
        text += fmt::format(" (or {} others)", chains.size() - 1);
    }
    return text;
}

std::string since_text(const Snapshot& snapshot, const QueueCell& cell) {
    std::int64_t since_ns = cell.queued_at_ns;
    if (is_given(cell)) {
        since_ns = std::max(cell.given_at_ns, cell.queued_at_ns);
    } else if (is_done(cell)) {
        since_ns = std::max(cell.done_at_ns, cell.queued_at_ns);
    }
    return since_ns == 0 ? "" : " " + duration_text(snapshot.now_ns - since_ns);
}

std::string queue_text(const Snapshot& snapshot, const SeenQueue& queue) {
    const QueueHead& head = queue.head;
    std::string state = "does not stream";
    if (head.failure != 0) {
        state = "has failed";
    } else if (head.streaming != 0) {
        state = "streams";
    }
    std::string text = fmt::format("{}: {}; {} held, {} with the device, {} done", queue.name,
                                   state, head.held, head.given, head.done);
    if (head.failed != 0) {
        text += fmt::format(", {} failed", head.failed);
    }
    if (head.last_done_at_ns != 0) {
        text += fmt::format("; the last frame came {} ago",
                            duration_text(snapshot.now_ns - head.last_done_at_ns));
    }
    if (head.waiting_since_ns != 0) {
        text += fmt::format("; DQBUF waits for {}",
                            duration_text(snapshot.now_ns - head.waiting_since_ns));
    }
    return text;
}

void add_queue(const Diagnosis& diagnosis, std::size_t place, bool all, std::string& text) {
    const Snapshot& snapshot = diagnosis.snapshot;
    const SeenQueue& queue = snapshot.queues[place];
    text += fmt::format("  {}\n", queue_text(snapshot, queue));
    for (unsigned i = 0; i < queue.buffers.size(); ++i) {
        const QueueCell& cell = queue.buffers[i].cell;
        if (cell.state == SlotState::Dequeued && !all) {
            continue;
        }
        const std::string since =
            cell.state == SlotState::Dequeued ? "" : since_text(snapshot, cell);
        text += fmt::format("    buffer {} {}{}{}\n", i, state_text(cell.state), since,
                            tail_text(diagnosis, {WaitNodeKind::Buffer, place, i}));
    }
}

void add_display(const Diagnosis& diagnosis, std::size_t place, std::string& text) {
    const Snapshot& snapshot = diagnosis.snapshot;
    const SeenDisplay& display = snapshot.displays[place];
    text += fmt::format("  display {}{}{}: ", display.name, display.off() ? ", off" : "",
                        display.refused == 0 ? "" : ", whose last commit KMS refused");
    if (display.head.committed_at_ns == 0) {
        text += fmt::format("shows picture {}, no commit under way\n", display.head.shown_picture);
        return;
    }
    text += fmt::format("picture {} on its way {}{}\n", display.head.pending_picture,
                        duration_text(snapshot.now_ns - display.head.committed_at_ns),
                        tail_text(diagnosis, {WaitNodeKind::Display, place, 0}));
}

void add_process(const Diagnosis& diagnosis, const SeenProcess& process, bool all,
                 std::string& text) {
    const Snapshot& snapshot = diagnosis.snapshot;
    std::string within;
    for (std::size_t i = 0; i < snapshot.queues.size(); ++i) {
        if (snapshot.queues[i].program == process.pid) {
            add_queue(diagnosis, i, all, within);
        }
    }
    for (std::size_t i = 0; i < snapshot.displays.size(); ++i) {
        if (snapshot.displays[i].pid == process.pid) {
            add_display(diagnosis, i, within);
        }
    }
    for (const HeldFence& held : snapshot.held) {
        if (held.pid == process.pid) {
            const SeenFence& fence = snapshot.fences[held.fence];
            within += fmt::format("  descriptor {}: {} is pending{}\n", held.fd, fence_text(fence),
                                  tail_text(diagnosis, {WaitNodeKind::Fence, held.fence, 0}));
        }
    }
    if (!within.empty()) {
        text += fmt::format("{}\n{}", process_text(snapshot, process.pid), within);
    }
}

/// The last words where nothing is wrong.
std::string nothing_text(const Diagnosis& diagnosis) {
    const auto& all = diagnosis.snapshot.held;
    const auto count = std::count_if(all.begin(), all.end(), [&](const HeldFence& held) {
        return is_asked(diagnosis, held.pid);
    });
    const std::string limit = duration_text(diagnosis.older_than_ns);
    if (count == 0) {
        return fmt::format("\nNothing waits longer than {}.\n", limit);
    }
    return fmt::format("\nNothing that uses v4lfence waits longer than {}. {} pending, and it is "
                       "not known since when: --older-than 0 tells whom {} for.\n",
                       limit,
                       count == 1 ? "A descriptor is" : fmt::format("{} descriptors are", count),
                       count == 1 ? "it waits" : "they wait");
}

using Json = nlohmann::ordered_json;

Json party_json(const Party& party) {
    Json json = Json::object();
    if (party.pid != 0) {
        json["pid"] = party.pid;
        json["process"] = party.process;
    }
    if (!party.device.empty()) {
        json["device"] = party.device;
    }
    if (party.index) {
        json["index"] = *party.index;
    }
    if (party.fd) {
        json["fd"] = *party.fd;
    }
    return json;
}

Json ms_or_null(std::int64_t now_ns, std::int64_t since_ns) {
    return since_ns == 0 ? Json(nullptr) : Json(static_cast<double>(now_ns - since_ns) / 1e6);
}

Json finding_json(const Snapshot& snapshot, const Finding& finding) {
    Json json = {{"rule", finding.rule},
                 {"verdict", finding.verdict},
                 {"advice", finding.advice},
                 {"waiter", party_json(finding.waiter)},
                 {"party", party_json(finding.blamed)},
                 {"waited_ms", ms_or_null(snapshot.now_ns, finding.since_ns)}};
    if (!finding.fence.empty()) {
        json["fence"] = finding.fence;
    }
    if (finding.error != 0) {
        json["errno"] = -finding.error;
    }
    return json;
}

Json end_json(const Snapshot& snapshot, const FenceEnd& end) {
    const SeenProcess* process = snapshot.process(end.pid);
    return {{"pid", end.pid},
            {"process", process == nullptr ? "" : process->name},
            {"fd", end.fd < 0 ? Json(nullptr) : Json(end.fd)}};
}

Json held_json(const Snapshot& snapshot, const HeldFence& held, std::size_t node) {
    const SeenFence& fence = snapshot.fences[held.fence];
    const SeenProcess* process = snapshot.process(held.pid);
    Json json = {{"pid", held.pid},      {"process", process == nullptr ? "" : process->name},
                 {"fd", held.fd},        {"fence", fence.name},
                 {"node", node},         {"kernel", Json::array()},
                 {"ends", Json::array()}};
    for (const KernelFence& one : fence.kernel) {
        json["kernel"].push_back({{"driver", one.driver}, {"timeline", one.timeline}});
    }
    for (const FenceEnd& end : fence.ends) {
        json["ends"].push_back(end_json(snapshot, end));
    }
    if (!fence.unknown.empty()) {
        json["not_seen"] = fence.unknown;
    }
    return json;
}

Json node_json(const Snapshot& snapshot, const WaitNode& node) {
    Json json = {{"kind", node_kind_name(node.kind)}, {"name", node_text(snapshot, node)}};
    const bool of_queue = node.kind == WaitNodeKind::Queue || node.kind == WaitNodeKind::Buffer ||
                          node.kind == WaitNodeKind::Device;
    if (of_queue) {
        json["device"] = snapshot.queues[node.place].device;
    }
    if (node.kind == WaitNodeKind::Queue || node.kind == WaitNodeKind::Buffer) {
        json["pid"] = snapshot.queues[node.place].program;
    }
    if (node.kind == WaitNodeKind::Buffer) {
        json["index"] = node.index;
        json["state"] = state_text(snapshot.queues[node.place].buffers[node.index].cell.state);
    }
    if (node.kind == WaitNodeKind::Process && node.place < snapshot.processes.size()) {
        const SeenProcess& process = snapshot.processes[node.place];
        json["pid"] = process.pid;
        json["process"] = process.name;
        json["state"] = std::string(1, process.state);
    }
    if (node.kind == WaitNodeKind::Display) {
        json["pid"] = snapshot.displays[node.place].pid;
    }
    return json;
}

/// Its place in the list, to which it is added when it is new.
std::size_t number_of(std::vector<WaitNode>& nodes, const WaitNode& node) {
    const auto found = std::find(nodes.begin(), nodes.end(), node);
    if (found == nodes.end()) {
        nodes.push_back(node);
        return nodes.size() - 1;
    }
    return static_cast<std::size_t>(found - nodes.begin());
}

}  // namespace

Diagnosis diagnose_waits(Snapshot snapshot, std::vector<pid_t> asked, std::int64_t older_than_ns) {
    Diagnosis diagnosis;
    diagnosis.snapshot = std::move(snapshot);
    diagnosis.graph = WaitGraph::build(diagnosis.snapshot);
    diagnosis.asked = std::move(asked);
    diagnosis.older_than_ns = older_than_ns;
    for (Finding& finding : find_faults(diagnosis.snapshot, diagnosis.graph, older_than_ns)) {
        if (is_asked(diagnosis, finding.waiter.pid)) {
            diagnosis.findings.push_back(std::move(finding));
        }
    }
    return diagnosis;
}

std::string diagnosis_text(const Diagnosis& diagnosis, bool all) {
    std::string text;
    for (const SeenProcess& process : diagnosis.snapshot.processes) {
        if (is_asked(diagnosis, process.pid)) {
            add_process(diagnosis, process, all, text);
        }
    }
    for (const Finding& finding : diagnosis.findings) {
        text += fmt::format("\n{}\n  {}\n", finding.verdict, finding.advice);
    }
    if (diagnosis.findings.empty()) {
        text += nothing_text(diagnosis);
    }
    if (!diagnosis.snapshot.unseen.empty()) {
        text += fmt::format("\nNot seen: {}.\n", fmt::join(diagnosis.snapshot.unseen, "; "));
    }
    return text;
}

nlohmann::ordered_json diagnosis_json(const Diagnosis& diagnosis) {
    const Snapshot& snapshot = diagnosis.snapshot;
    Json json = {{"took_ms", static_cast<double>(diagnosis.took_ns) / 1e6},
                 {"older_than_ms", diagnosis.older_than_ns / 1'000'000},
                 {"hangs", !diagnosis.findings.empty()},
                 {"findings", Json::array()},
                 {"nodes", Json::array()},
                 {"edges", Json::array()},
                 {"held", Json::array()},
                 {"not_seen", snapshot.unseen}};
    for (const Finding& finding : diagnosis.findings) {
        json["findings"].push_back(finding_json(snapshot, finding));
    }
    std::vector<WaitNode> nodes;
    for (std::size_t i = 0; i < snapshot.queues.size(); ++i) {
        number_of(nodes, {WaitNodeKind::Queue, i, 0});
    }
    for (std::size_t i = 0; i < snapshot.displays.size(); ++i) {
        number_of(nodes, {WaitNodeKind::Display, i, 0});
    }
    for (const WaitEdge& edge : diagnosis.graph.edges()) {
        json["edges"].push_back({{"from", number_of(nodes, edge.from)},
                                 {"to", number_of(nodes, edge.to)},
                                 {"for", reason_name(edge.reason)},
                                 {"waited_ms", ms_or_null(snapshot.now_ns, edge.since_ns)}});
    }
    for (const HeldFence& held : snapshot.held) {
        if (is_asked(diagnosis, held.pid)) {
            const std::size_t node = number_of(nodes, {WaitNodeKind::Fence, held.fence, 0});
            json["held"].push_back(held_json(snapshot, held, node));
        }
    }
    for (const WaitNode& node : nodes) {
        json["nodes"].push_back(node_json(snapshot, node));
    }
    return json;
}

}  // namespace v4lfence
