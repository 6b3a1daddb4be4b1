// SPDX-License-Identifier: MIT
//
// A file that has no buffers: a pipe stands in for the node, whose every ioctl is ENOTTY.

#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/file.hpp"
#include "v4lfence/bridge/testing/new_context.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {
namespace {

class BridgeFileTest : public ::testing::Test {
protected:
    void SetUp() override {
        pipe_ = std::move(*sys::pipe(0));
        file_ = std::make_unique<BridgeFile>(context_, pipe_.read_end.get(), dev_t{1});
    }
    void TearDown() override { file_->close(); }

    int ioctl(std::uint32_t request, void* argument) {
        const auto answer = file_->ioctl(pipe_.read_end.get(), request, argument, Look());
        return answer ? static_cast<int>(answer->value) : answer.error().code;
    }

    Context& context_ = testing::new_context();
    sys::Pipe pipe_;
    std::unique_ptr<BridgeFile> file_;
};

// Pins: 6.1
TEST_F(BridgeFileTest, unfenced_calls_go_to_the_kernel_and_make_nothing) {
    const std::size_t before = testing::open_descriptors();
    int unread = -1;
    EXPECT_EQ(ioctl(FIONREAD, &unread), 0);
    EXPECT_EQ(unread, 0);
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    for (const auto request : {VIDIOC_QBUF, VIDIOC_PREPARE_BUF, VIDIOC_QUERYBUF, VIDIOC_DQBUF}) {
        EXPECT_EQ(ioctl(request, &buffer), -ENOTTY);
    }
    std::uint32_t type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    for (const auto request : {VIDIOC_STREAMON, VIDIOC_STREAMOFF}) {
        EXPECT_EQ(ioctl(request, &type), -ENOTTY);
    }
    EXPECT_FALSE(file_->fenced());
    EXPECT_EQ(context_.existing_core(), nullptr);
    EXPECT_EQ(testing::open_descriptors(), before);
}

// Pins: 6.1
TEST_F(BridgeFileTest, first_fence_flag_makes_the_file_fenced_but_starts_no_thread) {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    EXPECT_LT(ioctl(VIDIOC_QBUF, &buffer), 0);
    EXPECT_TRUE(file_->fenced());
    EXPECT_EQ(context_.fenced_files(), 1U);
    ASSERT_NE(context_.existing_core(), nullptr);
    EXPECT_FALSE(context_.existing_core()->reactor().has_thread());
}

TEST_F(BridgeFileTest, implausible_argument_is_the_kernels_to_refuse) {
    EXPECT_EQ(ioctl(VIDIOC_QBUF, nullptr), -ENOTTY) << "a V4L2 file says EFAULT";
    EXPECT_FALSE(file_->fenced());
}

// Pins: 1.2
TEST_F(BridgeFileTest, query_is_checked_before_it_is_answered) {
    v4l2_query_fences query{};
    query.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    query.size = sizeof query - 1;
    EXPECT_EQ(ioctl(VIDIOC_QUERY_FENCES, &query), -EINVAL);
    query.size = sizeof query;
    query.reserved[7] = 1;
    EXPECT_EQ(ioctl(VIDIOC_QUERY_FENCES, &query), -EINVAL);
    query.reserved[7] = 0;
    query.type = V4L2_BUF_TYPE_META_OUTPUT + 1;
    EXPECT_EQ(ioctl(VIDIOC_QUERY_FENCES, &query), -EINVAL);
}

TEST_F(BridgeFileTest, option_of_an_unknown_provider_is_einval) {
    const auto set = file_->set_provider("magic");
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code, -EINVAL);
    EXPECT_TRUE(file_->set_provider("auto"));
}

TEST_F(BridgeFileTest, option_that_is_refused_leaves_the_file_unfenced) {
    EXPECT_FALSE(file_->set_provider("magic"));
    EXPECT_FALSE(file_->set_implicit(8));
    EXPECT_FALSE(file_->fenced());
    EXPECT_EQ(context_.fenced_files(), 0U);
    EXPECT_TRUE(file_->set_implicit(0));
    EXPECT_TRUE(file_->fenced());
}

TEST_F(BridgeFileTest, queue_calls_of_a_type_without_a_queue_are_the_kernels) {
    ASSERT_TRUE(file_->set_deadline(10));
    std::uint32_t type = 4711;
    EXPECT_EQ(ioctl(VIDIOC_STREAMON, &type), -ENOTTY);
    EXPECT_EQ(ioctl(VIDIOC_STREAMOFF, &type), -ENOTTY);
}

TEST_F(BridgeFileTest, buffer_calls_check_the_planes_array_first) {
    ASSERT_TRUE(file_->set_deadline(10));
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    buffer.length = VIDEO_MAX_PLANES + 1;
    EXPECT_EQ(ioctl(VIDIOC_DQBUF, &buffer), -EINVAL);
    buffer.length = 1;
    EXPECT_EQ(ioctl(VIDIOC_DQBUF, &buffer), -EFAULT);
}

// Pins: 7.4
TEST_F(BridgeFileTest, in_the_child_a_fenced_file_is_dead_and_an_unfenced_one_is_not) {
    BridgeFile unfenced(context_, pipe_.read_end.get(), dev_t{2});
    ASSERT_TRUE(file_->set_deadline(10));
    static Core* left_behind = nullptr;
    left_behind = context_.existing_core();
    context_.before_fork();
    context_.after_fork_in_child();  // This process plays the child.
    int unread = 0;
    EXPECT_EQ(ioctl(FIONREAD, &unread), -EIO);
    EXPECT_EQ(file_->set_provider("user").error().code, -EIO);
    EXPECT_EQ(file_->set_deadline(20).error().code, -EIO);
    EXPECT_EQ(file_->set_implicit(0).error().code, -EIO);
    EXPECT_EQ(file_->set_fence_names(false).error().code, -EIO);
    EXPECT_TRUE(unfenced.ioctl(unfenced.fd(), FIONREAD, &unread, Look()));
    EXPECT_EQ(context_.fenced_files(), 0U);
    EXPECT_NE(context_.existing_core(), left_behind);
    unfenced.close();
}

}  // namespace
}  // namespace v4lfence
