// SPDX-License-Identifier: MIT
//
// The way in: QBUF, the gate, the start, the token.

#include <gtest/gtest.h>

#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/sync/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::bare;
using testing::in_fence;
using testing::Rig;
using Indices = std::vector<unsigned>;
using Answer = Taker::Answer;
using Verdict = Taker::Verdict;

SyncOptions minimum(unsigned count) {
    return {.ordered = true, .taker_starts = false, .minimum = count};
}

// Pins: 4.1, 4.2
TEST(SyncGate, gives_in_qbuf_order_and_holds_all_behind_a_fence) {
    Rig rig;
    EXPECT_EQ(rig.qbuf(2), 0);
    EXPECT_EQ(rig.qbuf(0, in_fence), 0);
    EXPECT_EQ(rig.qbuf(3, bare), 0);
    EXPECT_EQ(rig.qbuf(1, in_fence), 0);
    EXPECT_EQ(rig.taker.given, (Indices{2}));
    rig.end_in_fence(1);
    EXPECT_EQ(rig.taker.given, (Indices{2}));
    rig.end_in_fence(0);
    EXPECT_EQ(rig.taker.given, (Indices{2, 0, 3, 1}));
    EXPECT_EQ(rig.state(1), SlotState::Given);
}

// Pins: 4.1
TEST(SyncGate, fence_end_reported_twice_gives_once) {
    Rig rig;
    rig.qbuf(0, in_fence);
    rig.end_in_fence(0);
    rig.end_in_fence(0);
    rig.end_in_fence(0, -EIO);
    EXPECT_EQ(rig.taker.given, (Indices{0}));
    EXPECT_EQ(rig.state(0), SlotState::Given);
}

TEST(SyncGate, report_of_a_fence_that_is_pending_changes_nothing) {
    Rig rig;
    rig.qbuf(0, in_fence);
    rig.sync.on_in_fence(rig.waits.jobs[0], FenceStatus{});
    EXPECT_TRUE(rig.sync.view(0).in_fence_pending);
    EXPECT_TRUE(rig.waits.is_watched[0]);
    EXPECT_TRUE(rig.taker.given.empty());
}

// Pins: 2.2
TEST(SyncGate, qbuf_returns_with_its_fence_pending) {
    Rig rig;
    EXPECT_EQ(rig.qbuf(0, in_fence), 0);
    const SlotView view = rig.sync.view(0);
    EXPECT_EQ(view.state, SlotState::Held);
    EXPECT_TRUE(view.in_fence_pending && view.out_fence_pending && view.was_held);
    EXPECT_TRUE(rig.waits.is_watched[0]);
    rig.end_in_fence(0);
    EXPECT_FALSE(rig.waits.is_watched[0]);
    EXPECT_FALSE(rig.sync.view(0).in_fence_pending);
    rig.qbuf(1);
    EXPECT_FALSE(rig.sync.view(1).was_held);
}

// Pins: 2, 2.1
TEST(SyncGate, qbuf_of_a_queued_buffer_touches_nothing) {
    Rig rig;
    rig.qbuf(0, in_fence);
    const Job job = rig.sync.view(0).job;
    EXPECT_EQ(rig.qbuf(0, bare), -EINVAL);
    EXPECT_EQ(rig.sync.view(0).job, job);
    EXPECT_TRUE(rig.sync.view(0).out_fence_pending);
    EXPECT_EQ(rig.qbuf(Rig::buffers, bare), -EINVAL);
    rig.end_in_fence(0);
    rig.finish(0);
    EXPECT_EQ(rig.qbuf(0, bare), -EINVAL) << "Done is not back with the program";
    EXPECT_EQ(Rig::code(rig.sync.check_queueable(0)), -EINVAL);
    rig.sync.dequeue(0);
    EXPECT_EQ(Rig::code(rig.sync.check_queueable(0)), 0);
}

