// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <array>
#include <cstring>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/uapi_fences.h"
#include "v4lfence/v4l2/flatten.hpp"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::array_control;
using testing::array_elements;
using testing::DeviceRig;
using testing::OpenFile;
using testing::text_control;

namespace {

class Flat : public ::testing::Test {
protected:
    const DeviceRig rig{V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE};
    const OpenFile file = rig.open();
    FlatCall flat;

    int copy_in(std::uint32_t request, void* argument) {
        const auto copied = flat.copy_in(file.handle(), *find_ioctl(request), request, argument);
        return copied ? 0 : copied.error().code;
    }
    template <class T>
    bool is_inside(const T* pointer, std::size_t size) {
        const auto* const first = reinterpret_cast<const std::byte*>(pointer);
        const auto payload = flat.call().payload;
        return first >= payload.data() && first + size <= payload.data() + payload.size();
    }
};

struct MultiPlanar {
    explicit MultiPlanar(unsigned count) {
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
        buffer.length = count;
        buffer.m.planes = planes.data();
    }
    MultiPlanar(const MultiPlanar&) = delete;
    MultiPlanar& operator=(const MultiPlanar&) = delete;

    v4l2_buffer buffer{};
    std::array<v4l2_plane, VIDEO_MAX_PLANES + 1> planes{};
};

void* bad_pointer() {
    return reinterpret_cast<void*>(std::uintptr_t{64});
}

}  // namespace

TEST_F(Flat, no_pointer_is_efault) {
    EXPECT_EQ(copy_in(VIDIOC_QUERYCAP, nullptr), -EFAULT);
    EXPECT_EQ(copy_in(VIDIOC_S_INPUT, bad_pointer()), -EFAULT);
    EXPECT_EQ(copy_in(VIDIOC_QBUF, nullptr), -EFAULT);
    EXPECT_EQ(copy_in(VIDIOC_LOG_STATUS, nullptr), 0) << "it has no argument";
}

TEST_F(Flat, fields_that_are_not_read_are_zero) {
    v4l2_capability caps;
    std::memset(&caps, 0xff, sizeof caps);
    ASSERT_EQ(copy_in(VIDIOC_QUERYCAP, &caps), 0);
    EXPECT_EQ(flat.call().as<v4l2_capability>().reserved[2], 0U);
    v4l2_frmsizeenum size;
    std::memset(&size, 0xff, sizeof size);
    ASSERT_EQ(copy_in(VIDIOC_ENUM_FRAMESIZES, &size), 0);
    EXPECT_EQ(flat.call().as<v4l2_frmsizeenum>().pixel_format, UINT32_MAX);
    EXPECT_EQ(flat.call().as<v4l2_frmsizeenum>().type, 0U);
    EXPECT_EQ(flat.call().as<v4l2_frmsizeenum>().reserved[1], 0U);
    v4l2_buffer buffer;
    std::memset(&buffer, 0xff, sizeof buffer);
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    ASSERT_EQ(copy_in(VIDIOC_QUERYBUF, &buffer), 0);
    EXPECT_EQ(flat.call().as<v4l2_buffer>().reserved2, 0U);
}

TEST_F(Flat, every_request_fits) {
    for (unsigned number = 0; number < 256; ++number) {
        for (const std::uint32_t type : {std::uint32_t{'V'}, 0xF5U}) {
            for (unsigned size = 0; size <= 4096; size += 4) {
                for (const unsigned direction : {0U, 1U, 2U, 3U}) {
                    const auto* entry =
                        find_ioctl(static_cast<std::uint32_t>(_IOC(direction, type, number, size)));
                    if (entry != nullptr) {
                        EXPECT_LE(_IOC_SIZE(entry->request), 256U) << entry->name;
                        EXPECT_LE(entry->read_bytes, _IOC_SIZE(entry->request)) << entry->name;
                    }
                }
            }
        }
    }
}

// --- buffers -------------------------------------------------------------------------------------

TEST_F(Flat, planes_come_along_and_go_back) {
    MultiPlanar program(2);
    program.planes[1].bytesused = 11;
    program.planes[2].bytesused = 22;
    ASSERT_EQ(copy_in(VIDIOC_QBUF, &program.buffer), 0);
    auto& buffer = flat.call().as<v4l2_buffer>();
    ASSERT_TRUE(is_inside(buffer.m.planes, 2 * sizeof(v4l2_plane)));
    EXPECT_EQ(buffer.m.planes[1].bytesused, 11U);
    buffer.m.planes[1].bytesused = 33;
    buffer.flags = V4L2_BUF_FLAG_QUEUED;
    flat.copy_out(true);
    EXPECT_EQ(program.buffer.m.planes, program.planes.data());
    EXPECT_EQ(program.buffer.flags, std::uint32_t{V4L2_BUF_FLAG_QUEUED});
    EXPECT_EQ(program.planes[1].bytesused, 33U);
    EXPECT_EQ(program.planes[2].bytesused, 22U);
}

