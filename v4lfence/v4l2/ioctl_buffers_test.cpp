// SPDX-License-Identifier: MIT
//
// Whose queue it is, and what a buffer's fields become. What a queue itself does is vb2's.

#include <gtest/gtest.h>

#include <cstdint>

#include "v4lfence/uapi/remove_bufs.hpp"
#include "v4lfence/v4l2/convert.hpp"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::DeviceRig;
using testing::OpenFile;

namespace {

int request(const OpenFile& file, std::uint32_t count) {
    v4l2_requestbuffers wanted{};
    wanted.count = count;
    wanted.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    wanted.memory = V4L2_MEMORY_MMAP;
    return file(VIDIOC_REQBUFS, wanted);
}

int create(const OpenFile& file, std::uint32_t count) {
    v4l2_create_buffers wanted{};
    wanted.count = count;
    wanted.memory = V4L2_MEMORY_MMAP;
    wanted.format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    EXPECT_EQ(file(VIDIOC_G_FMT, wanted.format), 0);
    return file(VIDIOC_CREATE_BUFS, wanted);
}

int remove(const OpenFile& file, std::uint32_t count) {
    RemoveBuffers range{};
    range.count = count;
    range.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    return file(remove_bufs_request, range);
}

int stream_off(const OpenFile& file) {
    std::uint32_t type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    return file(VIDIOC_STREAMOFF, type);
}

}  // namespace

TEST(BufferIoctls, queue_is_its_owners_until_the_buffers_go) {
    const DeviceRig rig;
    const OpenFile owner = rig.open();
    const OpenFile other = rig.open();
    ASSERT_EQ(request(owner, 2), 0);
    EXPECT_EQ(request(other, 2), -EBUSY);
    EXPECT_EQ(create(other, 1), -EBUSY);
    EXPECT_EQ(create(other, 0), 0) << "a question is anybody's";
    EXPECT_EQ(stream_off(other), -EBUSY);
    ASSERT_EQ(request(owner, 0), 0);
    EXPECT_EQ(request(other, 2), 0);
}

/// Its frames go nowhere, but it is still a stream, and somebody's.
TEST(BufferIoctls, stream_whose_buffers_were_removed_stays_its_owners) {
    const DeviceRig rig;
    {
        const OpenFile owner = rig.open();
        const OpenFile other = rig.open();
        owner.stream(1);
        rig.fake.finish_frame();
        ASSERT_EQ(owner.dequeue(), 0);
        ASSERT_EQ(remove(owner, rig.device->queue().count()), 0);
        EXPECT_EQ(stream_off(other), -EBUSY);
        v4l2_format format{};
        format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        ASSERT_EQ(owner(VIDIOC_G_FMT, format), 0);
        EXPECT_TRUE(rig.device->is_busy()) << "the driver works with this format";
    }
    EXPECT_FALSE(rig.device->is_busy()) << "close ends the stream";
    const OpenFile next = rig.open();
    EXPECT_EQ(request(next, 2), 0);
}

TEST(BufferIoctls, any_timestamp_is_taken_and_none_overflows) {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
    buffer.memory = V4L2_MEMORY_MMAP;
    Call call;
    call.argument = &buffer;
    buffer.timestamp = {2, 3};
    EXPECT_EQ(settings_of(call, 1)->timestamp_ns, 2'000'003'000);
    buffer.timestamp = {INT64_MAX, INT64_MAX};
    EXPECT_TRUE(settings_of(call, 1));
    buffer.timestamp = {-1, -1};
    EXPECT_EQ(settings_of(call, 1)->timestamp_ns, -1'000'001'000);
}

TEST(BufferIoctls, memory_of_no_kind_is_einval) {
    for (const std::uint32_t wrong : {0U, 3U, 5U, 64U, UINT32_MAX}) {
        const auto kind = memory_kind_of(wrong);
        ASSERT_FALSE(kind) << wrong;
        EXPECT_EQ(kind.error().code, -EINVAL);
    }
}

}  // namespace v4lfence
