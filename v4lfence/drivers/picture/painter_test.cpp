// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "v4lfence/drivers/picture/painter.hpp"
#include "v4lfence/drivers/picture/testing/shot.hpp"

namespace v4lfence {
namespace {

using testing::GuardedPlanes;
using testing::Rgb;
using testing::Shot;
using testing::ShotChoices;

constexpr FrameFacts facts{123456, 98'765'432'109'876};

struct Size {
    std::uint32_t width;
    std::uint32_t height;
};
constexpr Size sizes[] = {{16, 16},  {18, 30},   {64, 32},   {66, 98},   {128, 64}, {160, 120},
                          {290, 66}, {322, 242}, {642, 362}, {3840, 18}, {20, 2160}};

bool near(const Rgb& first, const Rgb& second, int tolerance) {
    for (unsigned i = 0; i < 3; ++i) {
        if (std::abs(first[i] - second[i]) > tolerance) {
            return false;
        }
    }
    return true;
}

std::vector<std::byte> bytes_of(const Shot& shot) {
    std::vector<std::byte> bytes;
    for (unsigned i = 0; i < shot.layout().plane_count; ++i) {
        bytes.insert(bytes.end(), shot.plane(i).begin(), shot.plane(i).end());
    }
    return bytes;
}

TEST(Painter, every_format_and_size_has_its_stamps_and_stays_in_its_planes) {
    for (const PictureFormat& format : picture_formats()) {
        for (const Size size : sizes) {
            for (unsigned pattern = 0; pattern < pattern_count; ++pattern) {
                ShotChoices choices{format.fourcc, size.width, size.height, {}, {}, facts};
                choices.settings.pattern = static_cast<Pattern>(pattern);
                const Shot shot(choices);
                const StampReading stamps = shot.stamps();
                const bool has_time = stamp_plan(size.width, size.height).has_time;
                EXPECT_TRUE(shot.guards_intact());
                ASSERT_TRUE(stamps.whole())
                    << format.name << " " << size.width << "x" << size.height << " " << pattern;
                EXPECT_EQ(stamps.top->sequence, facts.sequence);
                EXPECT_EQ(stamps.top->captured_at_ns, has_time ? facts.captured_at_ns : 0);
            }
        }
    }
}

TEST(Painter, long_lines_show_the_same_picture) {
    for (const PictureFormat& format : picture_formats()) {
        ShotChoices choices{format.fourcc, 322, 242, {}, {}, facts};
        const Shot tight(choices);
        choices.bytesperline = {1502, 1000, 800};
        const Shot loose(choices);
        EXPECT_TRUE(loose.guards_intact());
        for (std::uint32_t y = 0; y < 242; ++y) {
            for (std::uint32_t x = 0; x < 322; ++x) {
                ASSERT_EQ(tight.pixel(x, y), loose.pixel(x, y)) << format.name;
            }
        }
    }
}

TEST(Painter, all_bytes_of_a_frame_are_painted) {
    for (const PictureFormat& format : picture_formats()) {
        const auto layout = layout_of(format.fourcc, 322, 242, {1502, 1000, 800});
        auto painter = Painter::create(*layout, {});
        std::array<std::vector<std::vector<std::byte>>, 2> memory;
        for (unsigned i = 0; i < 2; ++i) {
            std::vector<std::span<std::byte>> planes;
            for (unsigned plane = 0; plane < layout->plane_count; ++plane) {
                memory[i].emplace_back(layout->planes[plane].sizeimage,
                                       i == 0 ? std::byte{0} : std::byte{255});
            }
            for (auto& each : memory[i]) {
                planes.emplace_back(each);
            }
            const auto used = painter->paint(planes, facts);
            memory[i][0].resize((*used)[0]);
            EXPECT_TRUE(format.family == PictureFamily::Jpeg ||
                        (*used)[0] == layout->planes[0].sizeimage);
        }
        EXPECT_EQ(memory[0], memory[1]) << format.name;
    }
}

TEST(Painter, bars_have_their_colours_in_every_format) {
    constexpr Rgb bars[] = {{191, 191, 191}, {191, 191, 0}, {0, 191, 191}, {0, 191, 0},
                            {191, 0, 191},   {191, 0, 0},   {0, 0, 191}};
    for (const PictureFormat& format : picture_formats()) {
        ShotChoices choices{format.fourcc, 700, 400, {}, {}, {}};
        choices.settings.pattern = Pattern::Bars;
        const Shot shot(choices);
        for (std::uint32_t bar = 0; bar < std::size(bars); ++bar) {
            const Rgb shown = shot.pixel(bar * 100 + 20, 250);
            const int grey = (299 * bars[bar][0] + 587 * bars[bar][1] + 114 * bars[bar][2]) / 1000;
            const Rgb wanted =
                format.fourcc == V4L2_PIX_FMT_GREY ? Rgb{grey, grey, grey} : bars[bar];
            const int tolerance = format.family == PictureFamily::Jpeg ? 4 : 2;
            EXPECT_TRUE(near(shown, wanted, tolerance))
                << format.name << " bar " << bar << ": " << shown[0] << " " << shown[1] << " "
                << shown[2];
        }
    }
}

TEST(Painter, solid_patterns_are_of_one_colour_but_for_the_stamps) {
    constexpr Rgb colours[] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}};
    for (const std::uint32_t fourcc :
         {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_YUV420M, V4L2_PIX_FMT_RGB24}) {
        for (unsigned i = 0; i < 3; ++i) {
            ShotChoices choices{fourcc, 320, 240, {}, {}, facts};
            choices.settings.pattern = static_cast<Pattern>(unsigned{4} + i);
            ASSERT_TRUE(is_solid(choices.settings.pattern));
            const Shot shot(choices);
            std::uint32_t pixels = 0;
            for (std::uint32_t y = 0; y < 240; ++y) {
                for (std::uint32_t x = 0; x < 320; ++x) {
                    pixels += near(shot.pixel(x, y), colours[i], 3) ? 1 : 0;
                }
            }
            const StampPlan stamp = stamp_plan(320, 240);
            EXPECT_EQ(pixels, 320U * 240 - 2 * stamp.width() * stamp.height());
            EXPECT_GT(pixels, 320U * 240 * 94 / 100) << "v4l2-compliance -c wants nine of ten";
        }
    }
}

