// SPDX-License-Identifier: MIT
//
// The way out of single buffers: finished, failed, fetched; the order in which fences end.

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

#include "v4lfence/fence/fence.hpp"
#include "v4lfence/sync/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::bare;
using testing::in_fence;
using testing::Rig;
using testing::With;
using Indices = std::vector<unsigned>;

// Pins: 4.8
TEST(SyncEnd, fence_has_ended_when_finish_returns) {
    Rig rig;
    rig.qbuf(0);
    ASSERT_EQ(rig.provider.pending(), 1U);
    rig.finish(0);
    EXPECT_EQ(rig.state(0), SlotState::Done);
    EXPECT_FALSE(rig.sync.view(0).out_fence_pending);
    const Fence fence = Fence::adopt(std::move(rig.fence_fds[0]), FenceKind::Stream);
    EXPECT_EQ(fence.status().state, FenceState::Signaled);
    EXPECT_EQ(rig.counters.ended.load(), 1U);
    rig.sync.dequeue(0);
    EXPECT_EQ(rig.state(0), SlotState::Dequeued);
    EXPECT_EQ(rig.counters.ended.load(), 1U);
}

// Pins: 5.2
TEST(SyncEnd, error_of_the_device_is_the_fences) {
    Rig rig;
    rig.qbuf(0);
    rig.finish(0, -EIO);
    EXPECT_EQ(rig.error_of(0), -EIO);
    const Fence fence = Fence::adopt(std::move(rig.fence_fds[0]), FenceKind::Stream);
    EXPECT_EQ(fence.status().state, FenceState::Failed);
}

// Pins: 5.3
TEST(SyncEnd, job_is_finished_once) {
    Rig rig;
    rig.qbuf(0);
    const Job job = rig.sync.view(0).job;
    rig.sync.finish(job, -EIO);
    rig.sync.finish(job, 0);
    EXPECT_EQ(rig.ended(), (Indices{0}));
    EXPECT_EQ(rig.error_of(0), -EIO);
    rig.qbuf(1);
    rig.qbuf(2);
    rig.finish(2, -EIO);
    rig.finish(2, 0);
    EXPECT_EQ(rig.ended(), (Indices{0})) << "its fence waits for its turn";
    rig.finish(1);
    EXPECT_EQ(rig.error_of(2), -EIO) << "the first word counts";
}

TEST(SyncEnd, finish_of_what_the_device_does_not_own_changes_nothing) {
    Rig rig;
    rig.qbuf(0);
    const Job job = rig.sync.view(0).job;
    rig.sync.finish(job, 0);
    rig.sync.dequeue(0);
    rig.qbuf(0);
    rig.sync.finish(job, 0);
    EXPECT_EQ(rig.state(0), SlotState::Given) << "a later job on the same index";
    rig.qbuf(1, in_fence);
    rig.finish(1);
    EXPECT_EQ(rig.state(1), SlotState::Held);
    rig.sync.finish(Job{Rig::buffers + 5, 1}, 0);
    EXPECT_EQ(rig.provider.pending(), 2U);
}

TEST(SyncEnd, dequeue_of_what_the_device_owns_changes_nothing) {
    Rig rig;
    rig.qbuf(0);
    rig.qbuf(1, in_fence);
    rig.sync.dequeue(0);
    rig.sync.dequeue(1);
    rig.sync.dequeue(2);
    rig.sync.dequeue(Rig::buffers);
    EXPECT_EQ(rig.state(0), SlotState::Given);
    EXPECT_EQ(rig.state(1), SlotState::Held);
    EXPECT_EQ(rig.provider.pending(), 2U);
}

// Pins: 4.6
TEST(SyncEnd, device_may_finish_in_any_order) {
    Rig rig({.ordered = false});
    for (const unsigned index : {0U, 1U, 2U}) {
        rig.qbuf(index);
    }
    for (const unsigned index : {2U, 0U, 1U}) {
        rig.finish(index);
        rig.sync.dequeue(index);
    }
    EXPECT_EQ(rig.ended(), (Indices{2, 0, 1}));
    EXPECT_EQ(rig.sync.view().done, 0U);
}

