// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <cstring>

#include "v4lfence/uapi/fence_query.hpp"
#include "v4lfence/uapi/remove_bufs.hpp"
#include "v4lfence/v4l2/dispatch.hpp"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::DeviceRig;
using testing::OpenFile;

TEST(Ioctls, known_requests_are_found) {
    for (const std::uint32_t request :
         {std::uint32_t{VIDIOC_QUERYCAP}, std::uint32_t{VIDIOC_S_FMT}, std::uint32_t{VIDIOC_DQBUF},
          std::uint32_t{VIDIOC_LOG_STATUS}, std::uint32_t{VIDIOC_DV_TIMINGS_CAP},
          std::uint32_t{VIDIOC_G_EXT_CTRLS}, remove_bufs_request}) {
        const IoctlEntry* const entry = find_ioctl(request);
        ASSERT_NE(entry, nullptr) << std::hex << request;
        EXPECT_EQ(entry->request, request) << entry->name;
    }
}

TEST(Ioctls, what_a_camera_lacks_is_not_known) {
    for (const std::uint32_t request :
         {std::uint32_t{VIDIOC_G_TUNER}, std::uint32_t{VIDIOC_G_AUDIO},
          std::uint32_t{VIDIOC_G_EDID}, std::uint32_t{VIDIOC_OVERLAY},
          std::uint32_t{VIDIOC_G_SLICED_VBI_CAP}, std::uint32_t{VIDIOC_DBG_G_REGISTER},
          std::uint32_t{VIDIOC_G_JPEGCOMP}, std::uint32_t{_IO('V', 104)},
          std::uint32_t{_IOR('V', 220, int)}, 0U, UINT32_MAX}) {
        EXPECT_EQ(find_ioctl(request), nullptr) << std::hex << request;
    }
}

TEST(Ioctls, another_size_or_direction_is_another_request) {
    const auto number = _IOC_NR(VIDIOC_QUERYCAP);
    EXPECT_EQ(find_ioctl(_IOC(_IOC_READ, 'V', number, 0x3fff)), nullptr);
    EXPECT_EQ(find_ioctl(_IOC(_IOC_WRITE, 'V', number, sizeof(v4l2_capability))), nullptr);
    EXPECT_EQ(find_ioctl(_IOC(_IOC_NONE, 'V', number, 0)), nullptr);
}

// Pins: 1.2
TEST(Ioctls, fence_query_may_be_larger_than_ours) {
    const auto query = [](std::size_t size) {
        return find_ioctl(static_cast<std::uint32_t>(
            _IOC(_IOC_READ | _IOC_WRITE, 0xF5, _IOC_NR(VIDIOC_QUERY_FENCES), size)));
    };
    ASSERT_NE(query(sizeof(v4l2_query_fences)), nullptr);
    EXPECT_EQ(query(sizeof(v4l2_query_fences) + 64), query(sizeof(v4l2_query_fences)));
    EXPECT_EQ(query(sizeof(v4l2_query_fences) - 4), nullptr);
}

TEST(Ioctls, larger_fence_query_leaves_the_rest_alone) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    struct Later {
        v4l2_query_fences query;
        __u32 more[4];
    } later{};
    later.query.size = sizeof later;
    later.query.type = rig.device->buffer_type();
    later.more[0] = 7;
    ASSERT_EQ(file(_IOWR(0xF5, 0x00, Later), later), 0);
    EXPECT_EQ(later.query.size, sizeof later.query);
    EXPECT_STREQ(later.query.provider, "user");
    EXPECT_EQ(later.more[0], 7U);
}

TEST(Ioctls, argument_of_an_unknown_one_is_untouched) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    v4l2_tuner tuner;
    std::memset(&tuner, 0xaa, sizeof tuner);
    const v4l2_tuner before = tuner;
    EXPECT_EQ(file(VIDIOC_G_TUNER, tuner), -ENOTTY);
    EXPECT_EQ(std::memcmp(&tuner, &before, sizeof tuner), 0);
}

TEST(Ioctls, gone_device_refuses_all) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    rig.device->disconnect();
    v4l2_capability caps{};
    v4l2_event event{};
    EXPECT_EQ(file(VIDIOC_QUERYCAP, caps), -ENODEV);
    EXPECT_EQ(file(VIDIOC_DQEVENT, event), -ENODEV);
    EXPECT_EQ(file.dequeue(), -ENODEV);
    EXPECT_FALSE(FileHandle::open(*rig.device));
}

TEST(Ioctls, lower_priority_changes_nothing) {
    const DeviceRig rig;
    const OpenFile high = rig.open();
    const OpenFile low = rig.open();
    std::uint32_t priority = V4L2_PRIORITY_RECORD;
    ASSERT_EQ(high(VIDIOC_S_PRIORITY, priority), 0);
    unsigned input = 1;
    EXPECT_EQ(low(VIDIOC_S_INPUT, input), -EBUSY);
    EXPECT_EQ(rig.fake.input, 0U);
    EXPECT_EQ(low(VIDIOC_G_INPUT, input), 0);
    v4l2_format format{};
    format.type = rig.device->buffer_type();
    EXPECT_EQ(low(VIDIOC_TRY_FMT, format), 0);
    EXPECT_EQ(low(VIDIOC_S_FMT, format), -EBUSY);
    EXPECT_EQ(high(VIDIOC_S_FMT, format), 0);
    EXPECT_EQ(low(VIDIOC_S_PRIORITY, priority), -EBUSY);
}

// Pins: 6.7
TEST(Ioctls, buffers_of_another_file_are_busy) {
    const DeviceRig rig;
    const OpenFile owner = rig.open();
    const OpenFile other = rig.open();
    owner.stream(2);
    EXPECT_EQ(other.dequeue(), -EBUSY);
    EXPECT_EQ(other.queue(0), -EBUSY);
    v4l2_requestbuffers request{};
    request.type = rig.device->buffer_type();
    request.memory = V4L2_MEMORY_MMAP;
    request.count = 2;
    EXPECT_EQ(other(VIDIOC_REQBUFS, request), -EBUSY);
    EXPECT_EQ(other(VIDIOC_STREAMOFF, request.type), -EBUSY);
    v4l2_buffer buffer{};
    buffer.type = rig.device->buffer_type();
    EXPECT_EQ(other(VIDIOC_QUERYBUF, buffer), 0);
    EXPECT_TRUE(buffer.flags & V4L2_BUF_FLAG_QUEUED);
}

TEST(Ioctls, a_small_program_gets_its_frames) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    v4l2_capability caps{};
    ASSERT_EQ(file(VIDIOC_QUERYCAP, caps), 0);
    v4l2_fmtdesc description{};
    description.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    ASSERT_EQ(file(VIDIOC_ENUM_FMT, description), 0);
    v4l2_format format{};
    format.type = description.type;
    format.fmt.pix.pixelformat = description.pixelformat;
    ASSERT_EQ(file(VIDIOC_S_FMT, format), 0);
    file.stream(3);
    EXPECT_EQ(file.dequeue(), -EAGAIN);
    for (int frame = 0; frame < 30; ++frame) {
        rig.fake.finish_frame();
        ASSERT_EQ(file.dequeue(), frame % 3);
        ASSERT_EQ(file.queue(static_cast<unsigned>(frame) % 3), 0);
    }
    EXPECT_EQ(file(VIDIOC_S_FMT, format), -EBUSY);
    ASSERT_EQ(file(VIDIOC_STREAMOFF, format.type), 0);
    EXPECT_FALSE(rig.fake.streaming);
    EXPECT_EQ(file.dequeue(), -EINVAL);
}

}  // namespace v4lfence
