// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <string>

#include "v4lfence/drivers/picture/grey_pen.hpp"

namespace v4lfence {
namespace {

/// Black paper of 160x96 pixels, and where it has ink.
class Paper {
public:
    explicit Paper(std::uint32_t fourcc = V4L2_PIX_FMT_GREY)
        : layout_(*layout_of(fourcc, 160, 96)), memory_(*PictureMemory::create(layout_)),
          surface_(layout_, memory_.planes()) {}

    const Surface& surface() const { return surface_; }
    std::span<std::byte> bytes() const { return memory_.planes()[0]; }
    bool ink_at(std::uint32_t x, std::uint32_t y) const {
        return surface_.row(0, y)[x * surface_.format().pixel_bytes] > std::byte{60};
    }
    bool ink_in_column(std::uint32_t x) const {
        for (std::uint32_t y = 0; y < 96; ++y) {
            if (ink_at(x, y)) {
                return true;
            }
        }
        return false;
    }
    bool ink_in_row(std::uint32_t y) const {
        for (std::uint32_t x = 0; x < 160; ++x) {
            if (ink_at(x, y)) {
                return true;
            }
        }
        return false;
    }

private:
    PictureLayout layout_;
    PictureMemory memory_;
    Surface surface_;
};

TextStyle style_of(unsigned advance) {
    return {&glyphs_within(advance), 255, 0};
}

TEST(GreyPen, capitals_stand_on_the_baseline) {
    for (const GlyphSize& size : glyph_sizes()) {
        const Paper paper;
        GreyPen(paper.surface(), Coding::Full).text({4, 80, 160}, {&size, 255, 0}, "H");
        EXPECT_TRUE(paper.ink_in_row(79)) << size.advance;
        EXPECT_FALSE(paper.ink_in_row(80)) << size.advance;
        EXPECT_TRUE(paper.ink_in_row(80 - size.capital + 1)) << size.advance;
        EXPECT_FALSE(paper.ink_in_row(80 - size.capital - 1)) << size.advance;
    }
}

TEST(GreyPen, characters_do_not_reach_beyond_the_end) {
    const Paper paper;
    GreyPen(paper.surface(), Coding::Full).text({8, 24, 8 + 3 * 12 + 11}, style_of(12), "HHHHHH");
    EXPECT_TRUE(paper.ink_in_column(8 + 2 * 12 + 2));
    for (std::uint32_t x = 8 + 3 * 12; x < 160; ++x) {
        EXPECT_FALSE(paper.ink_in_column(x)) << x;
    }
}

TEST(GreyPen, glyph_that_would_leave_the_picture_is_left_out) {
    const Paper paper;
    const GreyPen pen(paper.surface(), Coding::Full);
    pen.text({8, 3, 160}, style_of(12), "H");
    pen.text({8, 110, 160}, style_of(12), "H");
    pen.text({150, 40, 400}, style_of(12), "HH");
    EXPECT_EQ(std::count(paper.bytes().begin(), paper.bytes().end(), std::byte{0}),
              std::ssize(paper.bytes()));
}

TEST(GreyPen, each_printable_character_has_a_glyph_of_its_own) {
    std::vector<std::vector<std::byte>> seen;
    std::string all;
    for (char character = glyph_first; character <= glyph_last; ++character) {
        all += character;
    }
    for (const char character : all) {
        const Paper paper;
        GreyPen(paper.surface(), Coding::Full).text({8, 30, 160}, style_of(12), {&character, 1});
        const std::vector<std::byte> drawn(paper.bytes().begin(), paper.bytes().end());
        EXPECT_EQ(std::count(seen.begin(), seen.end(), drawn), 0) << character;
        seen.push_back(drawn);
    }
}

TEST(GreyPen, what_is_not_printable_is_a_question_mark) {
    const Paper one;
    const Paper other;
    GreyPen(one.surface(), Coding::Full).text({8, 30, 160}, style_of(12), "\n\x7f\xc3");
    GreyPen(other.surface(), Coding::Full).text({8, 30, 160}, style_of(12), "???");
    EXPECT_TRUE(std::equal(one.bytes().begin(), one.bytes().end(), other.bytes().begin()));
}

TEST(GreyPen, only_luma_is_written) {
    const Paper paper(V4L2_PIX_FMT_YUYV);
    const GreyPen pen(paper.surface(), Coding::Limited);
    const StampPlan plan = stamp_plan(160, 96);
    pen.stamp(plan, 0, stamp_bits(plan, {0xffff0000, 0}));
    pen.text({8, 40, 160}, style_of(12), "H");
    std::byte most{0};
    for (std::size_t i = 0; i < paper.bytes().size(); i += 2) {
        EXPECT_EQ(paper.bytes()[i + 1], std::byte{0});
        most = std::max(most, paper.bytes()[i]);
    }
    EXPECT_EQ(most, std::byte{235}) << "white in limited range";
}

TEST(GreyPen, size_is_the_largest_within) {
    EXPECT_EQ(glyphs_within(0).advance, glyph_sizes().front().advance);
    EXPECT_EQ(glyphs_within(12).advance, 12U);
    EXPECT_EQ(glyphs_within(15).advance, 12U);
    EXPECT_EQ(glyphs_within(1000).advance, glyph_sizes().back().advance);
}

}  // namespace
}  // namespace v4lfence
