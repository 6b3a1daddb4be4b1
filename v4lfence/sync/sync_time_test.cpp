// SPDX-License-Identifier: MIT
//
// Deadlines of in-fences, bounds of out-fences, and what is said of them.

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/sync/testing/rig.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;

using testing::in_fence;
using testing::Rig;
using testing::With;
using Indices = std::vector<unsigned>;

constexpr With late_in{.in = true, .deadline = 20ms};
constexpr With bounded{.bound = 8s};
constexpr With bounded_in{.in = true, .bound = 8s};

// Pins: 5.6
TEST(SyncTime, without_a_deadline_a_fence_is_waited_for) {
    Rig rig;
    rig.qbuf(0, in_fence);
    EXPECT_FALSE(rig.waits.deadline.has_value());
    rig.clock.advance(24h);
    rig.sync.on_deadline(rig.clock.now());
    EXPECT_EQ(rig.state(0), SlotState::Held);
    EXPECT_EQ(rig.sync.last_expiry().count, 0U);
}

// Pins: 5.6
TEST(SyncTime, deadline_counts_from_the_qbuf_also_before_streamon) {
    Rig rig;
    rig.qbuf(0, late_in);
    EXPECT_EQ(rig.waits.deadline, rig.clock.now() + 20ms);
    rig.pass(19ms);
    EXPECT_EQ(rig.state(0), SlotState::Held);
    rig.pass(1ms);
    EXPECT_EQ(rig.state(0), SlotState::Failed);
    EXPECT_EQ(rig.error_of(0), -ETIME);
    EXPECT_FALSE(rig.waits.is_watched[0]);
    EXPECT_EQ(rig.sync.next_failed(), std::nullopt);
    rig.stream_on();
    EXPECT_EQ(rig.sync.next_failed(), 0U);
    EXPECT_FALSE(rig.sync.view().degraded);
}

// Pins: 5.6
TEST(SyncTime, deadline_opens_the_gate_for_what_waited_behind) {
    Rig rig;
    rig.qbuf(0, late_in);
    rig.qbuf(1);
    rig.pass(20ms);
    EXPECT_EQ(rig.taker.given, (Indices{1}));
    EXPECT_EQ(rig.waits.givens, 1U);
}

TEST(SyncTime, deadline_of_a_fence_that_has_ended_means_nothing) {
    Rig rig;
    rig.qbuf(0, in_fence);
    rig.qbuf(1, late_in);
    rig.end_in_fence(1);
    rig.pass(1min);
    EXPECT_EQ(rig.state(1), SlotState::Held) << "it waits for 0, not for its fence";
    rig.end_in_fence(0);
    EXPECT_EQ(rig.taker.given, (Indices{0, 1}));
}

TEST(SyncTime, timer_is_armed_for_the_earliest_and_then_for_the_next) {
    Rig rig;
    const MonotonicTime start = rig.clock.now();
    rig.qbuf(0, {.in = true, .deadline = 50ms});
    rig.qbuf(1, {.in = true, .deadline = 20ms});
    EXPECT_EQ(rig.waits.deadline, start + 20ms);
    rig.qbuf(2, {.in = true, .deadline = 90ms});
    EXPECT_EQ(rig.waits.deadline, start + 20ms);
    rig.pass(20ms);
    EXPECT_EQ(rig.state(1), SlotState::Failed);
    EXPECT_EQ(rig.waits.deadline, start + 50ms);
    rig.pass(30ms);
    EXPECT_EQ(rig.state(0), SlotState::Failed);
    EXPECT_EQ(rig.waits.deadline, start + 90ms);
    rig.stop();
    EXPECT_FALSE(rig.waits.deadline.has_value());
}

TEST(SyncTime, timer_that_fires_early_is_armed_again) {
    Rig rig;
    rig.qbuf(0, late_in);
    const Deadline deadline = rig.waits.deadline;
    rig.waits.deadline.reset();
    rig.sync.on_deadline(rig.clock.now());
    EXPECT_EQ(rig.waits.deadline, deadline);
    EXPECT_EQ(rig.state(0), SlotState::Held);
}

// Pins: 5.6
TEST(SyncTime, report_names_the_buffer_and_its_fence) {
    Rig rig;
    const MonotonicTime start = rig.clock.now();
    auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe.has_value());
    Submission submission;
    submission.index = 7;
    submission.in = Fence::adopt(std::move(pipe->read_end), FenceKind::Stream);
    submission.deadline = 20ms;
    const FenceNames names = submission.in->names();
    ASSERT_NE(std::strlen(names.driver.data()), 0U);
    ASSERT_TRUE(rig.sync.queue(std::move(submission)).has_value());
    rig.pass(25ms);
    const Expiry expiry = rig.sync.last_expiry();
    EXPECT_EQ(expiry.count, 1U);
    EXPECT_EQ(expiry.index, 7U);
    EXPECT_EQ(expiry.error, -ETIME);
    EXPECT_FALSE(expiry.bound);
    EXPECT_EQ(expiry.queued_at, start);
    EXPECT_EQ(expiry.expired_at, start + 25ms);
    EXPECT_STREQ(expiry.in_fence.driver.data(), names.driver.data());
    EXPECT_STREQ(expiry.in_fence.timeline.data(), names.timeline.data());
}