// Pins: 4.7
TEST(SyncEnd, fences_of_an_ordered_queue_end_in_queue_order) {
    Rig rig;
    for (const unsigned index : {3U, 1U, 2U}) {
        rig.qbuf(index);
    }
    rig.finish(2);
    rig.finish(1);
    EXPECT_TRUE(rig.ended().empty());
    EXPECT_TRUE(rig.sync.view(1).out_fence_pending);
    rig.finish(3);
    EXPECT_EQ(rig.ended(), (Indices{3, 1, 2}));
}

// Pins: 4.7
TEST(SyncEnd, fence_does_not_wait_for_buffers_without_fences) {
    Rig rig;
    rig.qbuf(0, bare);
    rig.qbuf(1);
    rig.finish(1);
    EXPECT_EQ(rig.ended(), (Indices{1}));
}

// Pins: 1.5, 4.8
TEST(SyncEnd, queue_seen_out_of_order_loses_it_for_this_generation) {
    Rig rig;
    for (const unsigned index : {0U, 1U, 2U}) {
        rig.qbuf(index);
    }
    rig.finish(1);
    EXPECT_TRUE(rig.sync.view().ordered);
    rig.sync.dequeue(1);
    EXPECT_EQ(rig.error_of(1), 0) << "with its buffer back a fence has ended";
    EXPECT_FALSE(rig.sync.view().ordered);
    rig.finish(2);
    EXPECT_EQ(rig.ended(), (Indices{1, 2}));
    rig.stop();
    EXPECT_TRUE(rig.sync.view().ordered);
}

// Pins: 1.5
TEST(SyncEnd, failed_buffers_before_it_do_not_make_a_queue_unordered) {
    Rig rig;
    rig.qbuf(0, {.in_error = -EIO});
    rig.qbuf(1);
    rig.finish(1);
    rig.sync.dequeue(1);
    EXPECT_TRUE(rig.sync.view().ordered);
}

// --- failed in-fences
// -----------------------------------------------------------------------------

// Pins: 5.1
TEST(SyncEnd, failed_in_fence_keeps_the_buffer_from_the_device) {
    for (const bool before_qbuf : {false, true}) {
        Rig rig;
        rig.stream_on();
        const With with{.in = !before_qbuf, .in_error = before_qbuf ? -EPROTO : 0};
        {
            const Sync::Pause all_at_once(rig.sync);
            rig.qbuf(0);
            EXPECT_EQ(rig.qbuf(1, with), 0);
            rig.qbuf(2);
            rig.qbuf(3, in_fence);
        }
        if (!before_qbuf) {
            rig.end_in_fence(1, -EPROTO);
        }
        EXPECT_EQ(rig.taker.given, (Indices{0, 2}));
        EXPECT_EQ(rig.state(1), SlotState::Failed);
        EXPECT_EQ(rig.sync.next_failed(), std::nullopt) << "after all earlier ones";
        EXPECT_TRUE(rig.ended().empty());
        rig.finish(0);
        EXPECT_EQ(rig.ended(), (Indices{0, 1}));
        EXPECT_EQ(rig.error_of(1), -EPROTO);
        EXPECT_EQ(rig.sync.next_failed(), std::nullopt);
        rig.sync.dequeue(0);
        EXPECT_EQ(rig.sync.next_failed(), 1U);
        rig.sync.dequeue(1);
        EXPECT_EQ(rig.state(1), SlotState::Dequeued);
        EXPECT_EQ(rig.sync.next_failed(), std::nullopt);
    }
}

