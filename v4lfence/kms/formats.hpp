// SPDX-License-Identifier: MIT
//
// Pixel formats of planes: which a plane scans out, and how the bytes of one lie.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace v4lfence {

struct PlaneFormat {
    std::uint32_t fourcc = 0;    ///< DRM_FORMAT_*
    std::uint64_t modifier = 0;  ///< DRM_FORMAT_MOD_*; INVALID: the kernel tells of none.
};

/// What the blob of IN_FORMATS says. Empty where it contradicts itself.
std::vector<PlaneFormat> parse_in_formats(std::span<const std::byte> blob);

/// Of a plane that has no IN_FORMATS.
std::vector<PlaneFormat> formats_without_modifiers(std::span<const std::uint32_t> fourccs);

/// With any modifier.
bool takes_format(std::span<const PlaneFormat> formats, std::uint32_t fourcc);
/// `modifier` INVALID: as takes_format(); LINEAR is taken as known where the kernel tells of none.
bool takes_modifier(std::span<const PlaneFormat> formats, std::uint32_t fourcc,
                    std::uint64_t modifier);

/// "XR24, NV12"
std::string list_formats(std::span<const PlaneFormat> formats);
/// "NV12"
std::string fourcc_name(std::uint32_t fourcc);

/// How a format lies in memory, uncompressed.
struct FormatLayout {
    std::uint32_t fourcc = 0;
    unsigned planes = 1;
    unsigned bits_per_pixel = 0;       ///< Of the first plane.
    unsigned chroma_bits = 0;          ///< Of a sample in each of the other planes.
    unsigned horizontal_sampling = 1;  ///< Pixels to a chroma sample.
    unsigned vertical_sampling = 1;

    /// Bytes a line of plane `plane` at least has.
    std::uint64_t line_bytes(unsigned plane, std::uint32_t width) const;
    std::uint32_t lines(unsigned plane, std::uint32_t height) const;
};
/// Empty: not one that is known here.
std::optional<FormatLayout> layout_of(std::uint32_t fourcc);

}  // namespace v4lfence
