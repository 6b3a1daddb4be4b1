// SPDX-License-Identifier: MIT
//
// What the camera can show: formats, sizes and rates, as its descriptors list them.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace v4lfence {

/// The values are the descriptors' bFormatIndex.
enum class PictureFormat : std::uint8_t { Yuyv = 1, Nv12 = 2 };

inline constexpr std::array picture_formats{PictureFormat::Yuyv, PictureFormat::Nv12};

struct PictureSize {
    std::uint16_t width;
    std::uint16_t height;
};

/// bFrameIndex 1, 2, 3.
inline constexpr std::array<PictureSize, 3> picture_sizes{{{640, 360}, {320, 180}, {1280, 720}}};

/// 60, 30, 15 and 5 frames a second, in UVC's units of 100 ns.
inline constexpr std::array<std::uint32_t, 4> frame_intervals{166666, 333333, 666666, 2000000};
constexpr std::uint32_t default_interval = frame_intervals[1];

constexpr unsigned bits_per_pixel(PictureFormat format) {
    return format == PictureFormat::Nv12 ? 12 : 16;
}

constexpr std::uint32_t picture_bytes(PictureFormat format, PictureSize size) {
    return std::uint32_t{size.width} * size.height * bits_per_pixel(format) / 8;
}

struct VideoMode {
    PictureFormat format = PictureFormat::Yuyv;
    std::uint8_t size_index = 1;  ///< Counts from 1, as bFrameIndex does.
    std::uint32_t interval = default_interval;

    constexpr PictureSize size() const { return picture_sizes[size_index - 1u]; }
    constexpr std::uint32_t bytes() const { return picture_bytes(format, size()); }
};

constexpr std::uint32_t nearest_interval(std::uint32_t wish) {
    const auto distance = [wish](std::uint32_t i) { return i > wish ? i - wish : wish - i; };
    return *std::min_element(
        frame_intervals.begin(), frame_intervals.end(),
        [&](std::uint32_t a, std::uint32_t b) { return distance(a) < distance(b); });
}

/// Bytes before each payload: their count and the flags. No clock: vhci-hcd has no frame counter.
constexpr std::size_t payload_header_size = 2;
constexpr std::uint8_t video_endpoint = 0x81;

}  // namespace v4lfence