TEST(Painter, mirror_turns_the_scene_and_leaves_stamps_and_text) {
    for (const std::uint32_t fourcc : {V4L2_PIX_FMT_RGB24, V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_NV12}) {
        ShotChoices choices{fourcc, 640, 360, {}, {}, facts};
        const Shot straight(choices);
        choices.settings.mirror = true;
        const Shot mirrored(choices);
        const FramePlan plan = frame_plan(640, 360, Pattern::TestCard);
        for (std::uint32_t y = 0; y < 360; ++y) {
            const bool scene = y >= plan.scene.y && y < plan.scene.y + plan.scene.height;
            for (std::uint32_t x = 0; x < 640; ++x) {
                ASSERT_EQ(mirrored.pixel(x, y), straight.pixel(scene ? 639 - x : x, y))
                    << x << " " << y;
            }
        }
        EXPECT_TRUE(mirrored.stamps().whole());
    }
}

TEST(Painter, brightness_and_contrast_change_the_scene_alone) {
    ShotChoices choices{V4L2_PIX_FMT_RGB24, 640, 360, {}, {}, facts};
    choices.settings.pattern = Pattern::Bars;
    const Shot plain(choices);
    choices.settings.brightness = 138;
    EXPECT_EQ(Shot(choices).pixel(20, 100), (Rgb{211, 211, 211}));
    choices.settings.brightness = 0;
    EXPECT_EQ(Shot(choices).pixel(20, 100), (Rgb{0, 0, 0}));
    EXPECT_TRUE(Shot(choices).stamps().whole());
    choices.settings.brightness = 128;
    choices.settings.contrast = 64;
    EXPECT_EQ(Shot(choices).pixel(20, 100), (Rgb{159, 159, 159}));
    choices.settings.contrast = 0;
    const Shot flat(choices);
    EXPECT_EQ(flat.pixel(20, 100), (Rgb{128, 128, 128}));
    EXPECT_EQ(flat.stamps().top, plain.stamps().top);
    for (std::uint32_t x = 0; x < 640; ++x) {
        ASSERT_EQ(flat.pixel(x, 8), plain.pixel(x, 8)) << "in the band";
    }
}