TEST_F(Flat, planes_that_cannot_be_are_refused) {
    MultiPlanar many(VIDEO_MAX_PLANES + 1);
    MultiPlanar none(2);
    none.buffer.m.planes = nullptr;
    for (const std::uint32_t request :
         {std::uint32_t{VIDIOC_QBUF}, std::uint32_t{VIDIOC_DQBUF}, std::uint32_t{VIDIOC_QUERYBUF},
          std::uint32_t{VIDIOC_PREPARE_BUF}}) {
        EXPECT_EQ(copy_in(request, &many.buffer), -EINVAL);
        EXPECT_EQ(copy_in(request, &none.buffer), -EFAULT);
    }
    MultiPlanar most(VIDEO_MAX_PLANES);
    EXPECT_EQ(copy_in(VIDIOC_QBUF, &most.buffer), 0);
}

TEST_F(Flat, array_of_no_planes_is_not_looked_at) {
    MultiPlanar program(0);
    program.buffer.m.planes = static_cast<v4l2_plane*>(bad_pointer());
    ASSERT_EQ(copy_in(VIDIOC_QUERYBUF, &program.buffer), 0);
    EXPECT_EQ(flat.call().as<v4l2_buffer>().m.planes, nullptr);
    flat.copy_out(true);
    EXPECT_EQ(program.buffer.m.planes, bad_pointer());
}

TEST_F(Flat, error_leaves_the_argument_alone) {
    MultiPlanar program(2);
    ASSERT_EQ(copy_in(VIDIOC_QBUF, &program.buffer), 0);
    flat.call().as<v4l2_buffer>().flags = 1;
    flat.call().as<v4l2_buffer>().m.planes[0].length = 1;
    flat.copy_out(false);
    EXPECT_EQ(program.buffer.flags, 0U);
    EXPECT_EQ(program.planes[0].length, 0U);
}

TEST_F(Flat, descriptors_are_named_where_they_are_meant) {
    MultiPlanar program(2);
    program.buffer.memory = V4L2_MEMORY_DMABUF;
    program.buffer.reserved2 = 5;
    program.planes[0].m.fd = 0;
    program.planes[1].m.fd = 9;
    ASSERT_EQ(copy_in(VIDIOC_QBUF, &program.buffer), 0);
    EXPECT_EQ(flat.call().in_fence, -1) << "without the flag it is none";
    EXPECT_EQ(flat.call().memory_fds[0], 0);
    EXPECT_EQ(flat.call().memory_fds[1], 9);
    EXPECT_EQ(flat.call().memory_fds[2], -1);
    program.buffer.flags = V4L2_BUF_FLAG_IN_FENCE;
    ASSERT_EQ(copy_in(VIDIOC_QBUF, &program.buffer), 0);
    EXPECT_EQ(flat.call().in_fence, 5);
    ASSERT_EQ(copy_in(VIDIOC_PREPARE_BUF, &program.buffer), 0);
    EXPECT_EQ(flat.call().in_fence, -1);
    EXPECT_EQ(flat.call().memory_fds[1], 9);
    ASSERT_EQ(copy_in(VIDIOC_DQBUF, &program.buffer), 0);
    EXPECT_EQ(flat.call().memory_fds[1], -1);
    program.buffer.memory = V4L2_MEMORY_MMAP;
    ASSERT_EQ(copy_in(VIDIOC_QBUF, &program.buffer), 0);
    EXPECT_EQ(flat.call().memory_fds[0], -1);
}

TEST_F(Flat, descriptor_goes_out_with_an_answer_alone) {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    v4l2_exportbuffer request{};
    const auto copy_out_fd = [&](std::uint32_t ioctl, void* argument, bool answered) {
        EXPECT_EQ(copy_in(ioctl, argument), 0);
        auto pipe = sys::pipe(0);
        const int fd = pipe->read_end.get();
        flat.call().fd_out = std::move(pipe->read_end);
        flat.copy_out(answered);
        return fd;
    };
    const int fence = copy_out_fd(VIDIOC_QBUF, &buffer, true);
    EXPECT_EQ(v4l2_buffer_fence_fd(&buffer), fence);
    EXPECT_TRUE(sys::fstat(fence));
    const UniqueFd closes_it(fence);
    const int exported = copy_out_fd(VIDIOC_EXPBUF, &request, true);
    EXPECT_EQ(request.fd, exported);
    const UniqueFd closes_that(exported);
    const int kept = copy_out_fd(VIDIOC_EXPBUF, &request, false);
    EXPECT_FALSE(sys::fstat(kept)) << "nobody else would close it";
}

// --- controls ------------------------------------------------------------------------------------

namespace {

struct Controls {
    explicit Controls(std::vector<v4l2_ext_control> elements) : array(std::move(elements)) {
        head.count = static_cast<std::uint32_t>(array.size());
        head.controls = array.data();
    }
    Controls(const Controls&) = delete;
    Controls& operator=(const Controls&) = delete;

