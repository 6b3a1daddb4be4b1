// SPDX-License-Identifier: MIT

#include "tools/doctor/wait_graph.hpp"

#include <algorithm>
#include <iterator>

namespace v4lfence {

namespace {

WaitNode process_node(const Snapshot& snapshot, pid_t pid) {
    const SeenProcess* process = snapshot.process(pid);
    const std::size_t place = process == nullptr
                                  ? snapshot.processes.size()
                                  : static_cast<std::size_t>(process - snapshot.processes.data());
    return {WaitNodeKind::Process, place, 0};
}

bool is_stopped(const Snapshot& snapshot, pid_t pid) {
    const SeenProcess* process = snapshot.process(pid);
    return process != nullptr && process->stopped();
}

std::int64_t latest(std::int64_t first, std::int64_t second) {
    return std::max(first, second);
}

/// The depth-first walk of chains_from().
class Walk {
public:
    Walk(const WaitGraph& graph, std::int64_t now_ns, std::int64_t older_than_ns)
        : graph_(graph), followed_until_ns_(now_ns - older_than_ns) {}

    std::vector<WaitChain> run(const WaitNode& subject) {
        path_.subject = subject;
        visit(subject);
        return std::move(chains_);
    }

private:
    bool follows(const WaitEdge& edge) const {
        if (edge.from.kind != WaitNodeKind::Process) {
            return true;
        }
        return path_.last_reason() == WaitReason::End && edge.since_ns != 0 &&
               edge.since_ns <= followed_until_ns_;
    }

    std::optional<std::size_t> passed_at(const WaitNode& node) const {
        if (node == path_.subject) {
            return 0;
        }
        for (std::size_t i = 0; i < path_.edges.size(); ++i) {
            if (path_.edges[i].to == node) {
                return i + 1;
            }
        }
        return std::nullopt;
    }

    void visit(const WaitNode& node) {
        done_.push_back(node);
        bool went_on = false;
        for (const WaitEdge& edge : graph_.from(node)) {
            if (!follows(edge)) {
                continue;
            }
            went_on = true;
            const auto circle = passed_at(edge.to);
            path_.edges.push_back(edge);
            if (circle) {
                chains_.push_back(path_);
                chains_.back().circle = circle;
            } else if (std::find(done_.begin(), done_.end(), edge.to) == done_.end()) {
                visit(edge.to);
            }
            path_.edges.pop_back();
        }
        if (!went_on) {
            chains_.push_back(path_);
        }
    }