// Pins: 5.1
TEST(SyncEnd, failed_buffer_comes_at_once_when_the_device_holds_all_else) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0);
    rig.qbuf(1, in_fence);
    rig.qbuf(2, in_fence);
    rig.end_in_fence(1, -EIO);
    EXPECT_EQ(rig.sync.next_failed_when_stalled(), std::nullopt) << "2 is held";
    EXPECT_TRUE(rig.ended().empty());
    rig.end_in_fence(2);
    EXPECT_EQ(rig.sync.next_failed_when_stalled(), 1U);
    EXPECT_EQ(rig.ended(), (Indices{1}));
    EXPECT_EQ(rig.sync.next_failed(), std::nullopt);
}

// Pins: 5.1
TEST(SyncEnd, stall_that_begins_with_a_dqbuf_is_told) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0);
    rig.qbuf(1);
    rig.finish(0);
    rig.qbuf(2, {.in_error = -EIO});
    EXPECT_EQ(rig.sync.next_failed_when_stalled(), std::nullopt) << "0 is ready";
    const unsigned wakes = rig.waits.wakes;
    rig.sync.dequeue(0);
    EXPECT_EQ(rig.sync.next_failed_when_stalled(), 2U);
    EXPECT_EQ(rig.ended(), (Indices{0, 2}));
    EXPECT_GT(rig.waits.wakes, wakes);
}

// Pins: 5.1
TEST(SyncEnd, failed_buffer_comes_at_once_on_an_unordered_queue) {
    Rig rig({.ordered = false});
    rig.stream_on();
    rig.qbuf(0);
    rig.qbuf(1, in_fence);
    rig.qbuf(2, in_fence);
    const unsigned wakes = rig.waits.wakes;
    rig.end_in_fence(1, -EIO);
    EXPECT_EQ(rig.sync.next_failed(), 1U);
    EXPECT_EQ(rig.ended(), (Indices{1}));
    EXPECT_GT(rig.waits.wakes, wakes);
}

// Pins: 5.1
TEST(SyncEnd, nothing_failed_comes_before_streamon) {
    Rig rig;
    rig.qbuf(0, {.in_error = -EIO});
    EXPECT_EQ(rig.ended(), (Indices{0}));
    EXPECT_EQ(rig.sync.next_failed(), std::nullopt);
    EXPECT_EQ(rig.sync.next_failed_when_stalled(), std::nullopt);
    EXPECT_EQ(rig.waits.wakes, 0U);
    rig.stream_on();
    EXPECT_EQ(rig.sync.next_failed(), 0U);
    EXPECT_GT(rig.waits.wakes, 0U);
}

// Pins: 5.1
TEST(SyncEnd, turn_of_a_failed_buffer_wakes_who_waits) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0);
    rig.qbuf(1, {.in_error = -EIO});
    rig.qbuf(2, in_fence);
    rig.finish(0);
    const unsigned wakes = rig.waits.wakes;
    rig.sync.dequeue(0);
    EXPECT_GT(rig.waits.wakes, wakes);
}

// Pins: 5.1
TEST(SyncEnd, failed_buffer_fetched_before_its_turn_has_its_fence_ended) {
    Rig rig;
    rig.stream_on();
    rig.qbuf(0);
    rig.qbuf(1, in_fence);
    rig.qbuf(2, in_fence);
    rig.end_in_fence(1, -EPROTO);
    ASSERT_TRUE(rig.ended().empty());
    rig.sync.dequeue(1);
    EXPECT_EQ(rig.error_of(1), -EPROTO);
    EXPECT_EQ(rig.state(1), SlotState::Dequeued);
    EXPECT_TRUE(rig.sync.view().ordered);
}

// Pins: 5.1
TEST(SyncEnd, thirty_two_failed_in_a_row_come_in_order) {
    Rig rig;
    rig.stream_on();
    for (unsigned index = 0; index < 32; ++index) {
        rig.qbuf(index, in_fence);
    }
    rig.qbuf(32);
    for (unsigned index = 32; index-- > 0;) {
        rig.end_in_fence(index, -EPROTO);
    }
    EXPECT_EQ(rig.taker.given, (Indices{32}));
    Indices order;
    while (const auto index = rig.sync.next_failed()) {
        order.push_back(*index);
        rig.sync.dequeue(*index);
    }
    ASSERT_EQ(order.size(), 32U);
    for (unsigned index = 0; index < 32; ++index) {
        EXPECT_EQ(order[index], index);
        EXPECT_EQ(rig.error_of(index), -EPROTO);
    }
    EXPECT_EQ(rig.provider.pending(), 1U);
}

