// SPDX-License-Identifier: MIT

#include "v4lfence/kms/formats.hpp"

#include <drm_fourcc.h>
#include <drm_mode.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

namespace v4lfence {

namespace {

constexpr unsigned formats_of_a_modifier = 64;  // Bits of drm_format_modifier.formats.

constexpr FormatLayout known_layouts[] = {
    {DRM_FORMAT_XRGB8888, 1, 32},       {DRM_FORMAT_ARGB8888, 1, 32},
    {DRM_FORMAT_XBGR8888, 1, 32},       {DRM_FORMAT_ABGR8888, 1, 32},
    {DRM_FORMAT_RGBX8888, 1, 32},       {DRM_FORMAT_RGBA8888, 1, 32},
    {DRM_FORMAT_BGRX8888, 1, 32},       {DRM_FORMAT_BGRA8888, 1, 32},
    {DRM_FORMAT_XRGB2101010, 1, 32},    {DRM_FORMAT_XBGR2101010, 1, 32},
    {DRM_FORMAT_RGB888, 1, 24},         {DRM_FORMAT_BGR888, 1, 24},
    {DRM_FORMAT_RGB565, 1, 16},         {DRM_FORMAT_BGR565, 1, 16},
    {DRM_FORMAT_XRGB1555, 1, 16},       {DRM_FORMAT_YUYV, 1, 16, 0, 2, 1},
    {DRM_FORMAT_YVYU, 1, 16, 0, 2, 1},  {DRM_FORMAT_UYVY, 1, 16, 0, 2, 1},
    {DRM_FORMAT_VYUY, 1, 16, 0, 2, 1},  {DRM_FORMAT_NV12, 2, 8, 16, 2, 2},
    {DRM_FORMAT_NV21, 2, 8, 16, 2, 2},  {DRM_FORMAT_NV16, 2, 8, 16, 2, 1},
    {DRM_FORMAT_NV61, 2, 8, 16, 2, 1},  {DRM_FORMAT_NV24, 2, 8, 16, 1, 1},
    {DRM_FORMAT_NV42, 2, 8, 16, 1, 1},  {DRM_FORMAT_P010, 2, 16, 32, 2, 2},
    {DRM_FORMAT_YUV420, 3, 8, 8, 2, 2}, {DRM_FORMAT_YVU420, 3, 8, 8, 2, 2},
    {DRM_FORMAT_YUV422, 3, 8, 8, 2, 1}, {DRM_FORMAT_YUV444, 3, 8, 8, 1, 1},
};

/// A T that lies at `offset`.
template <class T>
std::optional<T> read_at(std::span<const std::byte> bytes, std::uint64_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
        return std::nullopt;
    }
    T object;
    std::memcpy(&object, bytes.data() + offset, sizeof(T));
    return object;
}

std::uint32_t divided_up(std::uint32_t number, unsigned by) {
    return number / by + (number % by != 0 ? 1 : 0);
}

}  // namespace

std::vector<PlaneFormat> parse_in_formats(std::span<const std::byte> blob) {
    const auto head = read_at<drm_format_modifier_blob>(blob, 0);
    if (!head || head->version != FORMAT_BLOB_CURRENT) {
        return {};
    }
    std::vector<PlaneFormat> found;
    for (std::uint64_t i = 0; i < head->count_modifiers; ++i) {
        const auto entry = read_at<drm_format_modifier>(blob, head->modifiers_offset +
                                                                  i * sizeof(drm_format_modifier));
        if (!entry) {
            return {};
        }
        for (unsigned bit = 0; bit < formats_of_a_modifier; ++bit) {
            if ((entry->formats >> bit & 1) == 0) {
                continue;
            }
            const std::uint64_t number = std::uint64_t{entry->offset} + bit;
            const auto fourcc =
                read_at<std::uint32_t>(blob, head->formats_offset + number * sizeof(std::uint32_t));
            if (number >= head->count_formats || !fourcc) {
                return {};
            }
            found.push_back({*fourcc, entry->modifier});
        }
    }
    return found;
}

std::vector<PlaneFormat> formats_without_modifiers(std::span<const std::uint32_t> fourccs) {
    std::vector<PlaneFormat> formats;
    std::transform(fourccs.begin(), fourccs.end(), std::back_inserter(formats),
                   [](std::uint32_t fourcc) {
                       return PlaneFormat{fourcc, DRM_FORMAT_MOD_INVALID};
                   });
    return formats;
}

bool takes_format(std::span<const PlaneFormat> formats, std::uint32_t fourcc) {
    return std::any_of(formats.begin(), formats.end(),
                       [fourcc](const PlaneFormat& format) { return format.fourcc == fourcc; });
}

bool takes_modifier(std::span<const PlaneFormat> formats, std::uint32_t fourcc,
                    std::uint64_t modifier) {
    return std::any_of(formats.begin(), formats.end(), [&](const PlaneFormat& format) {
        return format.fourcc == fourcc &&
               (modifier == DRM_FORMAT_MOD_INVALID || format.modifier == modifier ||
                (modifier == DRM_FORMAT_MOD_LINEAR && format.modifier == DRM_FORMAT_MOD_INVALID));
    });
}

std::string fourcc_name(std::uint32_t fourcc) {
    std::string name;
    for (unsigned byte = 0; byte < 4; ++byte) {
        const char letter = static_cast<char>(fourcc >> (8 * byte) & 0x7f);
        name += letter > ' ' && letter < 0x7f ? letter : '?';
    }
    return name;
}

std::string list_formats(std::span<const PlaneFormat> formats) {
    std::string list;
    std::vector<std::uint32_t> named;
    for (const PlaneFormat& format : formats) {
        if (std::find(named.begin(), named.end(), format.fourcc) == named.end()) {
            named.push_back(format.fourcc);
            list += (list.empty() ? "" : ", ") + fourcc_name(format.fourcc);
        }
    }
    return list;
}

std::uint64_t FormatLayout::line_bytes(unsigned plane, std::uint32_t width) const {
    if (plane == 0) {
        const std::uint32_t pixels = divided_up(width, horizontal_sampling) * horizontal_sampling;
        return (std::uint64_t{planes == 1 ? pixels : width} * bits_per_pixel + 7) / 8;
    }
    return std::uint64_t{divided_up(width, horizontal_sampling)} * (chroma_bits / 8);
}

std::uint32_t FormatLayout::lines(unsigned plane, std::uint32_t height) const {
    return plane == 0 ? height : divided_up(height, vertical_sampling);
}

std::optional<FormatLayout> layout_of(std::uint32_t fourcc) {
    const auto* const found =
        std::find_if(std::begin(known_layouts), std::end(known_layouts),
                     [fourcc](const FormatLayout& layout) { return layout.fourcc == fourcc; });
    return found == std::end(known_layouts) ? std::nullopt : std::optional(*found);
}

}  // namespace v4lfence