    v4l2_ext_controls head{};
    std::vector<v4l2_ext_control> array;
};

/// The struct is packed: nothing may refer to its pointer.
void* address_in(const v4l2_ext_control& element) {
    return element.ptr;
}

v4l2_ext_control number(std::uint32_t id, std::int32_t value) {
    v4l2_ext_control element{};
    element.id = id;
    element.value = value;
    return element;
}

v4l2_ext_control pointer(std::uint32_t id, void* value, std::size_t size) {
    v4l2_ext_control element{};
    element.id = id;
    element.size = static_cast<std::uint32_t>(size);
    element.ptr = value;
    return element;
}

}  // namespace

TEST_F(Flat, values_behind_pointers_come_along_and_go_back) {
    std::array<char, 16> text{"before"};
    std::array<std::uint8_t, array_elements> values{1, 2, 3, 4, 5, 6};
    Controls program({number(V4L2_CID_BRIGHTNESS, 7),
                      pointer(text_control, text.data(), text.size()),
                      pointer(array_control, values.data(), values.size())});
    ASSERT_EQ(copy_in(VIDIOC_S_EXT_CTRLS, &program.head), 0);
    auto& head = flat.call().as<v4l2_ext_controls>();
    ASSERT_TRUE(is_inside(head.controls, 3 * sizeof(v4l2_ext_control)));
    EXPECT_EQ(head.controls[0].value, 7);
    ASSERT_TRUE(is_inside(head.controls[1].string, head.controls[1].size));
    EXPECT_STREQ(head.controls[1].string, "before");
    EXPECT_EQ(head.controls[1].size, testing::text_max + 1) << "no more than the control has";
    EXPECT_EQ(head.controls[2].p_u8[5], 6);
    std::strcpy(head.controls[1].string, "after");
    head.controls[2].p_u8[5] = 200;
    head.controls[0].value = 8;
    flat.copy_out(true);
    EXPECT_EQ(program.head.controls, program.array.data());
    EXPECT_EQ(program.array[0].value, 8);
    EXPECT_STREQ(text.data(), "after");
    EXPECT_EQ(address_in(program.array[1]), text.data());
    EXPECT_EQ(program.array[1].size, text.size());
    EXPECT_EQ(values[5], 200);
}

TEST_F(Flat, control_arrays_that_cannot_be_are_refused) {
    Controls program({number(V4L2_CID_BRIGHTNESS, 7)});
    program.head.controls = nullptr;
    EXPECT_EQ(copy_in(VIDIOC_G_EXT_CTRLS, &program.head), -EFAULT);
    program.head.count = V4L2_CID_MAX_CTRLS + 1;
    EXPECT_EQ(copy_in(VIDIOC_G_EXT_CTRLS, &program.head), -EINVAL);
    program.head.count = 0;
    program.head.controls = static_cast<v4l2_ext_control*>(bad_pointer());
    EXPECT_EQ(copy_in(VIDIOC_G_EXT_CTRLS, &program.head), 0);
    Controls text({pointer(text_control, bad_pointer(), 4)});
    EXPECT_EQ(copy_in(VIDIOC_S_EXT_CTRLS, &text.head), -EFAULT);
    Controls many(std::vector<v4l2_ext_control>(V4L2_CID_MAX_CTRLS, number(0, 0)));
    EXPECT_EQ(copy_in(VIDIOC_G_EXT_CTRLS, &many.head), 0);
}

TEST_F(Flat, size_of_a_number_is_not_believed) {
    v4l2_ext_control element = number(V4L2_CID_BRIGHTNESS, 0x7fffffff);
    element.size = UINT32_MAX;
    v4l2_ext_control unknown = number(0x12345678, 0x7fffffff);
    unknown.size = 100;
    Controls program({element, unknown});
    ASSERT_EQ(copy_in(VIDIOC_S_EXT_CTRLS, &program.head), 0);
    EXPECT_EQ(flat.call().as<v4l2_ext_controls>().controls[0].value, 0x7fffffff);
    flat.copy_out(false);
    EXPECT_EQ(program.array[0].size, UINT32_MAX);
}

TEST_F(Flat, flags_of_a_walk_hide_no_payload) {
    Controls program({pointer(text_control | V4L2_CTRL_FLAG_NEXT_CTRL, bad_pointer(), 100)});
    EXPECT_EQ(copy_in(VIDIOC_G_EXT_CTRLS, &program.head), -EFAULT);
}

TEST_F(Flat, text_in_read_only_memory_can_be_set) {
    static const char text[testing::text_max + 1] = "literal";
    Controls program({pointer(text_control, const_cast<char*>(text), sizeof text)});
    ASSERT_EQ(file(VIDIOC_S_EXT_CTRLS, program.head), 0);
    EXPECT_EQ(rig.device->controls()->text(text_control), "literal");
}

TEST_F(Flat, error_of_controls_goes_back) {
    std::array<char, 2> text{};
    Controls program({number(V4L2_CID_BRIGHTNESS, 0), pointer(text_control, text.data(), 0)});
    EXPECT_EQ(file(VIDIOC_G_EXT_CTRLS, program.head), -ENOSPC);
    EXPECT_EQ(program.array[1].size, testing::text_max + 1);
    EXPECT_EQ(program.head.error_idx, 1U);
    EXPECT_EQ(program.head.controls, program.array.data());
}

}  // namespace v4lfence
