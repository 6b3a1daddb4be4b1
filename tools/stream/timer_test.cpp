// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <vector>

#include "tools/stream/timer.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {
namespace {

class Recorder final : public FenceTimer::Listener {
public:
    bool about_to_end(const TimedFence& /*fence*/) override { return true; }
    void ended(const TimedFence& fence, std::int64_t /*ended_at_ns*/) override {
        order.push_back(fence.index);
    }

    std::vector<unsigned> order;  ///< Read after stop().
};

TEST(FenceTimer, fences_end_by_delay_not_by_age) {
    Recorder recorder;
    FenceTimer timer("user", recorder);
    auto late = timer.arm(std::chrono::milliseconds(60), {0, std::nullopt});
    auto early = timer.arm(std::chrono::milliseconds(5), {1, 0U});
    ASSERT_TRUE(late && early);
    EXPECT_EQ(v4lfence_fence_wait(early->get(), 10000, nullptr), 0);
    EXPECT_EQ(v4lfence_fence_wait(late->get(), 10000, nullptr), 0);
    timer.stop();
    EXPECT_EQ(recorder.order, (std::vector<unsigned>{1, 0}));
}

TEST(FenceTimer, stop_ends_what_is_pending) {
    Recorder recorder;
    FenceTimer timer("user", recorder);
    auto fence = timer.arm(std::chrono::hours(1), {0, std::nullopt});
    ASSERT_TRUE(fence);
    v4lfence_fence_result status{};
    ASSERT_EQ(v4lfence_fence_status(fence->get(), &status), 0);
    EXPECT_EQ(status.state, V4LFENCE_PENDING);
    timer.stop();
    ASSERT_EQ(v4lfence_fence_status(fence->get(), &status), 0);
    EXPECT_NE(status.state, V4LFENCE_PENDING);
    EXPECT_TRUE(recorder.order.empty());
}

TEST(FenceTimer, provider_that_is_not_there_is_an_error) {
    Recorder recorder;
    FenceTimer timer("nobody", recorder);
    EXPECT_FALSE(timer.arm(std::chrono::milliseconds(1), {0, std::nullopt}));
}

}  // namespace
}  // namespace v4lfence
