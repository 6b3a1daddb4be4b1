// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/bridge/node.hpp"

namespace v4lfence {
namespace {

// Pins: 1.5
TEST(Node, file_that_does_not_answer_is_unordered) {
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    EXPECT_FALSE(kernel_queue_is_ordered(pipe->read_end.get()));
    EXPECT_FALSE(kernel_queue_is_always_ordered(pipe->read_end.get(), V4L2_BUF_TYPE_VIDEO_CAPTURE));
    EXPECT_FALSE(kernel_queue_is_ordered(-1));
}

TEST(Node, file_that_is_no_node_has_no_queue) {
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    const auto checked = check_kernel_queue(pipe->read_end.get(), V4L2_BUF_TYPE_VIDEO_CAPTURE);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, -ENOTTY);
}

}  // namespace
}  // namespace v4lfence