    const WaitGraph& graph_;
    const std::int64_t followed_until_ns_;
    WaitChain path_;
    std::vector<WaitChain> chains_;
    std::vector<WaitNode> done_;
};

}  // namespace

bool awaits_start(const SeenQueue& queue) {
    const QueueHead& head = queue.head;
    if (head.streaming == 0 || head.last_done_at_ns > head.stream_on_at_ns) {
        return false;
    }
    if (head.minimum != 0) {
        return head.given < head.minimum;
    }
    return head.given > 0 && first_buffer(queue, is_held_by_fence).has_value();
}

WaitGraph WaitGraph::build(const Snapshot& snapshot) {
    WaitGraph graph;
    for (std::size_t i = 0; i < snapshot.queues.size(); ++i) {
        graph.add_queue(snapshot, i);
    }
    for (std::size_t i = 0; i < snapshot.fences.size(); ++i) {
        graph.add_fence(snapshot, i);
    }
    for (std::size_t i = 0; i < snapshot.displays.size(); ++i) {
        graph.add_display(snapshot, i);
    }
    for (std::size_t i = 0; i < snapshot.processes.size(); ++i) {
        for (const std::size_t fence : snapshot.processes[i].polls) {
            const auto& buffer = snapshot.fences[fence].buffer;
            const std::int64_t since_ns =
                buffer ? snapshot.queues[buffer->queue].buffers[buffer->index].cell.queued_at_ns
                       : 0;
            graph.add({WaitNodeKind::Process, i, 0}, {WaitNodeKind::Fence, fence, 0},
                      WaitReason::Poll, since_ns);
        }
    }
    return graph;
}

std::vector<WaitEdge> WaitGraph::from(const WaitNode& node) const {
    std::vector<WaitEdge> found;
    std::copy_if(edges_.begin(), edges_.end(), std::back_inserter(found),
                 [&](const WaitEdge& edge) { return edge.from == node; });
    return found;
}

void WaitGraph::add(WaitNode from, WaitNode to, WaitReason reason, std::int64_t since_ns) {
    edges_.push_back({from, to, reason, since_ns});
}

void WaitGraph::add_queue(const Snapshot& snapshot, std::size_t place) {
    const SeenQueue& queue = snapshot.queues[place];
    const WaitNode node{WaitNodeKind::Queue, place, 0};
    const WaitNode program = process_node(snapshot, queue.program);
    if (queue.head.waiting_since_ns != 0) {
        add(program, node, WaitReason::Dequeue, queue.head.waiting_since_ns);
    }
    const auto first =
        first_buffer(queue, [](const QueueCell& cell) { return is_held(cell) || is_given(cell); });
    if (first) {
        add(node, {WaitNodeKind::Buffer, place, *first}, WaitReason::Turn,
            queue.buffers[*first].cell.queued_at_ns);
    } else if (!first_buffer(queue, is_done)) {
        add(node, program, WaitReason::QueueMore,
            latest(queue.head.stream_on_at_ns, queue.head.last_dequeued_at_ns));
    }
    for (unsigned i = 0; i < queue.buffers.size(); ++i) {
        add_buffer(snapshot, place, i);
    }
}

void WaitGraph::add_buffer(const Snapshot& snapshot, std::size_t queue_place, unsigned index) {
    const SeenQueue& queue = snapshot.queues[queue_place];
    const SeenBuffer& buffer = queue.buffers[index];
    const QueueCell& cell = buffer.cell;
    const WaitNode node{WaitNodeKind::Buffer, queue_place, index};
    const WaitNode program = process_node(snapshot, queue.program);
    if (is_done(cell)) {
        add(node, program, WaitReason::Fetch, latest(cell.done_at_ns, cell.queued_at_ns));
        return;
    }
    if (is_held_by_fence(cell) && buffer.in_fence) {
        add(node, {WaitNodeKind::Fence, *buffer.in_fence, 0}, WaitReason::InFence,
            cell.queued_at_ns);
        return;
    }
    const auto gate = first_buffer(queue, is_held_by_fence);
    if (is_held(cell) && gate && queue.buffers[*gate].cell.position < cell.position) {
        add(node, {WaitNodeKind::Buffer, queue_place, *gate}, WaitReason::Turn, cell.queued_at_ns);
        return;
    }
    if (!is_held(cell) && !is_given(cell)) {
        return;
    }
    if (queue.head.streaming == 0) {
        add(node, program, WaitReason::StreamOn, cell.queued_at_ns);
    } else if (awaits_start(queue)) {
        add_awaited_start(snapshot, queue_place, index);
    } else if (is_given(cell)) {
        add(node, {WaitNodeKind::Device, queue_place, 0}, WaitReason::Frame,
            latest(cell.given_at_ns, queue.head.last_done_at_ns));
    }
}

void WaitGraph::add_awaited_start(const Snapshot& snapshot, std::size_t queue_place,
                                  unsigned index) {
    const SeenQueue& queue = snapshot.queues[queue_place];
    const WaitNode node{WaitNodeKind::Buffer, queue_place, index};
    const std::int64_t since_ns =
        latest(queue.buffers[index].cell.queued_at_ns, queue.head.stream_on_at_ns);
    if (const auto gate = first_buffer(queue, is_held_by_fence)) {
        add(node, {WaitNodeKind::Buffer, queue_place, *gate}, WaitReason::Start, since_ns);
    } else {
        add(node, process_node(snapshot, queue.program), WaitReason::QueueMore, since_ns);
    }
}

void WaitGraph::add_fence(const Snapshot& snapshot, std::size_t place) {
    const SeenFence& fence = snapshot.fences[place];
    const WaitNode node{WaitNodeKind::Fence, place, 0};
    if (fence.ended) {
        return;
    }
    if (fence.buffer) {
        const SeenQueue& queue = snapshot.queues[fence.buffer->queue];
        const std::int64_t since_ns = queue.buffers[fence.buffer->index].cell.queued_at_ns;
        // Whatever the device does, a stopped process ends no fence.
        if (is_stopped(snapshot, queue.pid)) {
            add(node, process_node(snapshot, queue.pid), WaitReason::End, since_ns);
        } else {
            add(node, {WaitNodeKind::Buffer, fence.buffer->queue, fence.buffer->index},
                WaitReason::OutFence, since_ns);
        }
        return;
    }
    if (fence.display) {
        add(node, {WaitNodeKind::Display, *fence.display, 0}, WaitReason::Flip,
            snapshot.displays[*fence.display].head.committed_at_ns);
        return;
    }
    for (std::size_t i = 0; i < fence.ends.size(); ++i) {
        const pid_t pid = fence.ends[i].pid;
        const auto same = [pid](const FenceEnd& end) { return end.pid == pid; };
        const auto first = std::find_if(fence.ends.begin(), fence.ends.end(), same);
        if (first == fence.ends.begin() + static_cast<std::ptrdiff_t>(i)) {
            add(node, process_node(snapshot, pid), WaitReason::End, 0);
        }
    }
}

void WaitGraph::add_display(const Snapshot& snapshot, std::size_t place) {
    const SeenDisplay& display = snapshot.displays[place];
    if (display.head.committed_at_ns == 0) {
        return;
    }
    const WaitNode node{WaitNodeKind::Display, place, 0};
    if (display.in_fence) {
        add(node, {WaitNodeKind::Fence, *display.in_fence, 0}, WaitReason::InFence,
            display.head.committed_at_ns);
    } else if (display.flip_unfetched) {
        add(node, process_node(snapshot, display.pid), WaitReason::FetchFlip,
            display.head.committed_at_ns);
    } else {
        add(node, {WaitNodeKind::Card, place, 0}, WaitReason::Scanout,
            display.head.committed_at_ns);
    }
}

std::vector<WaitChain> chains_from(const WaitGraph& graph, const WaitNode& subject,
                                   std::int64_t now_ns, std::int64_t older_than_ns) {
    return Walk(graph, now_ns, older_than_ns).run(subject);
}

}  // namespace v4lfence