// Pins: 2.1
TEST(SyncGate, undone_qbuf_leaves_nothing) {
    Rig rig;
    const std::size_t open = testing::open_descriptors();
    const auto expect_nothing_left = [&](unsigned minted) {
        rig.fence_fds.clear();
        EXPECT_EQ(rig.state(0), SlotState::Dequeued);
        EXPECT_EQ(rig.sync.view().held, 0U);
        EXPECT_EQ(rig.provider.minted(), minted);
        EXPECT_EQ(rig.provider.pending(), 0U);
        EXPECT_EQ(rig.counters.in_fences.load(), 0U);
        EXPECT_EQ(rig.counters.made.load(), rig.counters.ended.load());
        EXPECT_FALSE(rig.waits.is_watched[0]);
        EXPECT_EQ(testing::open_descriptors(), open);
    };
    rig.waits.watch_error = -ENOMEM;
    EXPECT_EQ(rig.qbuf(0, in_fence), -ENOMEM);
    expect_nothing_left(1);
    rig.taker.on_give = [](unsigned) { return Answer{Verdict::Refused, -EINVAL}; };
    EXPECT_EQ(rig.qbuf(0), -EINVAL);
    expect_nothing_left(2);
    rig.taker.on_give = [](unsigned) { return Answer{Verdict::StartFailed, -EPIPE}; };
    EXPECT_EQ(rig.qbuf(0), -EPIPE);
    expect_nothing_left(3);
    rig.taker.on_give = nullptr;
    EXPECT_EQ(rig.qbuf(0), 0) << "and it can be queued again";
    EXPECT_EQ(rig.state(0), SlotState::Given);
}

TEST(SyncGate, in_fences_are_counted_when_committed) {
    Rig rig;
    rig.qbuf(0, in_fence);
    rig.qbuf(1);
    EXPECT_EQ(rig.counters.in_fences.load(), 1U);
}

// Pins: 6.6
TEST(SyncGate, held_buffer_refused_later_fails_alone) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, in_fence);
    rig.qbuf(1);
    rig.taker.on_give = [](unsigned index) {
        return index == 0 ? Answer{Verdict::Refused, -EINVAL} : Answer{};
    };
    rig.end_in_fence(0);
    EXPECT_EQ(rig.state(0), SlotState::Failed);
    EXPECT_EQ(rig.error_of(0), -EINVAL);
    EXPECT_EQ(rig.state(1), SlotState::Given);
    EXPECT_EQ(rig.sync.view().failure, 0);
    EXPECT_EQ(rig.sync.next_failed(), 0U);
}

// --- the start -----------------------------------------------------------------------------------

// Pins: 4.3
TEST(SyncGate, taker_that_starts_is_given_buffers_before_the_stream_is_on) {
    Rig rig;
    rig.qbuf(0);
    EXPECT_EQ(rig.taker.given, (Indices{0}));
    EXPECT_EQ(rig.stream_on(), 0);
    EXPECT_TRUE(rig.taker.starts.empty());
}

// Pins: 4.3
TEST(SyncGate, starts_with_the_ready_prefix_when_it_reaches_the_minimum) {
    for (unsigned count = 1; count <= 3; ++count) {
        Rig rig(minimum(count));
        EXPECT_EQ(rig.stream_on(), 0);
        for (unsigned index = 0; index + 1 < count; ++index) {
            rig.qbuf(index);
        }
        EXPECT_TRUE(rig.taker.given.empty()) << count;
        rig.qbuf(count - 1);
        EXPECT_EQ(rig.taker.given.size(), count);
        EXPECT_EQ(rig.taker.starts, (Indices{count}));
        rig.qbuf(9);
        EXPECT_EQ(rig.taker.given.back(), 9U);
        EXPECT_EQ(rig.taker.starts, (Indices{count})) << "once";
    }
}

// Pins: 4.3
TEST(SyncGate, minimum_of_none_starts_with_streamon_alone) {
    Rig rig(minimum(0));
    rig.qbuf(0, in_fence);
    EXPECT_TRUE(rig.taker.starts.empty());
    EXPECT_EQ(rig.stream_on(), 0);
    EXPECT_EQ(rig.taker.starts, (Indices{0}));
    rig.end_in_fence(0);
    EXPECT_EQ(rig.taker.given, (Indices{0}));
}

