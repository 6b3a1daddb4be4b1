// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "v4lfence/uapi/layouts.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {
namespace {

constexpr std::array layouts{Layout::Wide, Layout::Narrow, Layout::NarrowTime32};
using Bytes = std::vector<std::byte>;

/// What each layout's headers make of one ioctl.
struct Numbers {
    const char* name;
    std::array<std::uint32_t, 3> request;  ///< By Layout.
};

constexpr std::array numbers{
    Numbers{"G_FMT", {0xc0d05604, 0xc0cc5604, 0xc0cc5604}},
    Numbers{"S_FMT", {0xc0d05605, 0xc0cc5605, 0xc0cc5605}},
    Numbers{"TRY_FMT", {0xc0d05640, 0xc0cc5640, 0xc0cc5640}},
    Numbers{"ENUMINPUT", {0xc050561a, 0xc04c561a, 0xc04c561a}},
    Numbers{"ENUMSTD", {0xc0485619, 0xc0405619, 0xc0405619}},
    Numbers{"G_EXT_CTRLS", {0xc0205647, 0xc0185647, 0xc0185647}},
    Numbers{"S_EXT_CTRLS", {0xc0205648, 0xc0185648, 0xc0185648}},
    Numbers{"TRY_EXT_CTRLS", {0xc0205649, 0xc0185649, 0xc0185649}},
    Numbers{"DQEVENT", {0x80885659, 0x80805659, 0x80785659}},
    Numbers{"CREATE_BUFS", {0xc100565c, 0xc0f8565c, 0xc0f8565c}},
    Numbers{"QUERYBUF", {0xc0585609, 0xc04c5609, 0xc0445609}},
    Numbers{"PREPARE_BUF", {0xc058565d, 0xc04c565d, 0xc044565d}},
    Numbers{"QBUF", {0xc058560f, 0xc04c560f, 0xc044560f}},
    Numbers{"DQBUF", {0xc0585611, 0xc04c5611, 0xc0445611}},
};

std::uint32_t in(const Numbers& numbers_of, Layout layout) {
    return numbers_of.request[static_cast<std::size_t>(layout)];
}

Bytes converted(Layout to, Layout from, std::uint32_t request, const Bytes& source) {
    Bytes target(_IOC_SIZE(request_in(to, from, request)), std::byte{0xEE});
    convert(to, from, request, source.data(), target.data());
    return target;
}

Bytes random_bytes(std::size_t size, std::mt19937& random) {
    Bytes bytes(size);
    std::generate(bytes.begin(), bytes.end(), [&] { return std::byte(random() & 0xFF); });
    return bytes;
}

template <class T>
T as(const Bytes& bytes) {
    T value{};
    EXPECT_EQ(bytes.size(), sizeof value);
    std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
    return value;
}

template <class T>
Bytes bytes_of(const T& value) {
    Bytes bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

TEST(Layouts, each_request_has_its_number_in_each) {
    for (const Numbers& each : numbers) {
        for (const Layout from : layouts) {
            for (const Layout to : layouts) {
                EXPECT_EQ(request_in(to, from, in(each, from)), in(each, to)) << each.name;
            }
        }
    }
}

TEST(Layouts, native_numbers_are_the_headers) {
    EXPECT_EQ(request_in(native_layout, Layout::NarrowTime32, 0xc044560f), VIDIOC_QBUF);
    EXPECT_EQ(request_in(native_layout, Layout::NarrowTime32, 0x80785659), VIDIOC_DQEVENT);
    EXPECT_EQ(request_in(native_layout, Layout::Narrow, 0xc0f8565c), VIDIOC_CREATE_BUFS);
}

TEST(Layouts, other_requests_keep_their_number_and_bytes) {
    std::mt19937 random(3);
    for (const std::uint32_t request :
         {std::uint32_t{VIDIOC_QUERYCAP}, std::uint32_t{VIDIOC_QUERY_EXT_CTRL},
          std::uint32_t{VIDIOC_G_PARM}, std::uint32_t{VIDIOC_QUERY_FENCES}}) {
        const Bytes bytes = random_bytes(_IOC_SIZE(request), random);
        EXPECT_EQ(request_in(Layout::Wide, Layout::Narrow, request), request);
        EXPECT_FALSE(differs(Layout::Narrow, Layout::Wide, request));
        EXPECT_EQ(converted(Layout::Wide, Layout::NarrowTime32, request, bytes), bytes);
    }
    // Of one layout, asked for in another: not known.
    EXPECT_EQ(request_in(Layout::Wide, Layout::Narrow, 0xc058560f), 0xc058560f);
}

TEST(Layouts, nothing_of_a_narrow_one_is_lost) {
    std::mt19937 random(1);
    for (const Numbers& each : numbers) {
        for (const Layout from : {Layout::Narrow, Layout::NarrowTime32}) {
            for (int round = 0; round < 50; ++round) {
                const Bytes source = random_bytes(_IOC_SIZE(in(each, from)), random);
                const Bytes wide = converted(Layout::Wide, from, in(each, from), source);
                EXPECT_EQ(converted(from, Layout::Wide, in(each, Layout::Wide), wide), source)
                    << each.name;
            }
        }
    }
}

TEST(Layouts, times_of_32_bits_survive_64) {
    std::mt19937 random(2);
    for (const Numbers& each : numbers) {
        const Bytes source = random_bytes(_IOC_SIZE(in(each, Layout::NarrowTime32)), random);
        const Bytes narrow =
            converted(Layout::Narrow, Layout::NarrowTime32, in(each, Layout::NarrowTime32), source);
        EXPECT_EQ(converted(Layout::NarrowTime32, Layout::Narrow, in(each, Layout::Narrow), narrow),
                  source)
            << each.name;
    }
}

TEST(Layouts, padding_is_zero) {
    const Bytes all_ones(68, std::byte{0xFF});
    const auto wide =
        as<Buffer64>(converted(Layout::Wide, Layout::NarrowTime32, 0xc044560f, all_ones));
    EXPECT_EQ(+wide.pad, 0U);
    EXPECT_EQ(+wide.pad2, 0U);
}

/// Every field of its own value.
Buffer32Time32 told_apart() {
    return {.index = 1,
            .type = 2,
            .bytesused = 3,
            .flags = V4L2_BUF_FLAG_IN_FENCE,
            .field = 5,
            .tv_sec = -6,
            .tv_usec = 7,
            .timecode = {8, 9, 10, 11},
            .sequence = 12,
            .memory = 13,
            .m = 0xF0000014,
            .length = 15,
            .reserved2 = 16,
            .request_fd = -17};
}

template <class Buffer>
void expect_told_apart(const Buffer& buffer) {
    EXPECT_EQ(+buffer.index, 1U);
    EXPECT_EQ(+buffer.type, 2U);
    EXPECT_EQ(+buffer.bytesused, 3U);
    EXPECT_EQ(+buffer.flags, std::uint32_t{V4L2_BUF_FLAG_IN_FENCE});
    EXPECT_EQ(+buffer.field, 5U);
    EXPECT_EQ(+buffer.tv_sec, -6);
    EXPECT_EQ(+buffer.tv_usec, 7);
    EXPECT_EQ(+buffer.timecode[0], 8U);
    EXPECT_EQ(+buffer.timecode[3], 11U);
    EXPECT_EQ(+buffer.sequence, 12U);
    EXPECT_EQ(+buffer.memory, 13U);
    EXPECT_EQ(+buffer.m, 0xF0000014U) << "an address is widened with zeros";
    EXPECT_EQ(+buffer.length, 15U);
    EXPECT_EQ(+buffer.reserved2, 16U);
    EXPECT_EQ(+buffer.request_fd, -17);
}

// Pins: 7.6
TEST(Layouts, buffer_carries_every_field_in) {
    const Bytes source = bytes_of(told_apart());
    expect_told_apart(
        as<Buffer32>(converted(Layout::Narrow, Layout::NarrowTime32, 0xc044560f, source)));
    expect_told_apart(
        as<Buffer64>(converted(Layout::Wide, Layout::NarrowTime32, 0xc044560f, source)));
}

// Pins: 7.6
TEST(Layouts, buffer_carries_every_field_out) {
    const Bytes source = bytes_of(told_apart());
    const Bytes wide = converted(Layout::Wide, Layout::NarrowTime32, 0xc0445611, source);
    expect_told_apart(as<Buffer32>(converted(Layout::Narrow, Layout::Wide, 0xc0585611, wide)));
    expect_told_apart(
        as<Buffer32Time32>(converted(Layout::NarrowTime32, Layout::Wide, 0xc0585611, wide)));
}

// Pins: 7.6
TEST(Layouts, no_fence_is_minus_one_on_both_sides) {
    Buffer32Time32 buffer = told_apart();
    buffer.reserved2 = UINT32_MAX;
    const auto native = as<v4l2_buffer>(
        converted(native_layout, Layout::NarrowTime32, 0xc044560f, bytes_of(buffer)));
    EXPECT_EQ(v4l2_buffer_fence_fd(&native), -1);
    const auto back = as<Buffer32Time32>(
        converted(Layout::NarrowTime32, native_layout, VIDIOC_QBUF, bytes_of(native)));
    EXPECT_EQ(+back.reserved2, UINT32_MAX);
}

TEST(Layouts, long_times_are_cut_where_they_do_not_fit) {
    Buffer64 wide{};
    wide.tv_sec = 0x1'7000'0001;
    wide.tv_usec = 999999;
    const auto time64 =
        as<Buffer32>(converted(Layout::Narrow, Layout::Wide, 0xc0585611, bytes_of(wide)));
    EXPECT_EQ(+time64.tv_sec, 0x1'7000'0001);
    EXPECT_EQ(+time64.tv_usec, 999999);
    const auto time32 = as<Buffer32Time32>(
        converted(Layout::NarrowTime32, Layout::Wide, 0xc0585611, bytes_of(wide)));
    EXPECT_EQ(+time32.tv_sec, 0x7000'0001);
}

TEST(Layouts, event_is_read_by_the_header) {
    Event32Time32 event{.type = 1,
                        .u = {2, 3},
                        .pending = 4,
                        .sequence = 5,
                        .tv_sec = 6,
                        .tv_nsec = 7,
                        .id = 8,
                        .reserved = {9}};
    event.u[15] = 10;
    const auto native =
        as<v4l2_event>(converted(native_layout, Layout::NarrowTime32, 0x80785659, bytes_of(event)));
    EXPECT_EQ(native.type, 1U);
    EXPECT_EQ(native.u.data[0], 2);
    EXPECT_EQ(native.u.data[4], 3);
    EXPECT_EQ(native.u.data[60], 10);
    EXPECT_EQ(native.pending, 4U);
    EXPECT_EQ(native.sequence, 5U);
    EXPECT_EQ(native.timestamp.tv_sec, 6);
    EXPECT_EQ(native.timestamp.tv_nsec, 7);
    EXPECT_EQ(native.id, 8U);
    EXPECT_EQ(native.reserved[0], 9U);
}

TEST(Layouts, formats_and_controls_are_read_by_the_header) {
    CreateBuffers32 create{
        .index = 1, .count = 2, .memory = 3, .format = {.type = 4, .fmt = {5, 6}}, .last = {7, 8}};
    create.last[7] = 9;
    const auto buffers = as<v4l2_create_buffers>(
        converted(native_layout, Layout::Narrow, 0xc0f8565c, bytes_of(create)));
    EXPECT_EQ(buffers.memory, 3U);
    EXPECT_EQ(buffers.format.type, 4U);
    EXPECT_EQ(buffers.format.fmt.pix.width, 5U);
    EXPECT_EQ(buffers.format.fmt.pix.height, 6U);
    EXPECT_EQ(buffers.capabilities, 7U);

    const ExtControls32 head{.which = 1,
                             .count = 2,
                             .error_idx = 3,
                             .request_fd = 4,
                             .reserved = 5,
                             .controls = 0x89ABCDE0};
    const auto controls =
        as<v4l2_ext_controls>(converted(native_layout, Layout::Narrow, 0xc0185648, bytes_of(head)));
    EXPECT_EQ(controls.count, 2U);
    EXPECT_EQ(controls.error_idx, 3U);
    EXPECT_EQ(controls.request_fd, 4);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(controls.controls), 0x89ABCDE0U);
}

TEST(Layouts, inputs_and_standards_are_read_by_the_header) {
    Input32 narrow_input{};
    narrow_input.all[12] = 0x1234;  // The lower half of `std`.
    narrow_input.all[14] = 7;
    const auto input = as<v4l2_input>(
        converted(native_layout, Layout::Narrow, 0xc04c561a, bytes_of(narrow_input)));
    EXPECT_EQ(input.std, 0x1234U);
    EXPECT_EQ(input.status, 7U);
    const auto standard = as<v4l2_standard>(
        converted(native_layout, Layout::Narrow, 0xc0405619,
                  bytes_of(Standard32{.index = 1, .id = 0xFF00000000, .rest = {'P', 0}})));
    EXPECT_EQ(standard.index, 1U);
    EXPECT_EQ(standard.id, 0xFF00000000U);
    EXPECT_EQ(standard.name[0], 'P');
}

TEST(Layouts, planes_keep_every_field) {
    std::mt19937 random(4);
    const Bytes narrow = random_bytes(3 * sizeof(Plane32), random);
    Bytes wide(3 * sizeof(Plane64));
    convert_planes(Layout::Wide, Layout::Narrow, narrow, wide);
    Plane64 second{};
    Plane32 source{};
    std::memcpy(&second, wide.data() + sizeof(Plane64), sizeof second);
    std::memcpy(&source, narrow.data() + sizeof(Plane32), sizeof source);
    EXPECT_EQ(+second.bytesused, +source.bytesused);
    EXPECT_EQ(+second.length, +source.length);
    EXPECT_EQ(+second.m, +source.m);
    EXPECT_EQ(+second.data_offset, +source.data_offset);
    EXPECT_EQ(second.reserved, source.reserved);
    Bytes back(narrow.size());
    convert_planes(Layout::Narrow, Layout::Wide, wide, back);
    EXPECT_EQ(back, narrow);
}

TEST(Layouts, buffers_alone_have_planes) {
    for (const Layout layout : layouts) {
        for (const Numbers& each : numbers) {
            const std::string_view name = each.name;
            EXPECT_EQ(has_planes(layout, in(each, layout)), name == "QUERYBUF" ||
                                                                name == "PREPARE_BUF" ||
                                                                name == "QBUF" || name == "DQBUF")
                << name;
        }
    }
}

}  // namespace
}  // namespace v4lfence
