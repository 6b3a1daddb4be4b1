// SPDX-License-Identifier: MIT
//
// All at once: STREAMOFF, failed queues, fork.

#include <gtest/gtest.h>

#include <vector>

#include "v4lfence/sync/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::bare;
using testing::in_fence;
using testing::Rig;
using Indices = std::vector<unsigned>;
using Answer = Taker::Answer;
using Verdict = Taker::Verdict;

/// 0 Done, 1 Failed, 2 with the device, 3 held by its fence, 4 held behind it.
void fill(Rig& rig) {
    rig.stream_on();
    rig.qbuf(0);
    rig.finish(0);
    rig.qbuf(1, {.in_error = -EPROTO});
    rig.qbuf(2);
    rig.qbuf(3, in_fence);
    rig.qbuf(4);
}

// Pins: 5.4
TEST(SyncCancel, buffers_in_every_state_are_back_and_all_fences_ended) {
    Rig rig;
    fill(rig);
    EXPECT_EQ(rig.ended(), (Indices{0, 1}));
    const std::uint64_t generation = rig.sync.view().generation;
    const unsigned wakes = rig.waits.wakes;
    rig.stop();
    EXPECT_EQ(rig.ended(), (Indices{0, 1, 2, 3, 4}));
    EXPECT_EQ(rig.error_of(0), 0);
    EXPECT_EQ(rig.error_of(1), -EPROTO);
    for (const unsigned index : {2U, 3U, 4U}) {
        EXPECT_EQ(rig.error_of(index), -ECANCELED);
    }
    for (unsigned index = 0; index < 5; ++index) {
        EXPECT_EQ(rig.state(index), SlotState::Dequeued);
    }
    const QueueView view = rig.sync.view();
    EXPECT_EQ(view.held + view.given + view.done + view.failed, 0U);
    EXPECT_FALSE(view.streaming || view.given_any);
    EXPECT_EQ(view.generation, generation + 1);
    EXPECT_FALSE(rig.waits.is_watched[3]);
    EXPECT_GT(rig.waits.wakes, wakes) << "who waits in DQBUF has to know";
}

// Pins: 5.4
TEST(SyncCancel, held_buffer_is_never_given_though_its_fence_ends_later) {
    Rig rig;
    fill(rig);
    const Job held = rig.waits.jobs[3];
    const Job given = rig.sync.view(2).job;
    {
        const Sync::Pause pause(rig.sync);
        rig.end_in_fence(held, 0);
        rig.sync.cancel(-ECANCELED);
        EXPECT_EQ(rig.state(3), SlotState::Dequeued);
    }
    rig.end_in_fence(held, 0);
    rig.sync.finish(given, 0);
    EXPECT_EQ(rig.taker.given, (Indices{0, 2}));
    EXPECT_EQ(rig.ended().size(), 5U);
}

// Pins: 5.4
TEST(SyncCancel, what_the_device_finished_while_stopping_ends_well) {
    Rig rig;
    for (const unsigned index : {0U, 1U, 2U}) {
        rig.qbuf(index);
    }
    {
        const Sync::Pause pause(rig.sync);
        rig.finish(1);  // Out of order: its fence waits for that of 0.
        rig.sync.cancel(-ECANCELED);
    }
    EXPECT_EQ(rig.ended(), (Indices{0, 1, 2}));
    EXPECT_EQ(rig.error_of(0), -ECANCELED);
    EXPECT_EQ(rig.error_of(1), 0);
    EXPECT_EQ(rig.error_of(2), -ECANCELED);
}

TEST(SyncCancel, next_generation_begins_from_nothing) {
    Rig rig({.ordered = true, .taker_starts = false, .minimum = 2});
    rig.stream_on();
    rig.qbuf(0);
    rig.qbuf(1);
    rig.stop();
    rig.qbuf(0);
    rig.qbuf(1);
    EXPECT_EQ(rig.taker.starts, (Indices{2}));
    rig.stream_on();
    EXPECT_EQ(rig.taker.starts, (Indices{2, 2}));
    EXPECT_EQ(rig.taker.given, (Indices{0, 1, 0, 1}));
}

TEST(SyncCancel, of_an_empty_queue_is_harmless) {
    Rig rig;
    rig.stop();
    rig.stop();
    EXPECT_EQ(rig.qbuf(0), 0);
    EXPECT_EQ(rig.state(0), SlotState::Given);
}

// --- failed queues
// --------------------------------------------------------------------------------

// Pins: 5.4
TEST(SyncFail, all_fences_end_and_nothing_more_is_given) {
    Rig rig;
    fill(rig);
    const unsigned wakes = rig.waits.wakes;
    rig.sync.fail_queue(-ENODEV);
    EXPECT_EQ(rig.ended(), (Indices{0, 1, 2, 3, 4}));
    for (const unsigned index : {2U, 3U, 4U}) {
        EXPECT_EQ(rig.error_of(index), -ENODEV);
    }
    EXPECT_EQ(rig.sync.view().failure, -ENODEV);
    EXPECT_FALSE(rig.sync.view(3).in_fence_pending);
    EXPECT_FALSE(rig.waits.is_watched[3]);
    EXPECT_GT(rig.waits.wakes, wakes);
    rig.end_in_fence(3);
    EXPECT_EQ(rig.taker.given, (Indices{0, 2}));
    EXPECT_EQ(rig.qbuf(5, bare), -ENODEV);
    EXPECT_EQ(Rig::code(rig.sync.check_queueable(5)), -ENODEV);
}

