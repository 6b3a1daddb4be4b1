// SPDX-License-Identifier: MIT
//
// WaitGraph: who waits for whom in a Snapshot. A node is a buffer, a fence, a process, a queue, a
// display or a device; an edge says that one goes on when the other does something, what that is,
// and since when. Nothing is judged here; rules.hpp does that, along chains.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tools/doctor/snapshot.hpp"

namespace v4lfence {

enum class WaitNodeKind : std::uint8_t { Process, Queue, Buffer, Fence, Display, Device, Card };

/// `place` is into the Snapshot's vector of that kind; for a buffer and a device it is the queue's,
/// for a card the display's.
struct WaitNode {
    WaitNodeKind kind = WaitNodeKind::Process;
    std::size_t place = 0;
    unsigned index = 0;  ///< Of a buffer.

    bool operator==(const WaitNode&) const = default;
};

/// What the one that is waited for has to do.
enum class WaitReason : std::uint8_t {
    InFence,    ///< buffer, display -> fence: to end
    Turn,       ///< buffer, queue -> buffer: it comes first
    Start,      ///< buffer -> buffer: to be ready, so that the driver has enough to start
    Frame,      ///< buffer -> device: to finish it
    StreamOn,   ///< buffer -> process: to start the stream
    Fetch,      ///< buffer -> process: DQBUF
    QueueMore,  ///< queue, buffer -> process: QBUF
    OutFence,   ///< fence -> buffer: to be finished
    End,        ///< fence -> process: to end it
    Flip,       ///< fence -> display: to show the picture
    Scanout,    ///< display -> card: the vertical blank
    FetchFlip,  ///< display -> process: to fetch the event of its flip
    Dequeue,    ///< process -> queue: a thread of it is blocked in DQBUF
    Poll,       ///< process -> fence: a thread of it is blocked in poll() or read()
};

struct WaitEdge {
    WaitNode from;
    WaitNode to;
    WaitReason reason = WaitReason::InFence;
    std::int64_t since_ns = 0;
};

class WaitGraph {
public:
    static WaitGraph build(const Snapshot& snapshot);

    std::span<const WaitEdge> edges() const { return edges_; }
    std::vector<WaitEdge> from(const WaitNode& node) const;

private:
    void add(WaitNode from, WaitNode to, WaitReason reason, std::int64_t since_ns);
    void add_queue(const Snapshot& snapshot, std::size_t place);
    void add_buffer(const Snapshot& snapshot, std::size_t queue, unsigned index);
    void add_awaited_start(const Snapshot& snapshot, std::size_t queue, unsigned index);
    void add_fence(const Snapshot& snapshot, std::size_t place);
    void add_display(const Snapshot& snapshot, std::size_t place);

    std::vector<WaitEdge> edges_;
};

/// One way through the graph: each edge begins where the one before ended. A circle ends at a node
/// that it has passed: the one where edges[circle] begins.
struct WaitChain {
    WaitNode subject;
    std::vector<WaitEdge> edges;
    std::optional<std::size_t> circle;

    const WaitNode& last() const { return edges.empty() ? subject : edges.back().to; }
    std::optional<WaitReason> last_reason() const {
        return edges.empty() ? std::nullopt : std::optional(edges.back().reason);
    }
};

/// All chains from a node to somebody who waits for nobody, each node passed once. What a process
/// itself waits for counts where that keeps it from ending a fence, and when it has done so for
/// `older_than_ns`.
std::vector<WaitChain> chains_from(const WaitGraph& graph, const WaitNode& subject,
                                   std::int64_t now_ns, std::int64_t older_than_ns);

/// The first of a queue's buffers, by their positions, for which `matches` holds.
template <class Matches>
std::optional<unsigned> first_buffer(const SeenQueue& queue, Matches matches) {
    std::optional<unsigned> first;
    for (unsigned i = 0; i < queue.buffers.size(); ++i) {
        const QueueCell& cell = queue.buffers[i].cell;
        if (matches(cell) && (!first || cell.position < queue.buffers[*first].cell.position)) {
            first = i;
        }
    }
    return first;
}

inline bool is_held(const QueueCell& cell) {
    return cell.state == SlotState::Held;
}
inline bool is_held_by_fence(const QueueCell& cell) {
    return is_held(cell) && cell.in_pending != 0;
}
inline bool is_given(const QueueCell& cell) {
    return cell.state == SlotState::Given || cell.state == SlotState::Giving;
}
inline bool is_done(const QueueCell& cell) {
    return cell.state == SlotState::Done || cell.state == SlotState::Failed;
}

/// The driver has not begun, because it has fewer buffers than it needs. Where its minimum is not
/// known: it has had some since the stream is on, has returned none, and others are held back.
bool awaits_start(const SeenQueue& queue);

}  // namespace v4lfence