TEST(Painter, target_is_elsewhere_in_each_frame) {
    for (const Size size : {Size{64, 64}, Size{320, 240}, Size{1920, 1080}}) {
        for (const bool mirrored : {false, true}) {
            const Area scene = frame_plan(size.width, size.height, Pattern::TestCard).scene;
            const TargetPath path = target_path(scene, mirrored);
            ASSERT_GT(path.size, 0U);
            for (std::uint32_t i = 0; i < path.places.size(); ++i) {
                const auto& place = path.at(i);
                EXPECT_NE(place, path.at(i + 1)) << size.width << " " << i;
                EXPECT_EQ(place.x % 2 + place.y % 2, 0U);
                EXPECT_LE(place.x + path.size, scene.width);
                EXPECT_GE(place.y, scene.y);
                EXPECT_LE(place.y + path.size, scene.y + scene.height);
            }
        }
    }
}

TEST(Painter, frames_differ_in_the_scene) {
    ShotChoices choices{V4L2_PIX_FMT_NV12, 320, 240, {}, {}, facts};
    const Shot first(choices);
    ++choices.facts.sequence;
    const Shot second(choices);
    unsigned different = 0;
    for (std::uint32_t y = 40; y < 200; ++y) {
        for (std::uint32_t x = 0; x < 320; ++x) {
            different += first.pixel(x, y) != second.pixel(x, y) ? 1 : 0;
        }
    }
    EXPECT_GT(different, 50U);
}

TEST(Painter, frame_of_two_halves_is_torn) {
    for (const std::uint32_t fourcc : {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_XBGR32}) {
        ShotChoices choices{fourcc, 320, 240, {}, {}, facts};
        const Shot first(choices);
        ++choices.facts.sequence;
        const Shot second(choices);
        std::copy_n(second.plane(0).begin(), second.plane(0).size() / 2, first.plane(0).begin());
        EXPECT_TRUE(first.stamps().torn());
    }
}

/// Pixels brighter than the band in some columns of a row range.
unsigned ink(const Shot& shot, std::uint32_t left, std::uint32_t right, std::uint32_t top,
             std::uint32_t bottom) {
    unsigned count = 0;
    for (std::uint32_t y = top; y < bottom; ++y) {
        for (std::uint32_t x = left; x < right; ++x) {
            count += shot.luma(x, y) > 100 ? 1 : 0;
        }
    }
    return count;
}

TEST(Painter, text_stands_beside_the_stamps_at_both_ends) {
    for (const PictureFormat& format : picture_formats()) {
        ShotChoices choices{format.fourcc, 640, 480, {}, {}, facts};
        choices.settings.name = "virtual:camera";
        const Shot shot(choices);
        const std::uint32_t left = stamp_plan(640, 480).width();
        for (const std::uint32_t y : {0U, 464U}) {
            EXPECT_GT(ink(shot, left, 400, y, y + 16), 200U) << format.name;
            EXPECT_GT(ink(shot, 400, 640, y, y + 16), 100U) << format.name;
        }
        for (std::uint32_t y = 0; y < 16; ++y) {
            for (std::uint32_t x = left; x < 376 && format.family != PictureFamily::Jpeg; ++x) {
                ASSERT_EQ(shot.pixel(x, y), shot.pixel(x, 464 + y)) << "number and time";
            }
        }
    }
}

