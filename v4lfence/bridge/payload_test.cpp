// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/bridge/payload.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {
namespace {

using testing::open_descriptors;

UniqueFd memory() {
    auto made = sys::sealed_memory("plane", 4096);
    EXPECT_TRUE(made);
    return std::move(*made);
}

bool is_same_file(int first, int second) {
    struct stat one {
    }, two{};
    return ::fstat(first, &one) == 0 && ::fstat(second, &two) == 0 && one.st_ino == two.st_ino &&
           one.st_dev == two.st_dev;
}

v4l2_buffer single(std::uint32_t memory_type) {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = memory_type;
    return buffer;
}

/// A multi-planar buffer and its planes.
struct Planar {
    explicit Planar(std::uint32_t memory_type, unsigned count) {
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
        buffer.memory = memory_type;
        buffer.length = count;
        buffer.m.planes = planes.data();
    }
    Planar(const Planar&) = delete;
    Planar& operator=(const Planar&) = delete;

    v4l2_buffer buffer{};
    std::array<v4l2_plane, VIDEO_MAX_PLANES> planes{};
};

TEST(BufferCopy, planes_are_copied_and_its_own) {
    Planar program(V4L2_MEMORY_USERPTR, 2);
    program.planes[1].bytesused = 7;
    const BufferCopy copy(program.buffer);
    program.planes[1].bytesused = 8;
    EXPECT_EQ(copy.plane_count(), 2U);
    EXPECT_EQ(copy.buffer.m.planes, copy.planes.data());
    EXPECT_EQ(copy.planes[1].bytesused, 7U);
}

TEST(BufferCopy, copy_of_a_copy_points_to_its_own_planes) {
    Planar program(V4L2_MEMORY_USERPTR, 3);
    const BufferCopy first(program.buffer);
    BufferCopy second(first);
    EXPECT_EQ(second.buffer.m.planes, second.planes.data());
    second = first;
    EXPECT_EQ(second.buffer.m.planes, second.planes.data());
}

TEST(BufferCopy, write_to_keeps_the_callers_array_and_its_size) {
    Planar program(V4L2_MEMORY_MMAP, 3);
    for (unsigned plane = 0; plane < 3; ++plane) {
        program.planes[plane].length = 100 + plane;
    }
    const BufferCopy copy(program.buffer);
    Planar target(V4L2_MEMORY_MMAP, 2);
    target.planes[2].length = 4711;
    copy.write_to(target.buffer);
    EXPECT_EQ(target.buffer.m.planes, target.planes.data());
    EXPECT_EQ(target.planes[1].length, 101U);
    EXPECT_EQ(target.planes[2].length, 4711U) << "the caller said it had room for two";
}

TEST(BufferCopy, more_planes_than_there_can_be_are_cut) {
    BufferCopy copy = BufferCopy::query(V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE, 3);
    EXPECT_EQ(copy.buffer.index, 3U);
    EXPECT_EQ(copy.plane_count(), VIDEO_MAX_PLANES);
    copy.buffer.length = 1000;
    EXPECT_EQ(copy.plane_count(), VIDEO_MAX_PLANES);
}

TEST(Plausible, what_programs_pass_by_mistake_is_ruled_out) {
    const int local = 0;
    EXPECT_TRUE(is_plausible(&local));
    EXPECT_FALSE(is_plausible(nullptr));
    EXPECT_FALSE(is_plausible(reinterpret_cast<const void*>(4095)));
    EXPECT_FALSE(is_plausible(reinterpret_cast<const void*>(UINTPTR_MAX)));
}

// Pins: 6.2
TEST(Payload, our_flags_and_field_never_reach_the_kernel) {
    v4l2_buffer buffer = single(V4L2_MEMORY_MMAP);
    buffer.flags = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE | V4L2_BUF_FLAG_NO_CACHE_CLEAN;
    v4l2_buffer_fence_fd(&buffer) = 5;
    Payload payload;
    ASSERT_TRUE(payload.assign(buffer, 1, true));
    const BufferCopy given = payload.for_kernel();
    EXPECT_EQ(given.buffer.flags, V4L2_BUF_FLAG_NO_CACHE_CLEAN);
    EXPECT_EQ(given.buffer.reserved2, 0U);
}

// Pins: 6.5
TEST(Payload, held_dma_buf_outlives_the_programs_descriptor) {
    const std::size_t before = open_descriptors();
    UniqueFd program = memory();
    const UniqueFd same = *sys::dup(program.get());
    v4l2_buffer buffer = single(V4L2_MEMORY_DMABUF);
    buffer.m.fd = program.get();
    Payload payload;
    ASSERT_TRUE(payload.assign(buffer, 1, true));
    const int number = program.get();
    program.reset();
    const int given = payload.for_kernel().buffer.m.fd;
    EXPECT_NE(given, number);
    EXPECT_TRUE(is_same_file(given, same.get()));
    EXPECT_NE(::fcntl(given, F_GETFD) & FD_CLOEXEC, 0);
    payload.drop_memory();
    EXPECT_EQ(open_descriptors(), before + 1) << "only `same` is left";
}

// Pins: 6.5
TEST(Payload, programs_numbers_are_reported_for_every_plane) {
    const std::array fds{memory(), memory(), memory()};
    Planar program(V4L2_MEMORY_DMABUF, 3);
    for (unsigned plane = 0; plane < 3; ++plane) {
        program.planes[plane].m.fd = fds[plane].get();
    }
    Payload payload;
    ASSERT_TRUE(payload.assign(program.buffer, VIDEO_MAX_PLANES, true));
    const BufferCopy given = payload.for_kernel();
    Planar seen(V4L2_MEMORY_DMABUF, 3);
    given.write_to(seen.buffer);
    for (unsigned plane = 0; plane < 3; ++plane) {
        EXPECT_NE(seen.planes[plane].m.fd, fds[plane].get());
        EXPECT_TRUE(is_same_file(seen.planes[plane].m.fd, fds[plane].get()));
    }
    payload.restore_numbers(seen.buffer);
    for (unsigned plane = 0; plane < 3; ++plane) {
        EXPECT_EQ(seen.planes[plane].m.fd, fds[plane].get());
    }
}

// Pins: 6.5
TEST(Payload, planes_beyond_the_queues_are_not_looked_at) {
    const UniqueFd used = memory();
    Planar program(V4L2_MEMORY_DMABUF, VIDEO_MAX_PLANES);
    program.planes[0].m.fd = used.get();
    program.planes[1].m.fd = -1;
    const std::size_t before = open_descriptors();
    Payload payload;
    ASSERT_TRUE(payload.assign(program.buffer, 1, true));
    EXPECT_EQ(open_descriptors(), before + 1);
    const BufferCopy given = payload.for_kernel();
    EXPECT_TRUE(is_same_file(given.memory_fd(0), used.get()));
    EXPECT_EQ(given.memory_fd(1), -1);
    EXPECT_EQ(given.buffer.length, VIDEO_MAX_PLANES);
}

TEST(Payload, buffer_that_goes_to_the_kernel_at_once_costs_no_descriptor) {
    const UniqueFd program = memory();
    const std::size_t before = open_descriptors();
    v4l2_buffer buffer = single(V4L2_MEMORY_DMABUF);
    buffer.m.fd = program.get();
    Payload payload;
    ASSERT_TRUE(payload.assign(buffer, 1, false));
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(payload.for_kernel().buffer.m.fd, program.get());
}

// Pins: 2
TEST(Payload, plane_that_is_no_descriptor_is_einval) {
    v4l2_buffer buffer = single(V4L2_MEMORY_DMABUF);
    buffer.m.fd = -1;
    Payload payload;
    const auto assigned = payload.assign(buffer, 1, true);
    ASSERT_FALSE(assigned);
    EXPECT_EQ(assigned.error().code, -EINVAL);
}

// Pins: 2.1
TEST(Payload, failed_assign_leaves_no_descriptor) {
    const UniqueFd good = memory();
    Planar program(V4L2_MEMORY_DMABUF, 2);
    program.planes[0].m.fd = good.get();
    program.planes[1].m.fd = -1;
    const std::size_t before = open_descriptors();
    Payload payload;
    EXPECT_FALSE(payload.assign(program.buffer, VIDEO_MAX_PLANES, true));
    EXPECT_EQ(open_descriptors(), before);
}

// Pins: 3.2
TEST(Payload, held_buffer_is_shown_as_the_program_queued_it) {
    v4l2_buffer program = single(V4L2_MEMORY_USERPTR);
    program.bytesused = 10;
    program.field = V4L2_FIELD_NONE;
    program.timestamp = {3, 4};
    program.m.userptr = 0x1000;
    program.length = 20;
    Payload payload;
    ASSERT_TRUE(payload.assign(program, 1, true));
    v4l2_buffer seen = single(V4L2_MEMORY_USERPTR);
    payload.show_in(seen);
    EXPECT_EQ(seen.bytesused, 10U);
    EXPECT_EQ(seen.field, static_cast<std::uint32_t>(V4L2_FIELD_NONE));
    EXPECT_EQ(seen.timestamp.tv_sec, 3);
    EXPECT_EQ(seen.timestamp.tv_usec, 4);
    EXPECT_EQ(seen.m.userptr, 0x1000U);
    EXPECT_EQ(seen.length, 20U);
}

// Pins: 6.2
TEST(Payload, offset_and_length_of_mapped_memory_stay_the_kernels) {
    v4l2_buffer program = single(V4L2_MEMORY_MMAP);
    program.m.offset = 1;
    program.length = 2;
    Payload payload;
    ASSERT_TRUE(payload.assign(program, 1, true));
    v4l2_buffer seen = single(V4L2_MEMORY_MMAP);
    seen.m.offset = 0x10000;
    seen.length = 4096;
    payload.show_in(seen);
    EXPECT_EQ(seen.m.offset, 0x10000U);
    EXPECT_EQ(seen.length, 4096U);
}

// Pins: 3.2
TEST(Payload, planes_are_shown_as_far_as_the_caller_has_room) {
    Planar program(V4L2_MEMORY_USERPTR, 2);
    program.planes[0].bytesused = 1;
    program.planes[1].bytesused = 2;
    program.planes[1].data_offset = 3;
    Payload payload;
    ASSERT_TRUE(payload.assign(program.buffer, VIDEO_MAX_PLANES, true));
    Planar wide(V4L2_MEMORY_USERPTR, 4);
    payload.show_in(wide.buffer);
    EXPECT_EQ(wide.planes[1].bytesused, 2U);
    EXPECT_EQ(wide.planes[1].data_offset, 3U);
    Planar narrow(V4L2_MEMORY_USERPTR, 1);
    payload.show_in(narrow.buffer);
    EXPECT_EQ(narrow.planes[0].bytesused, 1U);
    EXPECT_EQ(narrow.planes[1].bytesused, 0U);
}

}  // namespace
}  // namespace v4lfence