TEST(SyncFail, first_failure_is_the_one_that_counts) {
    Rig rig;
    rig.qbuf(0);
    rig.sync.fail_queue(-ENODEV);
    rig.sync.fail_queue(-EIO);
    EXPECT_EQ(rig.sync.view().failure, -ENODEV);
    EXPECT_EQ(rig.ended(), (Indices{0}));
}

// Pins: 2, 2.1
TEST(SyncFail, qbuf_on_a_failed_queue_keeps_nothing) {
    Rig rig;
    rig.sync.fail_queue(-EIO);
    EXPECT_EQ(rig.qbuf(0, in_fence), -EIO);
    EXPECT_EQ(rig.provider.pending(), 0U);
    EXPECT_EQ(rig.state(0), SlotState::Dequeued);
    EXPECT_FALSE(rig.waits.is_watched[0]);
}

TEST(SyncFail, cancel_makes_it_whole) {
    Rig rig;
    fill(rig);
    rig.sync.fail_queue(-EIO);
    rig.stop();
    EXPECT_EQ(rig.ended().size(), 5U) << "each once";
    EXPECT_EQ(rig.sync.view().failure, 0);
    EXPECT_EQ(rig.qbuf(0), 0);
    EXPECT_EQ(rig.state(0), SlotState::Given);
}

TEST(SyncFail, time_does_not_touch_it) {
    using namespace std::chrono_literals;
    Rig rig;
    rig.qbuf(0, {.in = true, .deadline = 5ms});
    rig.sync.fail_queue(-EIO);
    rig.pass(10ms);
    EXPECT_EQ(rig.sync.last_expiry().count, 0U);
    EXPECT_EQ(rig.state(0), SlotState::Held);
}

// Pins: 5.4
TEST(SyncFail, device_that_is_gone_fails_the_qbuf_and_the_queue) {
    Rig rig;
    rig.qbuf(0);
    rig.taker.on_give = [](unsigned) { return Answer{Verdict::Gone, -ENODEV}; };
    EXPECT_EQ(rig.qbuf(1), -ENODEV);
    EXPECT_EQ(rig.state(1), SlotState::Dequeued);
    EXPECT_EQ(rig.error_of(0), -ENODEV);
    EXPECT_EQ(rig.sync.view().failure, -ENODEV);
}

// Pins: 5.4
TEST(SyncFail, device_found_gone_by_a_fence_end_ends_all_fences) {
    Rig rig;
    rig.qbuf(0, in_fence);
    rig.qbuf(1);
    rig.taker.on_give = [](unsigned) { return Answer{Verdict::Gone, -ENODEV}; };
    rig.end_in_fence(0);
    EXPECT_EQ(rig.taker.given, (Indices{0}));
    EXPECT_EQ(rig.ended(), (Indices{0, 1}));
    EXPECT_EQ(rig.error_of(0), -ENODEV);
}

TEST(SyncFail, device_that_is_gone_is_told_to_streamon) {
    Rig rig({.ordered = true, .taker_starts = false, .minimum = 1});
    rig.qbuf(0);
    rig.taker.on_give = [](unsigned) { return Answer{Verdict::Gone, -ENODEV}; };
    EXPECT_EQ(rig.stream_on(), -ENODEV);
    EXPECT_EQ(rig.sync.view().failure, -ENODEV);
}

// Pins: 5.4
TEST(SyncFail, queue_that_fails_while_the_device_is_called_gives_no_more) {
    Rig rig;
    rig.qbuf(0, in_fence);
    rig.qbuf(1);
    rig.taker.on_give = [&](unsigned) {
        rig.sync.fail_queue(-ENODEV);
        EXPECT_EQ(rig.provider.pending(), 0U);
        return Answer{};
    };
    rig.end_in_fence(0);
    EXPECT_EQ(rig.taker.given, (Indices{0}));
}

// --- fork
// -----------------------------------------------------------------------------------------

// Pins: 7.4
TEST(SyncFork, child_gives_promises_up_and_can_still_close) {
    Rig rig;
    rig.qbuf(0);
    rig.taker.on_give = [&](unsigned) {
        rig.qbuf(1, in_fence);
        // Another thread owns the token at the moment of the fork.
        rig.sync.lock_for_fork();
        rig.sync.abandon();
        rig.sync.unlock_after_fork();
        rig.stop();
        return Answer{};
    };
    rig.qbuf(2);
    EXPECT_TRUE(rig.ended().empty()) << "they are the parent's to end";
    EXPECT_EQ(rig.sync.view().held, 0U);
}

TEST(SyncFork, child_finds_the_queue_failed) {
    Rig rig;
    rig.qbuf(0, in_fence);
    rig.sync.lock_for_fork();
    rig.sync.abandon();
    rig.sync.unlock_after_fork();
    EXPECT_EQ(rig.qbuf(1, bare), -EIO);
    rig.end_in_fence(0);
    EXPECT_TRUE(rig.taker.given.empty());
}

TEST(SyncFork, parent_goes_on) {
    Rig rig;
    rig.qbuf(0, in_fence);
    rig.sync.lock_for_fork();
    rig.sync.unlock_after_fork();
    rig.end_in_fence(0);
    rig.finish(0);
    EXPECT_EQ(rig.error_of(0), 0);
}

}  // namespace
}  // namespace v4lfence
