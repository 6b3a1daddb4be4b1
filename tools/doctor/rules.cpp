// SPDX-License-Identifier: MIT

#include "tools/doctor/rules.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tools/doctor/rule_table.hpp"

namespace v4lfence {

namespace {

/// What a chain is begun with: the first thing of a queue, or of a display, that does not go on.
struct Subject {
    WaitNode node;
    std::int64_t since_ns = 0;
};

std::int64_t latest(std::int64_t first, std::int64_t second) {
    return std::max(first, second);
}

/// A held buffer explains all behind it. One that nobody fetched explains a device that has none
/// left. What the device has is looked at last.
std::optional<Subject> subject_of_stream(const SeenQueue& queue, std::size_t place) {
    const auto buffer = [place](unsigned index) {
        return WaitNode{WaitNodeKind::Buffer, place, index};
    };
    if (const auto gate = first_buffer(queue, is_held_by_fence)) {
        return Subject{buffer(*gate), queue.buffers[*gate].cell.queued_at_ns};
    }
    const auto given = first_buffer(queue, is_given);
    // One that was given up on is told as such.
    const auto unfetched = [](const QueueCell& cell) { return is_done(cell) && cell.expired == 0; };
    if (const auto done = first_buffer(queue, unfetched)) {
        const QueueCell& cell = queue.buffers[*done].cell;
        return Subject{buffer(*done), latest(latest(cell.done_at_ns, cell.queued_at_ns),
                                             queue.head.last_done_at_ns)};
    }
    const std::int64_t moved_ns = latest(queue.head.stream_on_at_ns, queue.head.last_done_at_ns);
    if (given) {
        return Subject{buffer(*given), latest(queue.buffers[*given].cell.given_at_ns, moved_ns)};
    }
    if (const auto held = first_buffer(queue, is_held)) {
        return Subject{buffer(*held), latest(queue.buffers[*held].cell.queued_at_ns, moved_ns)};
    }
    if (queue.head.waiting_since_ns != 0) {
        return Subject{{WaitNodeKind::Queue, place, 0}, queue.head.waiting_since_ns};
    }
    return std::nullopt;
}

std::optional<Subject> subject_of(const SeenDisplay& display, std::size_t place) {
    if (display.head.committed_at_ns == 0) {
        return std::nullopt;
    }
    return Subject{{WaitNodeKind::Display, place, 0}, display.head.committed_at_ns};
}

struct Ranked {
    std::size_t rank = 0;
    Finding finding;
};

std::optional<Ranked> judge(const RuleCase& what, RuleOf of) {
    const auto table = rule_table();
    for (std::size_t rank = 0; rank < table.size(); ++rank) {
        if (table[rank].of != of) {
            continue;
        }
        if (auto finding = table[rank].find(what)) {
            finding->rule = table[rank].name;
            return Ranked{rank, std::move(*finding)};
        }
    }
    return std::nullopt;
}

class Judgement {
public:
    Judgement(const Snapshot& snapshot, const WaitGraph& graph, std::int64_t older_than_ns)
        : snapshot_(snapshot), graph_(graph), older_than_ns_(older_than_ns) {}

    void add_queue(std::size_t place) {
        const SeenQueue& queue = snapshot_.queues[place];
        const WaitNode node{WaitNodeKind::Queue, place, 0};
        if (const auto state = judge({snapshot_, {node, {}, {}}, 0, -1}, RuleOf::State)) {
            add(*state);
        }
        if (queue.head.streaming != 0 && queue.head.failure == 0) {
            add_subject(subject_of_stream(queue, place));
        }
    }

    void add_display(std::size_t place) {
        add_subject(subject_of(snapshot_.displays[place], place));
    }