// Pins: 5.7
TEST(SyncTime, buffer_still_held_at_its_bound_fails) {
    Rig rig;
    rig.qbuf(0, bounded_in);
    rig.pass(7999ms);
    EXPECT_EQ(rig.provider.pending(), 1U);
    rig.pass(1ms);
    EXPECT_EQ(rig.state(0), SlotState::Failed);
    EXPECT_EQ(rig.error_of(0), -ETIME);
    EXPECT_FALSE(rig.waits.is_watched[0]);
    EXPECT_TRUE(rig.sync.view().degraded);
    EXPECT_TRUE(rig.sync.last_expiry().bound);
    rig.stop();
    EXPECT_FALSE(rig.sync.view().degraded) << "for this generation";
}

// Pins: 5.7
TEST(SyncTime, bound_does_not_wait_for_earlier_fences) {
    Rig rig;
    rig.qbuf(0, in_fence);  // Without a bound.
    rig.qbuf(1, bounded);
    rig.pass(8s);
    EXPECT_EQ(rig.state(1), SlotState::Failed);
    EXPECT_EQ(rig.ended(), (Indices{1}));
}

// Pins: 5.7
TEST(SyncTime, buffer_of_the_device_has_its_fence_ended_at_its_bound) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, bounded);
    rig.pass(8s);
    EXPECT_EQ(rig.state(0), SlotState::Given);
    EXPECT_EQ(rig.error_of(0), -ETIME);
    EXPECT_TRUE(rig.sync.view(0).expired) << "it carries ERROR when it comes";
    EXPECT_FALSE(rig.sync.view(0).out_fence_pending);
    EXPECT_FALSE(rig.sync.view().given_fences);
    EXPECT_TRUE(rig.sync.view().degraded);
    rig.finish(0);
    EXPECT_TRUE(rig.sync.view(0).expired);
    rig.sync.dequeue(0);
    EXPECT_EQ(rig.ended(), (Indices{0})) << "once";
    rig.qbuf(0);
    EXPECT_FALSE(rig.sync.view(0).expired);
}

// Pins: 5.7
TEST(SyncTime, fence_that_waits_for_its_turn_ends_at_its_bound) {
    Rig rig;
    rig.qbuf(0);  // Without a bound.
    rig.qbuf(1, bounded);
    rig.finish(1);
    EXPECT_TRUE(rig.ended().empty());
    rig.pass(8s);
    EXPECT_EQ(rig.ended(), (Indices{1}));
    EXPECT_EQ(rig.error_of(1), 0) << "the buffer itself is good";
}

TEST(SyncTime, bound_of_a_fence_that_has_ended_means_nothing) {
    Rig rig;
    rig.qbuf(0, bounded);
    rig.finish(0);
    rig.pass(8s);
    EXPECT_FALSE(rig.sync.view().degraded);
    EXPECT_EQ(rig.sync.last_expiry().count, 0U);
}

// Pins: 5.8
TEST(SyncTime, starvation_by_the_minimum_is_accepted_and_to_be_seen) {
    Rig rig({.ordered = true, .taker_starts = false, .minimum = 2});
    rig.stream_on();
    rig.qbuf(0);
    rig.qbuf(1, in_fence);  // As if it waited for the out-fence of 0.
    const QueueView view = rig.sync.view();
    EXPECT_TRUE(view.streaming);
    EXPECT_FALSE(view.given_any);
    EXPECT_EQ(view.held, 2U);
    EXPECT_TRUE(rig.sync.view(1).in_fence_pending);
    rig.stop();
    EXPECT_EQ(rig.ended(), (Indices{0, 1}));
}

// Pins: 5.7
TEST(SyncTime, expiry_while_the_device_is_called_ends_the_fence_once) {
    Rig rig;
    rig.taker.on_give = [&](unsigned) {
        rig.clock.advance(8s);
        rig.sync.on_deadline(rig.clock.now());
        return Taker::Answer{};
    };
    EXPECT_EQ(rig.qbuf(0, bounded), 0);
    EXPECT_EQ(rig.state(0), SlotState::Given);
    EXPECT_EQ(rig.error_of(0), -ETIME);
    rig.finish(0);
    EXPECT_EQ(rig.ended(), (Indices{0}));
}

}  // namespace
}  // namespace v4lfence