// Pins: 5.1
TEST(SyncEnd, thirty_two_ready_at_once_use_no_more_stack_than_one) {
    Rig rig;
    std::vector<const void*> depths;
    rig.taker.on_give = [&](unsigned) {
        depths.push_back(__builtin_frame_address(0));
        return Taker::Answer{};
    };
    for (unsigned index = 0; index < 32; ++index) {
        rig.qbuf(index, in_fence);
    }
    for (unsigned index = 31; index > 0; --index) {
        rig.end_in_fence(index);
    }
    rig.end_in_fence(0);
    ASSERT_EQ(depths.size(), 32U);
    EXPECT_EQ(depths.front(), depths.back());
}

// --- what is to be seen
// ---------------------------------------------------------------------------

TEST(SyncEnd, fences_of_the_device_are_walked_from_the_oldest) {
    Rig rig;
    EXPECT_FALSE(rig.sync.view().given_fences);
    rig.qbuf(4);
    rig.qbuf(2, bare);
    rig.qbuf(1);
    rig.qbuf(0, in_fence);
    EXPECT_TRUE(rig.sync.view().given_fences);
    const auto first = rig.sync.first_given_fence();
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->index, 4U);
    const auto second = rig.sync.next_given_fence(*first);
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(second->index, 1U);
    EXPECT_FALSE(rig.sync.next_given_fence(*second).has_value());
}

TEST(SyncEnd, view_of_no_buffer_is_empty) {
    Rig rig;
    EXPECT_EQ(rig.sync.view(Rig::buffers).job, Job{});
    rig.sync.resize(2);
    EXPECT_EQ(rig.sync.size(), 2U);
    EXPECT_EQ(rig.sync.view(2).state, SlotState::Dequeued);
}

// Pins: 3.3
TEST(SyncEnd, fence_that_is_about_to_end_is_seen_when_it_has_ended) {
    class Watching final : public FenceContext {
    public:
        Result<MintedFence> mint(unsigned slot) override {
            return MintedFence{UniqueFd(), FencePromise(*this, UniqueFd(), slot)};
        }
        Result<> begin_generation(bool /*ordered*/) override { return {}; }
        void abandon() noexcept override {}
        Sync* sync = nullptr;
        std::atomic<unsigned> ended{0};
        std::vector<std::future<unsigned>> ended_at_view;

    private:
        void end_fence(UniqueFd /*end*/, std::uint64_t id, int /*error*/) noexcept override {
            std::promise<void> begun;
            ended_at_view.push_back(std::async(std::launch::async, [this, id, &begun] {
                begun.set_value();
                const bool pending = sync->view(static_cast<unsigned>(id)).out_fence_pending;
                return pending ? 100 + ended.load() : ended.load();
            }));
            begun.get_future().wait();
            ended.fetch_add(1);
        }
    };
    Rig rig;
    Watching context;
    context.sync = &rig.sync;
    for (unsigned index = 0; index < 2; ++index) {
        Submission submission;
        submission.index = index;
        submission.out = std::move(context.mint(index)->promise);
        ASSERT_TRUE(rig.sync.queue(std::move(submission)).has_value());
    }
    rig.finish(0);
    rig.stop();
    ASSERT_EQ(context.ended_at_view.size(), 2U);
    EXPECT_GE(context.ended_at_view[0].get(), 1U);
    EXPECT_GE(context.ended_at_view[1].get(), 2U);
    EXPECT_EQ(context.ended.load(), 2U);
}

}  // namespace
}  // namespace v4lfence