// Pins: 4.3
TEST(SyncGate, streamon_starts_with_all_that_is_ready) {
    Rig rig(minimum(2));
    rig.qbuf(0);
    rig.qbuf(1);
    rig.qbuf(2);
    rig.qbuf(3, in_fence);
    EXPECT_TRUE(rig.taker.given.empty());
    EXPECT_EQ(rig.stream_on(), 0);
    EXPECT_EQ(rig.taker.given, (Indices{0, 1, 2}));
    EXPECT_EQ(rig.taker.starts, (Indices{3}));
    EXPECT_TRUE(rig.sync.view().streaming);
}

// Pins: 4.3
TEST(SyncGate, fence_end_starts_a_stream_that_waits_for_it) {
    Rig rig(minimum(2));
    rig.qbuf(0, in_fence);
    rig.qbuf(1);
    EXPECT_EQ(rig.stream_on(), 0);
    EXPECT_TRUE(rig.taker.starts.empty());
    rig.end_in_fence(0);
    EXPECT_EQ(rig.taker.starts, (Indices{2}));
}

// Pins: 5.1
TEST(SyncGate, failed_buffer_does_not_count_toward_the_minimum) {
    Rig rig(minimum(2));
    rig.stream_on();
    rig.qbuf(0, {.in_error = -EIO});
    rig.qbuf(1);
    EXPECT_TRUE(rig.taker.given.empty());
    rig.qbuf(2);
    EXPECT_EQ(rig.taker.given, (Indices{1, 2}));
    EXPECT_EQ(rig.taker.starts, (Indices{2}));
}

TEST(SyncGate, refused_buffer_does_not_count_toward_the_minimum) {
    Rig rig(minimum(2));
    rig.qbuf(0);
    rig.qbuf(1);
    rig.taker.on_give = [](unsigned index) {
        return index == 0 ? Answer{Verdict::Refused, -EINVAL} : Answer{};
    };
    EXPECT_EQ(rig.stream_on(), 0);
    EXPECT_TRUE(rig.taker.starts.empty());
    EXPECT_EQ(rig.state(0), SlotState::Failed);
    rig.qbuf(2);
    EXPECT_EQ(rig.taker.starts, (Indices{2}));
    EXPECT_EQ(rig.taker.given, (Indices{0, 1, 2}));
}

// Pins: 4.5
TEST(SyncGate, start_that_fails_in_streamon_gives_all_back) {
    Rig rig(minimum(2));
    rig.qbuf(0);
    rig.qbuf(1);
    rig.taker.on_start = [](unsigned) { return Answer{Verdict::StartFailed, -ENOSPC}; };
    EXPECT_EQ(rig.stream_on(), -ENOSPC);
    const QueueView view = rig.sync.view();
    EXPECT_FALSE(view.streaming || view.given_any || view.failure != 0);
    EXPECT_EQ(view.held, 2U);
    EXPECT_EQ(rig.provider.pending(), 2U);
    EXPECT_EQ(rig.waits.givens, 0U);
    rig.taker.on_start = nullptr;
    EXPECT_EQ(rig.stream_on(), 0);
    EXPECT_EQ(rig.taker.starts, (Indices{2, 2}));
    EXPECT_EQ(rig.taker.given, (Indices{0, 1, 0, 1}));
}

// Pins: 4.5
TEST(SyncGate, start_that_fails_in_qbuf_undoes_that_qbuf_alone) {
    Rig rig(minimum(2));
    rig.stream_on();
    rig.qbuf(0);
    rig.taker.on_start = [](unsigned) { return Answer{Verdict::StartFailed, -ENOSPC}; };
    EXPECT_EQ(rig.qbuf(1), -ENOSPC);
    EXPECT_EQ(rig.state(0), SlotState::Held);
    EXPECT_EQ(rig.state(1), SlotState::Dequeued);
    EXPECT_EQ(rig.ended(), (Indices{1}));
    EXPECT_TRUE(rig.sync.view().streaming);
    rig.taker.on_start = nullptr;
    EXPECT_EQ(rig.qbuf(1), 0);
    EXPECT_EQ(rig.taker.starts, (Indices{2, 2}));
}