TEST(Painter, text_says_what_the_stamps_say) {
    ShotChoices choices{V4L2_PIX_FMT_GREY, 640, 480, {}, {}, {7, 1'000'000'000}};
    const Shot first(choices);
    choices.facts.sequence = 8;
    const Shot number(choices);
    choices.facts = {7, 1'000'001'000};
    const Shot time(choices);
    const auto columns = [&](const Shot& other) {
        std::vector<unsigned> changed;  // characters of 8 pixels
        for (unsigned character = 0; character < 29; ++character) {
            const std::uint32_t x = 128 + 8 + character * 8;
            bool same = true;
            for (std::uint32_t y = 0; y < 16; ++y) {
                for (std::uint32_t i = x; i < x + 8; ++i) {
                    same = same && first.luma(i, y) == other.luma(i, y);
                }
            }
            if (!same) {
                changed.push_back(character);
            }
        }
        return changed;
    };
    EXPECT_EQ(columns(number), std::vector<unsigned>{6}) << "#000007";
    EXPECT_EQ(columns(time), std::vector<unsigned>{16}) << "#000007  1.000000 s";
}

TEST(Painter, text_is_left_out_where_it_has_no_room) {
    EXPECT_TRUE(frame_plan(288, 64, Pattern::Bars).has_text);
    EXPECT_FALSE(frame_plan(286, 64, Pattern::Bars).has_text);
    EXPECT_FALSE(frame_plan(640, 62, Pattern::Bars).has_text);
    EXPECT_FALSE(frame_plan(640, 480, Pattern::SolidRed).has_text);
    ShotChoices choices{V4L2_PIX_FMT_GREY, 640, 480, {}, {}, {}};
    choices.settings.name = std::string(60, 'M');
    EXPECT_EQ(ink(Shot(choices), 400, 640, 0, 16), 0U) << "a name that is too long";
}

TEST(Painter, changed_settings_are_those_of_a_new_painter) {
    const auto layout = layout_of(V4L2_PIX_FMT_NV12M, 322, 242);
    PictureSettings settings;
    settings.pattern = Pattern::ZonePlate;
    settings.mirror = true;
    auto changed = Painter::create(*layout, {});
    ASSERT_TRUE(changed->change(settings).has_value());
    const GuardedPlanes memory(*layout);
    ASSERT_TRUE(changed->paint(memory.planes(), facts).has_value());
    const auto planes = memory.planes();
    std::vector<std::byte> bytes(planes[0].begin(), planes[0].end());
    bytes.insert(bytes.end(), planes[1].begin(), planes[1].end());
    EXPECT_EQ(bytes, bytes_of(Shot({V4L2_PIX_FMT_NV12M, 322, 242, {}, settings, facts})));
}

TEST(Painter, wrong_planes_are_refused_and_untouched) {
    const auto layout = layout_of(V4L2_PIX_FMT_NV12M, 320, 240);
    auto painter = Painter::create(*layout, {});
    const GuardedPlanes memory(*layout);
    const std::span<std::byte> luma = memory.planes()[0];
    const std::span<std::byte> chroma = memory.planes()[1];
    const std::byte before = luma[0];
    const auto code = [&](std::vector<std::span<std::byte>> planes) {
        const auto painted = painter->paint(planes, facts);
        return painted ? 0 : painted.error().code;
    };
    EXPECT_EQ(code({luma}), -EINVAL);
    EXPECT_EQ(code({luma, chroma, chroma}), -EINVAL);
    EXPECT_EQ(code({luma, chroma.first(chroma.size() - 1)}), -EINVAL);
    EXPECT_EQ(luma[0], before);
    EXPECT_EQ(code({luma, chroma}), 0);
    EXPECT_NE(luma[0], before);
}

TEST(Painter, byte_without_colour_is_opaque) {
    const Shot shot({V4L2_PIX_FMT_XBGR32, 320, 240, {}, {}, facts});
    for (std::size_t i = 3; i < shot.plane(0).size(); i += 4) {
        ASSERT_EQ(shot.plane(0)[i], std::byte{255}) << "for viewers that take it for alpha";
    }
}

TEST(Painter, layouts_of_others_are_refused) {
    const auto code = [](const PictureLayout& layout) {
        const auto painter = Painter::create(layout, {});
        return painter ? 0 : painter.error().code;
    };
    const PictureLayout ours = *layout_of(V4L2_PIX_FMT_YUYV, 320, 240);
    EXPECT_EQ(code(ours), 0);
    PictureLayout layout = ours;
    layout.planes[0].sizeimage -= 1;
    EXPECT_EQ(code(layout), -EINVAL);
    layout = ours;
    layout.planes[0].bytesperline = 638;
    EXPECT_EQ(code(layout), -EINVAL);
    layout = ours;
    layout.plane_count = 77;
    EXPECT_EQ(code(layout), -EINVAL);
}

}  // namespace
}  // namespace v4lfence
