// SPDX-License-Identifier: MIT
//
// A driver that is not videobuf2: v4l2loopback, which shows to one file what is written into
// another.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "tests/vm/nodes/node.hpp"

namespace v4lfence::nodes {
namespace {

class Loopback : public NodeTest {
protected:
    void set_up() override {
        const auto found = find("v4l2 loopback", V4L2_CAP_VIDEO_OUTPUT);
        if (found.empty()) {
            GTEST_SKIP() << "needs v4l2loopback";
        }
        writer_ = open(found.front());
        v4l2_format format{};
        format.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
        format.fmt.pix.width = 320;
        format.fmt.pix.height = 180;
        format.fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
        format.fmt.pix.field = V4L2_FIELD_NONE;
        ASSERT_EQ(writer_.ioctl(VIDIOC_S_FMT, &format), 0);
        frame_.resize(format.fmt.pix.sizeimage);
        write();
        reader_ = open(found.front());
        ASSERT_GE(capture_.request(2), 2);
        for (unsigned index = 0; index < 2; ++index) {
            map(index);
        }
    }
    void TearDown() override {
        for (void* const mapped : mapped_) {
            v4lfence_munmap(mapped, frame_.size());
        }
    }

    /// What is not mapped it does not give.
    void map(unsigned index) {
        v4l2_buffer buffer{};
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = V4L2_MEMORY_MMAP;
        buffer.index = index;
        ASSERT_EQ(reader_.ioctl(VIDIOC_QUERYBUF, &buffer), 0);
        void* const mapped = v4lfence_mmap(nullptr, frame_.size(), PROT_READ, MAP_SHARED,
                                           reader_.fd(), buffer.m.offset);
        ASSERT_NE(mapped, MAP_FAILED);
        mapped_.push_back(mapped);
    }

    void write() const {
        ASSERT_EQ(v4lfence_write(writer_.fd(), frame_.data(), frame_.size()),
                  static_cast<ssize_t>(frame_.size()));
    }

    api::File writer_;
    api::File reader_;
    Queue capture_{reader_, V4L2_BUF_TYPE_VIDEO_CAPTURE};
    std::vector<char> frame_;
    std::vector<void*> mapped_;
};

// Pins: 6.10
TEST_F(Loopback, out_fence_ends_when_its_buffer_is_fetched) {
    std::vector<api::Fence> done(2);
    ASSERT_EQ(capture_.stream(true), 0);
    for (unsigned index = 0; index < 2; ++index) {
        ASSERT_EQ(capture_.queue(index, nullptr, &done[index]), 0);
    }
    for (unsigned frame = 0; frame < 8; ++frame) {
        write();
        const Queue::Taken taken = capture_.take();
        ASSERT_EQ(taken.status, 0) << frame;
        ASSERT_LT(taken.index, 2U);
        EXPECT_EQ(wait(done[taken.index]), 0);
        ASSERT_EQ(capture_.queue(taken.index, nullptr, &done[taken.index]), 0);
        EXPECT_EQ(ended(done[taken.index]), std::nullopt);
    }
    EXPECT_EQ(capture_.stream(false), 0);
    EXPECT_EQ(ended(done[0]), -ECANCELED);
    EXPECT_EQ(ended(done[1]), -ECANCELED);
}

// Pins: 6.10
TEST_F(Loopback, buffer_is_queued_when_its_fence_has_ended) {
    Gate gate;
    api::Fence done;
    ASSERT_EQ(capture_.queue(0, &gate.fence(), &done), 0);
    ASSERT_EQ(capture_.stream(true), 0);
    EXPECT_TRUE(capture_.flags(0) & V4L2_BUF_FLAG_IN_FENCE);
    EXPECT_EQ(capture_.queue(0), -EINVAL) << "it is queued";
    gate.end(0);
    pollfd entry{done.fd(), POLLIN, 0};
    for (int looks = 0; looks < soon_ms && capture_.flags(0) & V4L2_BUF_FLAG_IN_FENCE; ++looks) {
        ASSERT_EQ(v4lfence_poll(&entry, 1, 1), 0);
    }
    ASSERT_FALSE(capture_.flags(0) & V4L2_BUF_FLAG_IN_FENCE);
    EXPECT_EQ(ended(done), std::nullopt);
    EXPECT_EQ(capture_.stream(false), 0);
    EXPECT_EQ(ended(done), -ECANCELED);
}

// Pins: 6.10
TEST_F(Loopback, file_that_becomes_fenced_late_knows_what_is_queued) {
    ASSERT_EQ(capture_.stream(true), 0);
    for (unsigned frame = 0; frame < 4; ++frame) {
        ASSERT_EQ(capture_.queue(frame % 2), 0);
        write();
        EXPECT_EQ(capture_.take().status, 0);
    }
    api::Fence done;
    EXPECT_EQ(capture_.queue(0, nullptr, &done), 0);
}

}  // namespace
}  // namespace v4lfence::nodes