    void add_held(const HeldFence& held) {
        const auto process =
            std::find_if(snapshot_.processes.begin(), snapshot_.processes.end(),
                         [&held](const SeenProcess& one) { return one.pid == held.pid; });
        if (older_than_ns_ != 0 || process == snapshot_.processes.end() || has_board(held.pid)) {
            return;
        }
        const WaitNode node{WaitNodeKind::Process,
                            static_cast<std::size_t>(process - snapshot_.processes.begin()), 0};
        const WaitNode fence{WaitNodeKind::Fence, held.fence, 0};
        std::vector<WaitChain> chains =
            chains_from(graph_, fence, snapshot_.now_ns, older_than_ns_);
        for (WaitChain& chain : chains) {
            chain.subject = node;
            chain.edges.insert(chain.edges.begin(), {node, fence, WaitReason::Poll, 0});
            if (chain.circle) {
                ++*chain.circle;
            }
        }
        add_worst(chains, 0, held.fd);
    }

    /// A stopped program that is blamed for nothing yet, and would go on otherwise.
    void add_stopped(std::size_t place) {
        const pid_t pid = snapshot_.processes[place].pid;
        const auto blamed = [pid](const Ranked& one) { return one.finding.blamed.pid == pid; };
        if (std::none_of(found_.begin(), found_.end(), blamed)) {
            const WaitNode node{WaitNodeKind::Process, place, 0};
            if (const auto one = judge({snapshot_, {node, {}, {}}, 0, -1}, RuleOf::State)) {
                add(*one);
            }
        }
    }

    std::vector<Finding> finish() {
        std::stable_sort(
            found_.begin(), found_.end(),
            [](const Ranked& first, const Ranked& second) { return first.rank < second.rank; });
        std::vector<Finding> findings;
        for (Ranked& one : found_) {
            findings.push_back(std::move(one.finding));
        }
        return findings;
    }

private:
    bool has_board(pid_t pid) const {
        const auto of_queue = [pid](const SeenQueue& one) {
            return one.pid == pid || one.program == pid;
        };
        const auto of_display = [pid](const SeenDisplay& one) { return one.pid == pid; };
        return std::any_of(snapshot_.queues.begin(), snapshot_.queues.end(), of_queue) ||
               std::any_of(snapshot_.displays.begin(), snapshot_.displays.end(), of_display);
    }

    void add_subject(const std::optional<Subject>& subject) {
        if (!subject || snapshot_.now_ns - subject->since_ns < older_than_ns_) {
            return;
        }
        add_worst(chains_from(graph_, subject->node, snapshot_.now_ns, older_than_ns_),
                  subject->since_ns, -1);
    }

    void add_worst(const std::vector<WaitChain>& chains, std::int64_t since_ns, int fd) {
        std::optional<Ranked> worst;
        for (const WaitChain& chain : chains) {
            const auto one = judge({snapshot_, chain, since_ns, fd}, RuleOf::Wait);
            if (one && (!worst || one->rank < worst->rank)) {
                worst = one;
            }
        }
        if (worst) {
            add(*worst);
        }
    }

    /// What two subjects lead to is told once.
    void add(const Ranked& one) {
        const auto same = [&](const Ranked& other) {
            return other.rank == one.rank && other.finding.blamed == one.finding.blamed &&
                   other.finding.waiter == one.finding.waiter;
        };
        if (std::none_of(found_.begin(), found_.end(), same)) {
            found_.push_back(one);
        }
    }

    const Snapshot& snapshot_;
    const WaitGraph& graph_;
    const std::int64_t older_than_ns_;
    std::vector<Ranked> found_;
};

}  // namespace

std::vector<Finding> find_faults(const Snapshot& snapshot, const WaitGraph& graph,
                                 std::int64_t older_than_ns) {
    Judgement judgement(snapshot, graph, older_than_ns);
    for (std::size_t i = 0; i < snapshot.queues.size(); ++i) {
        judgement.add_queue(i);
    }
    for (std::size_t i = 0; i < snapshot.displays.size(); ++i) {
        judgement.add_display(i);
    }
    for (const HeldFence& held : snapshot.held) {
        judgement.add_held(held);
    }
    for (std::size_t i = 0; i < snapshot.processes.size(); ++i) {
        judgement.add_stopped(i);
    }
    return judgement.finish();
}

}  // namespace v4lfence