// Pins: 4.5
TEST(SyncGate, start_that_fails_on_a_fence_end_fails_the_queue) {
    for (const bool taker_starts : {false, true}) {
        Rig rig({.ordered = true, .taker_starts = taker_starts, .minimum = 1});
        rig.stream_on();
        rig.qbuf(0, in_fence);
        rig.qbuf(1);
        const auto failing = [](unsigned) { return Answer{Verdict::StartFailed, -ENOSPC}; };
        (taker_starts ? rig.taker.on_give : rig.taker.on_start) = failing;
        rig.end_in_fence(0);
        EXPECT_EQ(rig.sync.view().failure, -EIO);
        EXPECT_EQ(rig.ended(), (Indices{0, 1}));
        EXPECT_EQ(rig.error_of(1), -EIO);
        EXPECT_GT(rig.waits.wakes, 0U);
        EXPECT_EQ(rig.qbuf(2, bare), -EIO);
    }
}

TEST(SyncGate, qbuf_made_within_a_call_of_the_device_is_left_to_the_owner_of_the_token) {
    Rig rig;
    rig.taker.on_give = [&](unsigned index) {
        if (index == 0) {
            EXPECT_EQ(rig.qbuf(1), 0);
            EXPECT_EQ(rig.state(1), SlotState::Held);
            EXPECT_TRUE(rig.sync.view(1).was_held);
        }
        return Answer{};
    };
    EXPECT_EQ(rig.qbuf(0), 0);
    EXPECT_EQ(rig.taker.given, (Indices{0, 1}));
}

// Pins: 4.5
TEST(SyncGate, start_that_fails_for_a_later_buffer_is_told_to_nobody) {
    Rig rig;
    rig.taker.on_give = [&](unsigned index) {
        if (index == 0) {
            rig.qbuf(1);
        }
        return index == 1 ? Answer{Verdict::StartFailed, -EPIPE} : Answer{};
    };
    EXPECT_EQ(rig.qbuf(0), 0) << "its own buffer was taken";
    EXPECT_EQ(rig.sync.view().failure, -EIO);
}

// Pins: 2.1, 4.5
TEST(SyncGate, earlier_buffer_that_cannot_start_fails_this_qbuf_with_its_fence) {
    Rig rig;
    rig.taker.on_give = [&](unsigned index) {
        if (index == 0) {
            rig.qbuf(1);
            return Answer{Verdict::Refused, -EINVAL};
        }
        return Answer{Verdict::StartFailed, -EPIPE};
    };
    EXPECT_EQ(rig.qbuf(0), -EPIPE);
    ASSERT_EQ(rig.state(1), SlotState::Held);

    auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe.has_value());
    const int fd = pipe->read_end.get();
    Submission submission;
    submission.index = 2;
    submission.in = Fence::adopt(std::move(pipe->read_end), FenceKind::Stream);
    EXPECT_EQ(Rig::code(rig.sync.queue(std::move(submission))), -EPIPE);
    EXPECT_EQ(rig.state(1), SlotState::Held);
    EXPECT_EQ(rig.state(2), SlotState::Dequeued);
    EXPECT_FALSE(rig.waits.is_watched[2]);
    EXPECT_EQ(rig.waits.last_unwatched_fd, fd) << "it was still there for who waited for it";
    rig.taker.on_give = nullptr;
    EXPECT_EQ(rig.qbuf(3), 0);
    EXPECT_EQ(rig.taker.given.back(), 3U);
    EXPECT_EQ(rig.state(1), SlotState::Given);
}

// --- the token -----------------------------------------------------------------------------------

