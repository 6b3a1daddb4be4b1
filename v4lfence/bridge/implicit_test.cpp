// SPDX-License-Identifier: MIT
//
// Which buffers take part in implicit synchronization, and what is refused because it would be
// held. What goes on in dma-bufs themselves needs those of the kernel.

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/file.hpp"
#include "v4lfence/bridge/testing/new_context.hpp"
#include "v4lfence/bridge/testing/pipe_node.hpp"
#include "v4lfence/sync/implicit.hpp"

namespace v4lfence {
namespace {

constexpr std::uint32_t capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;

class ImplicitFileTest : public ::testing::Test {
protected:
    void SetUp() override {
        node_.memory = V4L2_MEMORY_DMABUF;
        fd_ = UniqueFd(node_.open());
        file_ = std::make_unique<BridgeFile>(context_, fd_.get(), dev_t{1});
        in_ = std::move(*sys::pipe(0));
        if (const auto set = file_->set_implicit(implicit_in); !set) {
            GTEST_SKIP() << "error " << set.error().code;
        }
    }
    void TearDown() override { file_->close(); }

    /// QBUF of a buffer whose one plane is `memory`.
    int queue(unsigned index, int memory, std::uint32_t flags) {
        v4l2_buffer buffer{};
        buffer.type = capture;
        buffer.memory = V4L2_MEMORY_DMABUF;
        buffer.index = index;
        buffer.flags = flags;
        buffer.m.fd = memory;
        if (flags & V4L2_BUF_FLAG_IN_FENCE) {
            v4l2_buffer_fence_fd(&buffer) = in_.read_end.get();
        }
        const auto answer = file_->ioctl(fd_.get(), VIDIOC_QBUF, &buffer, Look());
        return answer ? static_cast<int>(answer->value) : answer.error().code;
    }

    testing::PipeNode node_;
    Context& context_ = testing::new_context();
    UniqueFd fd_;
    std::unique_ptr<BridgeFile> file_;
    sys::Pipe in_;
    /// No dma-buf, but writable, as an idle one is.
    UniqueFd idle_ = std::move(*sys::eventfd(0, 0));
};

TEST_F(ImplicitFileTest, buffer_of_a_request_takes_no_part) {
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    const int busy = pipe.read_end.get();
    EXPECT_EQ(queue(0, busy, 0), -EINVAL) << "it is looked at, and is no dma-buf";
    EXPECT_EQ(node_.given(), 0U);
    EXPECT_EQ(queue(0, busy, V4L2_BUF_FLAG_REQUEST_FD), 0);
    EXPECT_EQ(node_.given(), 1U);
}

TEST_F(ImplicitFileTest, buffer_of_a_request_is_never_held) {
    ASSERT_TRUE(file_->set_implicit(0));
    ASSERT_EQ(queue(0, idle_.get(), V4L2_BUF_FLAG_IN_FENCE), 0);
    EXPECT_EQ(node_.given(), 0U);
    EXPECT_EQ(queue(1, idle_.get(), V4L2_BUF_FLAG_REQUEST_FD), -EINVAL);
    EXPECT_EQ(queue(1, idle_.get(), 0), 0) << "nothing is left of it";
}

// Pins: 2.1
TEST_F(ImplicitFileTest, export_without_descriptors_changes_nothing) {
    v4l2_exportbuffer exported{};
    exported.type = capture;
    const std::size_t before = testing::open_descriptors();
    const unsigned failures = testing::until_it_fits([&](unsigned limit) {
        exported.fd = -77;
        int status = 0;
        {
            const testing::DescriptorLimit lowered(limit);
            const auto answer = file_->ioctl(fd_.get(), VIDIOC_EXPBUF, &exported, Look());
            status = answer ? 0 : answer.error().code;
        }
        if (status != 0) {
            EXPECT_EQ(status, -EMFILE) << limit;
            EXPECT_EQ(exported.fd, -77) << limit;
            EXPECT_EQ(testing::open_descriptors(), before) << limit;
        }
        return status == 0;
    });
    EXPECT_GE(failures, 2U) << "for want of the program's descriptor, and of ours";
    const UniqueFd programs(exported.fd);
    EXPECT_GE(programs.get(), 0);
}

TEST_F(ImplicitFileTest, held_memory_that_is_no_dma_buf_is_refused_at_once) {
    EXPECT_EQ(queue(0, idle_.get(), V4L2_BUF_FLAG_IN_FENCE), -EINVAL);
    EXPECT_EQ(queue(0, idle_.get(), 0), 0) << "the kernel refuses what it is given";
    EXPECT_EQ(node_.given(), 1U);
}

}  // namespace
}  // namespace v4lfence
