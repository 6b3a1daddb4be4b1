// SPDX-License-Identifier: MIT

#include <drm_fourcc.h>
#include <drm_mode.h>
#include <gtest/gtest.h>

#include <cstring>

#include "v4lfence/kms/formats.hpp"

namespace v4lfence {
namespace {

constexpr std::uint64_t tiled = I915_FORMAT_MOD_X_TILED;

/// What a driver's IN_FORMATS looks like.
std::vector<std::byte> make_blob(const std::vector<std::uint32_t>& fourccs,
                                 const std::vector<drm_format_modifier>& modifiers) {
    drm_format_modifier_blob head{};
    head.version = FORMAT_BLOB_CURRENT;
    head.count_formats = static_cast<std::uint32_t>(fourccs.size());
    head.formats_offset = sizeof(head);
    head.count_modifiers = static_cast<std::uint32_t>(modifiers.size());
    head.modifiers_offset =
        static_cast<std::uint32_t>((sizeof(head) + fourccs.size() * sizeof(fourccs[0]) + 7) & ~7U);
    std::vector<std::byte> blob(head.modifiers_offset + modifiers.size() * sizeof(modifiers[0]));
    std::memcpy(blob.data(), &head, sizeof(head));
    std::memcpy(blob.data() + head.formats_offset, fourccs.data(),
                fourccs.size() * sizeof(fourccs[0]));
    std::memcpy(blob.data() + head.modifiers_offset, modifiers.data(),
                modifiers.size() * sizeof(modifiers[0]));
    return blob;
}

TEST(Formats, blob_pairs_formats_with_modifiers) {
    const auto formats =
        parse_in_formats(make_blob({DRM_FORMAT_XRGB8888, DRM_FORMAT_NV12},
                                   {{0b11, 0, 0, DRM_FORMAT_MOD_LINEAR}, {0b01, 0, 0, tiled}}));
    ASSERT_EQ(formats.size(), 3U);
    EXPECT_TRUE(takes_modifier(formats, DRM_FORMAT_XRGB8888, tiled));
    EXPECT_TRUE(takes_modifier(formats, DRM_FORMAT_NV12, DRM_FORMAT_MOD_LINEAR));
    EXPECT_FALSE(takes_modifier(formats, DRM_FORMAT_NV12, tiled));
    EXPECT_TRUE(takes_modifier(formats, DRM_FORMAT_NV12, DRM_FORMAT_MOD_INVALID));
    EXPECT_FALSE(takes_format(formats, DRM_FORMAT_YUYV));
}

TEST(Formats, modifier_counts_from_its_offset) {
    std::vector<std::uint32_t> fourccs(70, DRM_FORMAT_XRGB8888);
    fourccs[65] = DRM_FORMAT_NV12;
    const auto formats = parse_in_formats(make_blob(fourccs, {{0b10, 64, 0, tiled}}));
    ASSERT_EQ(formats.size(), 1U);
    EXPECT_EQ(formats[0].fourcc, static_cast<std::uint32_t>(DRM_FORMAT_NV12));
    EXPECT_EQ(formats[0].modifier, tiled);
}

TEST(Formats, blob_that_contradicts_itself_is_none) {
    const auto good = make_blob({DRM_FORMAT_XRGB8888}, {{0b1, 0, 0, DRM_FORMAT_MOD_LINEAR}});
    EXPECT_EQ(parse_in_formats(good).size(), 1U);
    EXPECT_TRUE(parse_in_formats({}).empty());
    for (std::size_t length = 0; length < good.size(); ++length) {
        EXPECT_TRUE(parse_in_formats(std::span(good).first(length)).empty()) << length;
    }
    EXPECT_TRUE(parse_in_formats(make_blob({DRM_FORMAT_XRGB8888}, {{0b10, 0, 0, 0}})).empty())
        << "names a format that is not listed";
    auto later = good;
    later[0] = std::byte{2};
    EXPECT_TRUE(parse_in_formats(later).empty());
}

TEST(Formats, plane_without_modifiers_takes_what_lies_plainly) {
    const std::uint32_t fourccs[] = {DRM_FORMAT_XRGB8888};
    const auto formats = formats_without_modifiers(fourccs);
    EXPECT_TRUE(takes_modifier(formats, DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_LINEAR));
    EXPECT_TRUE(takes_modifier(formats, DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_INVALID));
    EXPECT_FALSE(takes_modifier(formats, DRM_FORMAT_XRGB8888, tiled));
}

TEST(Formats, list_names_each_once) {
    const std::vector<PlaneFormat> formats = {
        {DRM_FORMAT_XRGB8888, 0}, {DRM_FORMAT_NV12, 0}, {DRM_FORMAT_XRGB8888, tiled}};
    EXPECT_EQ(list_formats(formats), "XR24, NV12");
    EXPECT_EQ(fourcc_name(0x01020304), "????");
}

TEST(Formats, layouts_count_bytes_and_lines) {
    const auto rgb = layout_of(DRM_FORMAT_XRGB8888);
    ASSERT_TRUE(rgb);
    EXPECT_EQ(rgb->line_bytes(0, 641), 2564U);
    const auto yuyv = layout_of(DRM_FORMAT_YUYV);
    EXPECT_EQ(yuyv->line_bytes(0, 3), 8U) << "whole pairs of pixels";
    const auto nv12 = layout_of(DRM_FORMAT_NV12);
    ASSERT_EQ(nv12->planes, 2U);
    EXPECT_EQ(nv12->line_bytes(0, 640), 640U);
    EXPECT_EQ(nv12->line_bytes(1, 640), 640U);
    EXPECT_EQ(nv12->line_bytes(1, 641), 642U);
    EXPECT_EQ(nv12->lines(1, 481), 241U);
    EXPECT_EQ(layout_of(DRM_FORMAT_YUV420)->line_bytes(2, 640), 320U);
    EXPECT_FALSE(layout_of(0));
}

}  // namespace
}  // namespace v4lfence
