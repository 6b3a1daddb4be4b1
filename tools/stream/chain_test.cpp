// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "tools/stream/chain.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

UniqueFd some_fd() {
    auto fd = sys::eventfd(0, EFD_NONBLOCK);
    EXPECT_TRUE(fd);
    return std::move(*fd);
}

TEST(ChainFences, frame_before_the_first_has_none) {
    const ChainFences fences(4, 2);
    EXPECT_EQ(fences.find(0), -1);
    EXPECT_EQ(fences.find(3), -1);
}

TEST(ChainFences, keeps_what_queued_frames_and_their_chain_need) {
    constexpr unsigned buffers = 4;
    constexpr unsigned depth = 2;
    ChainFences fences(buffers, depth);
    for (std::uint64_t frame = 0; frame < 100; ++frame) {
        UniqueFd fd = some_fd();
        const int number = fd.get();
        fences.put(frame, std::move(fd));
        EXPECT_EQ(fences.find(frame), number);
        // The oldest of the queued frames waits for one that is `depth` older still.
        if (frame >= buffers + depth) {
            EXPECT_GE(fences.find(frame - (buffers - 1) - depth), 0);
            EXPECT_EQ(fences.find(frame - buffers - depth - 1), -1);
        }
    }
}

TEST(ChainFences, overwritten_fence_is_closed) {
    ChainFences fences(1, 1);
    UniqueFd fd = some_fd();
    const int number = fd.get();
    fences.put(0, std::move(fd));
    for (std::uint64_t frame = 1; frame <= 3; ++frame) {
        fences.put(frame, UniqueFd());
    }
    EXPECT_FALSE(sys::poll_now(number, POLLIN).value_or(POLLNVAL) != POLLNVAL);
}

TEST(ChainPlan, default_keeps_the_driver_busy_and_holds_half) {
    for (unsigned minimum = 1; minimum < 6; ++minimum) {
        const auto plan = plan_chain(std::nullopt, std::nullopt, minimum);
        ASSERT_TRUE(plan);
        EXPECT_EQ(plan->depth, minimum + 2);
        EXPECT_EQ(plan->buffers, 2 * plan->depth);
    }
}

TEST(ChainPlan, depth_below_the_minimum_is_refused_with_the_number_that_works) {
    const auto plan = plan_chain(1U, std::nullopt, 2);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().status, ExitStatus::WrongUsage);
    EXPECT_NE(plan.error().message.find("chain=2"), std::string::npos) << plan.error().message;
    EXPECT_TRUE(plan_chain(2U, std::nullopt, 2));
}

TEST(ChainPlan, chain_as_long_as_the_queue_is_refused) {
    EXPECT_FALSE(plan_chain(4U, 4U, 1));
    EXPECT_TRUE(plan_chain(3U, 4U, 1));
}

TEST(ChainPlan, few_buffers_shorten_the_default_depth) {
    const auto plan = plan_chain(std::nullopt, 3U, 1);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->depth, 2U);
    EXPECT_EQ(plan->buffers, 3U);
    EXPECT_FALSE(plan_chain(std::nullopt, 2U, 2));
}

}  // namespace
}  // namespace v4lfence
