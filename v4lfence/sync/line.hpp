// SPDX-License-Identifier: MIT
//
// Line: the buffers of one queue in the order of their QBUF, with the state of each and the rules
// of order that follow from both (SEMANTICS 4.1, 4.2, 5.1). No lock, no call-out: Sync guards it
// and acts on what it says.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "v4lfence/base/time.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/sync/state.hpp"

namespace v4lfence {

/// One QBUF: a buffer's index, and its position among all QBUFs, which tells it from later jobs on
/// the same index.
struct Job {
    unsigned index = 0;
    std::uint64_t position = 0;

    bool operator==(const Job&) const = default;
};

/// What a buffer has with it while it is in line.
struct Slot {
    SlotState state = SlotState::Dequeued;
    bool adopted = false;     ///< Queued before we looked: its place among the others is a guess.
    bool in_pending = false;  ///< Its in-fence has not ended.
    bool in_is_busy = false;  ///< `in` came as Submission::busy.
    bool expired = false;     ///< Its out-fence was ended by the bound while the device had it.
    bool due = false;         ///< Its out-fence has to end now, whatever comes before it.
    bool ending = false;      ///< Its out-fence has been claimed and is about to end.
    bool was_held = false;    ///< It did not go to the device within its own QBUF.
    int error = 0;            ///< Negative errno for its out-fence, once Failed, Done or expired.
    std::uint64_t position = 0;
    std::optional<Fence> in;
    std::optional<Fence> busy;  ///< Waited for when `in` has ended.
    FencePromise out;  ///< Empty when none was asked for or it has been claimed.
    MonotonicTime queued_at{};
    Deadline deadline;  ///< Of the in-fence.
    Deadline bound;     ///< Of the out-fence.

private:
    friend class Line;
    std::int32_t before = -1;
    std::int32_t after = -1;
};

class Line {
public:
    /// Buffers beyond `count` must be Dequeued.
    void resize(unsigned count);
    unsigned size() const { return static_cast<unsigned>(slots_.size()); }

    Slot& operator[](unsigned index) { return slots_[index]; }
    const Slot& operator[](unsigned index) const { return slots_[index]; }

    /// Still the same job, in this state?
    bool is(Job job, SlotState state) const {
        return job.index < size() && slots_[job.index].position == job.position &&
               slots_[job.index].state == state;
    }

    /// A Dequeued buffer joins the end as Held. Returns its job.
    Job append(unsigned index);
    /// Of the next one to join.
    std::uint64_t next_position() const { return positions_ + 1; }

    /// Any legal move; Dequeued leaves the line and forgets the job.
    void move_to(unsigned index, SlotState state);

    /// Walking in order of QBUF; empty at the end.
    std::optional<unsigned> first() const { return at(first_); }
    std::optional<unsigned> after(unsigned index) const { return at(slots_[index].after); }

    /// The gate: the first Held buffer, if its in-fence has ended. All before it were given or have
    /// failed.
    std::optional<unsigned> next_to_give() const;
    /// How many may be given from here on without a pause.
    unsigned ready_prefix() const;

    /// The first out-fence that has to end now. `ordered`: not before the earlier out-fences,
    /// unless it is due or belongs to a Failed buffer while the device holds all else
    /// (SEMANTICS 4.7, 5.1).
    std::optional<unsigned> next_due_fence(bool ordered) const;

    /// A Failed buffer that DQBUF returns next: all earlier ones are back with the program.
    std::optional<unsigned> next_failed(bool ordered) const;

    /// The first Failed buffer, while the device holds all else that is queued (SEMANTICS 5.1): it
    /// need not wait.
    std::optional<unsigned> next_failed_when_stalled() const;

    /// No earlier buffer is in line, but for Failed ones.
    bool is_oldest_but_failed(unsigned index) const;

    /// The oldest buffer of the device.
    std::optional<unsigned> oldest_given() const;

    /// The device's buffers with an out-fence, from the oldest.
    std::optional<Job> first_given_fence() const { return given_fence_from(first_); }
    std::optional<Job> next_given_fence(Job job) const;

    unsigned count(SlotState state) const { return counts_[static_cast<std::size_t>(state)]; }

private:
    static std::optional<unsigned> at(std::int32_t index) {
        return index < 0 ? std::nullopt : std::optional<unsigned>(static_cast<unsigned>(index));
    }
    bool stalled() const { return count(SlotState::Held) == 0 && count(SlotState::Done) == 0; }
    std::optional<Job> given_fence_from(std::int32_t index) const;
    void unlink(unsigned index);

    std::deque<Slot> slots_;  ///< They stay where they are: somebody waits for their fences.
    std::int32_t first_ = -1;
    std::int32_t last_ = -1;
    std::int32_t gate_ = -1;  ///< The first Held one.
    std::uint64_t positions_ = 0;
    std::array<unsigned, slot_states> counts_{};
};

}  // namespace v4lfence
