// SPDX-License-Identifier: MIT
//
// Two fences of one buffer: the program's own, and that of others who are not finished with the
// memory.

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/sync/testing/rig.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;

using testing::Rig;
using testing::With;
using Indices = std::vector<unsigned>;

constexpr With busy{.busy = true};
constexpr With both{.in = true, .busy = true};

TEST(SyncBusy, memory_in_use_holds_a_buffer_without_an_in_fence) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, busy);
    rig.qbuf(1);
    EXPECT_EQ(rig.taker.given, Indices{});
    EXPECT_TRUE(rig.sync.view(0).in_fence_pending);
    EXPECT_EQ(rig.counters.in_fences.load(), 1U);
    rig.end_in_fence(0);
    EXPECT_EQ(rig.taker.given, (Indices{0, 1}));
    EXPECT_FALSE(rig.sync.view(0).in_fence_pending);
}

TEST(SyncBusy, both_are_waited_for_one_after_the_other) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, both);
    const Fence* const first = rig.waits.fences[0];
    EXPECT_EQ(first->kind(), FenceKind::Stream);
    rig.end_in_fence(0);
    EXPECT_EQ(rig.state(0), SlotState::Held);
    EXPECT_TRUE(rig.sync.view(0).in_fence_pending);
    EXPECT_TRUE(rig.waits.is_watched[0]);
    EXPECT_EQ(rig.waits.fences[0]->kind(), FenceKind::SyncFile);
    EXPECT_EQ(rig.taker.given, Indices{});
    rig.end_in_fence(0);
    EXPECT_EQ(rig.taker.given, Indices{0});
    EXPECT_FALSE(rig.waits.is_watched[0]);
}

TEST(SyncBusy, how_it_ends_says_nothing) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, busy);
    rig.qbuf(1, both);
    rig.end_in_fence(0, -EIO);
    EXPECT_EQ(rig.taker.given, Indices{0});
    rig.end_in_fence(1);
    rig.end_in_fence(1, -EIO);
    EXPECT_EQ(rig.taker.given, (Indices{0, 1}));
}

// Pins: 5.1
TEST(SyncBusy, own_in_fence_that_fails_does_not_wait_for_the_memory) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, both);
    rig.end_in_fence(0, -EIO);
    EXPECT_EQ(rig.state(0), SlotState::Failed);
    EXPECT_FALSE(rig.waits.is_watched[0]);
    EXPECT_EQ(rig.error_of(0), -EIO);
    EXPECT_EQ(rig.sync.next_failed(), 0U);
}

TEST(SyncBusy, in_fence_that_had_failed_leaves_nothing_to_watch) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, {.in_error = -EIO, .busy = true});
    EXPECT_EQ(rig.state(0), SlotState::Failed);
    EXPECT_FALSE(rig.waits.is_watched[0]);
    EXPECT_FALSE(rig.sync.view(0).in_fence_pending);
}

// Pins: 5.6
TEST(SyncBusy, deadline_holds_for_both) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, {.in = true, .deadline = 20ms, .busy = true});
    rig.pass(15ms);
    rig.end_in_fence(0);
    rig.pass(5ms);
    EXPECT_EQ(rig.state(0), SlotState::Failed);
    EXPECT_EQ(rig.error_of(0), -ETIME);
    EXPECT_FALSE(rig.waits.is_watched[0]);
    EXPECT_EQ(rig.sync.last_expiry().count, 1U);
}

// Pins: 5.4
TEST(SyncBusy, cancel_drops_both) {
    const std::size_t before = testing::open_descriptors();
    {
        Rig rig;
        rig.stream_on();
        rig.qbuf(0, both);
        rig.qbuf(1, both);
        rig.end_in_fence(1);
        rig.stop();
        EXPECT_FALSE(rig.waits.is_watched[0] || rig.waits.is_watched[1]);
        EXPECT_EQ(rig.state(0), SlotState::Dequeued);
        const Job late = rig.waits.jobs[1];
        rig.qbuf(1, both);
        rig.end_in_fence(late, 0);
        EXPECT_EQ(rig.waits.fences[1]->kind(), FenceKind::Stream) << "a late end of an older job";
    }
    EXPECT_EQ(testing::open_descriptors(), before);
}

TEST(SyncBusy, second_watch_that_fails_fails_the_buffer) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0, both);
    rig.waits.watch_error = -ENOMEM;
    rig.end_in_fence(0);
    EXPECT_EQ(rig.state(0), SlotState::Failed);
    EXPECT_EQ(rig.error_of(0), -ENOMEM);
}

// Pins: 2.1
TEST(SyncBusy, refused_qbuf_leaves_nothing) {
    const std::size_t before = testing::open_descriptors();
    Rig rig;
    rig.waits.watch_error = -ENOMEM;
    EXPECT_EQ(rig.qbuf(0, busy), -ENOMEM);
    rig.waits.watch_error = -ENOMEM;
    EXPECT_EQ(rig.qbuf(0, both), -ENOMEM);
    EXPECT_EQ(rig.state(0), SlotState::Dequeued);
    rig.fence_fds.clear();
    EXPECT_EQ(testing::open_descriptors(), before);
}

/// A start that fails takes back the own buffer, whose fences nobody may go on to wait for.
// Pins: 4.5
TEST(SyncBusy, start_that_fails_takes_back_a_buffer_that_is_held) {
    Rig rig({.taker_starts = false, .minimum = 1});
    rig.stream_on();
    rig.taker.on_start = [](unsigned) {
        return Taker::Answer{Taker::Verdict::StartFailed, -ENOSPC};
    };
    EXPECT_EQ(rig.qbuf(0), -ENOSPC);
    rig.qbuf(0, both);
    rig.end_in_fence(0);
    EXPECT_EQ(rig.state(0), SlotState::Held) << "the memory is in use yet";
    rig.end_in_fence(0);
    EXPECT_EQ(rig.sync.view().failure, -EIO);
}

}  // namespace
}  // namespace v4lfence
