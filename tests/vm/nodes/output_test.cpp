// SPDX-License-Identifier: MIT
//
// Output queues, of vivid.

#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "tests/vm/nodes/node.hpp"

namespace v4lfence::nodes {
namespace {

class OutputQueue : public NodeTest, public ::testing::WithParamInterface<bool> {
protected:
    void set_up() override {
        const bool planes = GetParam();
        const auto found =
            find("vivid", planes ? V4L2_CAP_VIDEO_OUTPUT_MPLANE : V4L2_CAP_VIDEO_OUTPUT);
        if (found.empty()) {
            GTEST_SKIP() << "needs vivid with such an output";
        }
        file_ = open(found.front());
        queue_.emplace(file_,
                       planes ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT);
        ASSERT_GE(queue_->request(4), 4);
    }

    api::File file_;
    std::optional<Queue> queue_;
};

INSTANTIATE_TEST_SUITE_P(Vivid, OutputQueue, ::testing::Bool(), [](const auto& planes) {
    return planes.param ? "multi_planar" : "single_planar";
});

// Pins: 1.1
TEST_P(OutputQueue, frame_is_not_shown_before_its_fence_ends) {
    Gate gate;
    api::Fence first;
    api::Fence second;
    ASSERT_EQ(queue_->queue(0, &gate.fence(), &first), 0);
    ASSERT_EQ(queue_->queue(1, nullptr, &second), 0) << "with an out-fence alone";
    ASSERT_EQ(queue_->queue(2), 0) << "without fences";
    ASSERT_EQ(queue_->queue(3), 0);
    ASSERT_EQ(queue_->stream(true), 0);
    EXPECT_EQ(queue_->readiness(100), 0) << "no error either: the program has queued";
    EXPECT_EQ(queue_->flags(0) & (V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE),
              V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE);
    EXPECT_EQ(queue_->try_take().status, -EAGAIN);
    EXPECT_EQ(ended(second), std::nullopt);
    gate.end(0);
    EXPECT_EQ(wait(first), 0);
    EXPECT_EQ(wait(second), 0);
    for (unsigned index = 0; index < 2; ++index) {
        const Queue::Taken taken = queue_->take();
        EXPECT_EQ(taken.status, 0);
        EXPECT_EQ(taken.index, index);
        EXPECT_FALSE(taken.flags & V4L2_BUF_FLAG_ERROR);
    }
}

// Pins: 1.1
TEST_P(OutputQueue, frames_go_round_from_fence_to_fence) {
    constexpr unsigned rounds = 12;
    std::vector<api::Fence> out(4);
    for (unsigned index = 0; index < 4; ++index) {
        ASSERT_EQ(queue_->queue(index, nullptr, &out[index]), 0);
    }
    ASSERT_EQ(queue_->stream(true), 0);
    for (unsigned round = 0; round < rounds; ++round) {
        const Queue::Taken taken = queue_->take();
        ASSERT_EQ(taken.status, 0);
        ASSERT_EQ(taken.index, round % 4);
        EXPECT_EQ(ended(out[taken.index]), 0) << "when DQBUF returns it has ended";
        // After the one that was queued before the last: the last stays until there is a next.
        const api::Fence& earlier = out[(taken.index + 2) % 4];
        ASSERT_EQ(queue_->queue(taken.index, &earlier, &out[taken.index]), 0);
    }
}

// Pins: 1.1
TEST_P(OutputQueue, frame_that_failed_before_is_not_shown) {
    Gate gate;
    std::vector<api::Fence> out(4);
    for (unsigned index = 0; index < 4; ++index) {
        ASSERT_EQ(queue_->queue(index, index == 1 ? &gate.fence() : nullptr, &out[index]), 0);
    }
    gate.end(-EIO);
    ASSERT_EQ(queue_->stream(true), 0);
    EXPECT_EQ(wait(out[1]), -EIO);
    bool failed = false;
    for (unsigned taken = 0; taken < 3; ++taken) {
        const Queue::Taken frame = queue_->take();
        ASSERT_EQ(frame.status, 0);
        EXPECT_EQ((frame.flags & V4L2_BUF_FLAG_ERROR) != 0, frame.index == 1) << frame.index;
        failed |= frame.index == 1;
    }
    EXPECT_TRUE(failed);
    EXPECT_EQ(queue_->stream(false), 0);
}

}  // namespace
}  // namespace v4lfence::nodes
