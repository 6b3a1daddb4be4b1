// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include "tools/stream/options.hpp"

namespace v4lfence {
namespace {

template <class Parsed>
void expect_refused(const Parsed& parsed) {
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().status, ExitStatus::WrongUsage);
    EXPECT_FALSE(parsed.error().message.empty());
}

TEST(Options, size_is_two_positive_numbers) {
    const auto size = parse_size("640x360");
    ASSERT_TRUE(size);
    EXPECT_EQ(size->width, 640U);
    EXPECT_EQ(size->height, 360U);
    for (const char* text :
         {"", "640", "640x", "x360", "0x360", "640x-1", "640x360x2", "a640x360"}) {
        expect_refused(parse_size(text));
    }
}

TEST(Options, rate_is_a_number_or_free) {
    const auto rate = parse_rate("29.97");
    ASSERT_TRUE(rate);
    EXPECT_EQ(rate->per_second, 29.97);
    EXPECT_FALSE(rate->free_running);
    const auto free_running = parse_rate("free");
    ASSERT_TRUE(free_running);
    EXPECT_TRUE(free_running->free_running);
    EXPECT_EQ(free_running->per_second, std::nullopt);
    for (const char* text : {"", "0", "-5", "1001", "30fps", "nan", "freely"}) {
        expect_refused(parse_rate(text));
    }
}

TEST(Options, virtual_device_is_not_reached_without_the_library) {
    StreamChoices choices;
    choices.device = "virtual:camera";
    EXPECT_TRUE(settle_options(choices));
    choices.raw = true;
    expect_refused(settle_options(choices));
}

TEST(Options, chain_takes_a_depth) {
    const auto chain = parse_in_fence("chain=3");
    ASSERT_TRUE(chain);
    EXPECT_EQ(chain->mode, InFenceMode::Chain);
    EXPECT_EQ(chain->chain_depth, 3U);
    EXPECT_EQ(parse_in_fence("chain")->chain_depth, std::nullopt);
    EXPECT_EQ(parse_in_fence("timer")->mode, InFenceMode::Timer);
    EXPECT_EQ(parse_in_fence("none")->mode, InFenceMode::None);
    for (const char* text :
         {"", "chain=", "chain=0", "chain=-1", "chain=2x", "chains", "timer=3"}) {
        expect_refused(parse_in_fence(text));
    }
}

TEST(Options, delays_are_a_range_or_one_number) {
    const auto range = parse_delays("5..60");
    ASSERT_TRUE(range);
    EXPECT_EQ(range->min_ms, 5U);
    EXPECT_EQ(range->max_ms, 60U);
    EXPECT_EQ(parse_delays("7")->max_ms, 7U);
    for (const char* text : {"", "60..5", "5..", "..5", "5-60", "a..b"}) {
        expect_refused(parse_delays(text));
    }
}

TEST(Options, words_that_are_none_of_the_choices_are_refused) {
    EXPECT_EQ(parse_memory("dmabuf").value(), std::uint32_t{V4L2_MEMORY_DMABUF});
    EXPECT_EQ(parse_pixels("painted").value(), PixelCheck::Painted);
    EXPECT_EQ(parse_fourcc("YUYV").value(), V4L2_PIX_FMT_YUYV);
    expect_refused(parse_memory("overlay"));
    expect_refused(parse_pixels("some"));
    expect_refused(parse_fourcc("YUYV2"));
}

TEST(Options, raw_takes_no_fence_option) {
    StreamChoices choices;
    choices.raw = true;
    EXPECT_TRUE(settle_options(choices));
    choices.out_fence = true;
    expect_refused(settle_options(choices));
    choices.out_fence = false;
    choices.provider = "user";
    expect_refused(settle_options(choices));
}

TEST(Options, deadline_needs_something_to_wait_for) {
    StreamChoices choices;
    choices.deadline_ms = 100;
    expect_refused(settle_options(choices));
    choices.in_fence.mode = InFenceMode::Timer;
    EXPECT_TRUE(settle_options(choices));
}

TEST(Options, names_need_out_fences) {
    StreamChoices choices;
    choices.fence_names = true;
    expect_refused(settle_options(choices));
    choices.out_fence = true;
    EXPECT_TRUE(settle_options(choices));
    choices.out_fence = false;
    choices.in_fence.mode = InFenceMode::Chain;
    EXPECT_TRUE(settle_options(choices));
}

TEST(Options, fences_in_dma_bufs_are_the_kernels) {
    StreamChoices choices;
    choices.memory = V4L2_MEMORY_MMAP;
    choices.implicit = *parse_implicit("out");
    ASSERT_TRUE(settle_options(choices));
    EXPECT_EQ(choices.provider, "vgem");
    EXPECT_TRUE(choices.fenced());
    ASSERT_TRUE(settle_options(choices));
    choices.provider = "user";
    expect_refused(settle_options(choices));
    choices.provider.reset();
    choices.memory = V4L2_MEMORY_USERPTR;
    expect_refused(settle_options(choices));
}

TEST(Options, in_fences_in_dma_bufs_have_to_come_from_somewhere) {
    StreamChoices choices;
    choices.memory = V4L2_MEMORY_DMABUF;
    choices.implicit = *parse_implicit("both");
    expect_refused(settle_options(choices));
    choices.in_fence.mode = InFenceMode::Timer;
    EXPECT_TRUE(settle_options(choices));
    EXPECT_EQ(parse_implicit("none"), 0U);
    expect_refused(parse_implicit("all"));
}

TEST(Options, chain_asks_for_out_fences) {
    StreamChoices choices;
    choices.in_fence.mode = InFenceMode::Chain;
    ASSERT_TRUE(settle_options(choices));
    EXPECT_TRUE(choices.out_fence);
}

TEST(Options, no_frames_check_nothing) {
    StreamChoices choices;
    choices.frames = 0;
    expect_refused(settle_options(choices));
}

}  // namespace
}  // namespace v4lfence
