// SPDX-License-Identifier: MIT
//
// A node whose QUERYBUF tells nothing, as v4l2loopback's.

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/file.hpp"
#include "v4lfence/bridge/testing/new_context.hpp"
#include "v4lfence/bridge/testing/pipe_node.hpp"
#include "v4lfence/fence/fence.hpp"

namespace v4lfence {
namespace {

constexpr std::uint32_t capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;

class SilentNode : public ::testing::Test {
protected:
    void SetUp() override {
        node_.silent = true;
        fd_ = UniqueFd(node_.open());
        file_ = std::make_unique<BridgeFile>(context_, fd_.get(), dev_t{1});
    }
    void TearDown() override { file_->close(); }

    int ioctl(std::uint32_t request, void* argument) {
        const auto answer = file_->ioctl(fd_.get(), request, argument, Look());
        return answer ? static_cast<int>(answer->value) : answer.error().code;
    }
    int stream(bool on) {
        std::uint32_t type = capture;
        return ioctl(on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type);
    }
    /// Its out-fence.
    UniqueFd queue(unsigned index) {
        v4l2_buffer buffer{};
        buffer.type = capture;
        buffer.memory = V4L2_MEMORY_MMAP;
        buffer.index = index;
        buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
        EXPECT_EQ(ioctl(VIDIOC_QBUF, &buffer), 0) << index;
        return UniqueFd(v4l2_buffer_fence_fd(&buffer));
    }
    static FenceStatus status_of(const UniqueFd& fence) {
        const auto imported = Fence::import(fence.get(), DmaBufAccess::Write);
        EXPECT_TRUE(imported);
        return imported ? imported->status : FenceStatus();
    }

    testing::PipeNode node_;
    Context& context_ = testing::new_context();
    UniqueFd fd_;
    std::unique_ptr<BridgeFile> file_;
};

// Pins: 6.10
TEST_F(SilentNode, out_fence_ends_when_its_buffer_is_fetched) {
    ASSERT_EQ(stream(true), 0);
    const UniqueFd first = queue(0);
    const UniqueFd second = queue(1);
    ASSERT_TRUE(node_.finish());
    v4l2_buffer taken{};
    taken.type = capture;
    taken.memory = V4L2_MEMORY_MMAP;
    ASSERT_EQ(ioctl(VIDIOC_DQBUF, &taken), 0);
    EXPECT_EQ(taken.index, 0U);
    EXPECT_EQ(status_of(first).state, FenceState::Signaled);
    EXPECT_FALSE(status_of(second).ended());
    ASSERT_EQ(stream(false), 0);
    EXPECT_EQ(status_of(second).error, -ECANCELED) << "not by the time of an earlier frame";
}

}  // namespace
}  // namespace v4lfence
