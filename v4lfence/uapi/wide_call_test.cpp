// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <algorithm>

#include "v4lfence/uapi/wide_call.hpp"

namespace v4lfence {
namespace {

constexpr std::uint32_t qbuf_narrow = 0xc04c560f;
constexpr std::uint32_t qbuf_wide = 0xc058560f;

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}

template <class T>
T as(std::span<const std::byte> bytes) {
    T value{};
    EXPECT_EQ(bytes.size(), sizeof value);
    std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
    return value;
}

// Pins: 7.6
TEST(WideCall, buffer_and_planes_go_and_come_back) {
    Buffer32 buffer{};
    buffer.reserved2 = 21;
    buffer.length = 2;
    std::array<Plane32, 2> planes{};
    planes[1].m = 0xFEDCBA98;
    planes[1].data_offset = 12;

    WideRoomOf<Layout::Narrow> room;
    const WideCall wide = to_wide<Layout::Narrow>(
        {qbuf_narrow, bytes_of(buffer), std::as_bytes(std::span(planes))}, room);
    EXPECT_EQ(wide.request, qbuf_wide);
    auto wide_buffer = as<Buffer64>(wide.argument);
    EXPECT_EQ(+wide_buffer.reserved2, 21U);
    auto wide_planes = as<std::array<Plane64, 2>>(wide.payload);
    EXPECT_EQ(+wide_planes[1].m, 0xFEDCBA98U);
    EXPECT_EQ(+wide_planes[1].data_offset, 12U);

    wide_buffer.reserved2 = 22;
    wide_planes[0].bytesused = 640;
    from_wide<Layout::Narrow>({qbuf_wide, bytes_of(wide_buffer), bytes_of(wide_planes)},
                              qbuf_narrow, std::as_writable_bytes(std::span(&buffer, 1)),
                              std::as_writable_bytes(std::span(planes)));
    EXPECT_EQ(+buffer.reserved2, 22U);
    EXPECT_EQ(+buffer.length, 2U);
    EXPECT_EQ(+planes[0].bytesused, 640U);
    EXPECT_EQ(+planes[1].m, 0xFEDCBA98U);
}

TEST(WideCall, eight_planes_fit) {
    Buffer32 buffer{};
    const std::array<Plane32, 8> planes{};
    WideRoomOf<Layout::Narrow> room;
    const WideCall wide = to_wide<Layout::Narrow>(
        {qbuf_narrow, bytes_of(buffer), std::as_bytes(std::span(planes))}, room);
    EXPECT_EQ(wide.payload.size(), 8 * sizeof(Plane64));
}

TEST(WideCall, controls_travel_as_they_are) {
    ExtControls32 head{};
    head.count = 3;
    std::array<std::byte, 100> payload{};
    payload[99] = std::byte{7};
    WideRoomOf<Layout::Narrow> room;
    const WideCall wide = to_wide<Layout::Narrow>({0xc0185648, bytes_of(head), payload}, room);
    EXPECT_EQ(wide.request, 0xc0205648U);
    EXPECT_EQ(+as<ExtControls64>(wide.argument).count, 3U);
    EXPECT_EQ(wide.payload.data(), payload.data());

    std::array<std::byte, 100> answered{};
    from_wide<Layout::Narrow>(wide, 0xc0185648, std::as_writable_bytes(std::span(&head, 1)),
                              answered);
    EXPECT_EQ(answered, payload);
}

TEST(WideCall, others_are_not_copied) {
    const std::array<std::byte, 104> capability{};
    WideRoomOf<Layout::Narrow> room;
    const WideCall wide = to_wide<Layout::Narrow>({0x80685600, capability, {}}, room);
    EXPECT_EQ(wide.argument.data(), capability.data());
    EXPECT_EQ(wide.request, 0x80685600U);
}

/// Larger than the request says, as VIDIOC_QUERY_FENCES of a later header may be.
TEST(WideCall, answer_of_any_size_comes_back) {
    std::array<std::byte, 300> sent{};
    sent[299] = std::byte{9};
    std::array<std::byte, 300> got{};
    from_wide<Layout::Narrow>({0xc048f500, sent, {}}, 0xc048f500, got, {});
    EXPECT_EQ(got, sent);
}

TEST(WideCall, part_that_did_not_come_leaves_what_is_there) {
    Buffer32 buffer{};
    buffer.reserved2 = 5;
    Plane32 plane{};
    plane.m = 6;
    from_wide<Layout::Narrow>({qbuf_wide, {}, {}}, qbuf_narrow,
                              std::as_writable_bytes(std::span(&buffer, 1)),
                              std::as_writable_bytes(std::span(&plane, 1)));
    EXPECT_EQ(+buffer.reserved2, 5U);
    EXPECT_EQ(+plane.m, 6U);
}

TEST(WideCall, wide_programs_copy_nothing) {
    const Buffer64 buffer{};
    const std::array<Plane64, 2> planes{};
    WideRoomOf<Layout::Wide> room;
    const WideCall wide = to_wide<Layout::Wide>(
        {qbuf_wide, bytes_of(buffer), std::as_bytes(std::span(planes))}, room);
    EXPECT_EQ(wide.argument.data(), bytes_of(buffer).data());
    EXPECT_EQ(wide.payload.data(), std::as_bytes(std::span(planes)).data());
}

}  // namespace
}  // namespace v4lfence