// Pins: 4.4
TEST(SyncGate, work_found_with_the_token_taken_is_done_by_its_owner) {
    Rig rig;
    rig.qbuf(0, in_fence);
    rig.qbuf(1, in_fence);
    rig.taker.on_give = [&](unsigned index) {
        if (index == 0) {
            rig.end_in_fence(1);
            EXPECT_EQ(rig.taker.given, (Indices{0})) << "one call at a time";
        }
        return Answer{};
    };
    rig.end_in_fence(0);
    EXPECT_EQ(rig.taker.given, (Indices{0, 1}));
}

// Pins: 4.4
TEST(SyncGate, everything_is_open_while_the_device_is_called) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, {.in_error = -EIO});
    rig.qbuf(1);
    rig.qbuf(2, in_fence);
    rig.taker.on_give = [&](unsigned) {
        EXPECT_EQ(rig.state(2), SlotState::Giving);
        EXPECT_EQ(rig.sync.view().given, 2U);
        rig.finish(1);
        EXPECT_EQ(rig.error_of(1), 0);
        rig.sync.dequeue(0);
        rig.sync.dequeue(1);
        EXPECT_EQ(rig.qbuf(1, in_fence), 0);
        return Answer{};
    };
    rig.end_in_fence(2);
    EXPECT_EQ(rig.state(2), SlotState::Given);
    EXPECT_EQ(rig.state(1), SlotState::Held);
}

// Pins: 4.8
TEST(SyncGate, device_may_finish_before_it_has_taken) {
    Rig rig;
    rig.taker.on_give = [&](unsigned index) {
        rig.finish(index);
        return Answer{};
    };
    EXPECT_EQ(rig.qbuf(0), 0);
    EXPECT_EQ(rig.state(0), SlotState::Done);
    EXPECT_EQ(rig.error_of(0), 0);
}

TEST(SyncGate, program_may_fetch_and_queue_again_before_the_device_has_taken) {
    Rig rig;
    unsigned rounds = 0;
    rig.taker.on_give = [&](unsigned index) {
        if (++rounds == 1) {
            rig.finish(index);
            rig.sync.dequeue(index);
            EXPECT_EQ(rig.qbuf(index), 0);
            EXPECT_EQ(rig.state(index), SlotState::Held);
        }
        return Answer{};
    };
    EXPECT_EQ(rig.qbuf(0), 0);
    EXPECT_EQ(rig.taker.given, (Indices{0, 0}));
    EXPECT_EQ(rig.state(0), SlotState::Given);
    EXPECT_EQ(rig.provider.pending(), 1U);
}

// Pins: 4.4
TEST(SyncGate, nothing_is_given_during_a_pause_and_all_after_it) {
    Rig rig;
    rig.qbuf(0, in_fence);
    {
        const Sync::Pause pause(rig.sync);
        rig.end_in_fence(0);
        rig.qbuf(1);
        EXPECT_TRUE(rig.taker.given.empty());
    }
    EXPECT_EQ(rig.taker.given, (Indices{0, 1}));
    EXPECT_EQ(rig.waits.givens, 1U);
}

TEST(SyncGate, options_wait_for_the_next_generation) {
    Rig rig;
    rig.qbuf(0);
    rig.sync.set_options({.ordered = false, .taker_starts = false, .minimum = 2});
    rig.qbuf(1);
    EXPECT_EQ(rig.taker.given, (Indices{0, 1}));
    EXPECT_TRUE(rig.sync.view().ordered);
    rig.stop();
    EXPECT_FALSE(rig.sync.view().ordered);
    rig.qbuf(0);
    EXPECT_EQ(rig.taker.given, (Indices{0, 1}));
}

TEST(SyncGate, adopted_buffer_is_the_devices) {
    Rig rig;
    rig.sync.adopt_given(3);
    EXPECT_EQ(rig.state(3), SlotState::Given);
    EXPECT_TRUE(rig.sync.view().given_any);
    EXPECT_TRUE(rig.taker.given.empty());
    rig.finish(3);
    rig.sync.dequeue(3);
    EXPECT_EQ(rig.qbuf(3), 0);
}

}  // namespace
}  // namespace v4lfence
