// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/kms/testing/fake_display.hpp"

namespace v4lfence {
namespace {

using testing::Displays;
using testing::FakeCommit;
using ::testing::HasSubstr;

TEST_F(Displays, nothing_is_committed_before_the_first_picture) {
    open();
    picture();
    display.reset();
    EXPECT_TRUE(card->commits.empty());
    EXPECT_EQ(card->masters_dropped, 1U);
}

TEST_F(Displays, first_commit_sets_the_mode_and_no_other_does) {
    open();
    const int first = picture();
    const int second = picture();
    show(first);
    EXPECT_EQ(last().flags,
              static_cast<unsigned>(DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT |
                                    DRM_MODE_ATOMIC_ALLOW_MODESET));
    EXPECT_EQ(last().value(connector, "CRTC_ID"), crtc);
    EXPECT_EQ(last().value(crtc, "ACTIVE"), 1U);
    EXPECT_EQ(last().value(primary, "SRC_W"), std::uint64_t{1280} << 16);
    EXPECT_FALSE(last().has(primary, "IN_FENCE_FD"));
    EXPECT_FALSE(last().has(crtc, "OUT_FENCE_PTR"));
    show(second);
    EXPECT_EQ(last().flags,
              static_cast<unsigned>(DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT));
    EXPECT_FALSE(last().has(crtc, "MODE_ID"));
    EXPECT_EQ(card->tests, 0U) << "a picture of the screen's size needs no test";
}

TEST_F(Displays, fences_go_both_ways) {
    open();
    const int number = picture();
    const UniqueFd fence = std::move(*sys::eventfd(0, 0));
    const auto out = display->show({number, fence.get()}, true);
    ASSERT_TRUE(out);
    EXPECT_TRUE(*out);
    EXPECT_EQ(last().value(primary, "IN_FENCE_FD"), static_cast<std::uint64_t>(fence.get()));
    flip();
}

// Pins: 7.5
TEST_F(Displays, duplicate_of_the_in_fence_is_out_of_the_way_until_the_flip) {
    open();
    const int number = picture();
    const UniqueFd fence = std::move(*sys::eventfd(0, 0));
    UniqueFd lowest = std::move(*sys::dup_high(fence.get()));
    const int expected = lowest.get();
    lowest.reset();
    ASSERT_TRUE(display->show({number, fence.get()}, false));
    EXPECT_EQ(::fcntl(expected, F_GETFD), FD_CLOEXEC);
    flip();
    EXPECT_EQ(::fcntl(expected, F_GETFD), -1);
}

TEST_F(Displays, one_commit_at_a_time) {
    open();
    const int first = picture();
    const int second = picture();
    ASSERT_TRUE(display->show({first}, false));
    EXPECT_EQ(display->show({second}, false).error().code, -EBUSY);
    EXPECT_EQ(display->set_mode("640x480").error().code, -EBUSY);
    EXPECT_EQ(card->commits.size(), 1U);
    EXPECT_FALSE(display->next_flip()->has_value());
    flip();
    EXPECT_TRUE(display->show({second}, false));
    flip();
}

TEST_F(Displays, flip_names_the_picture_and_the_one_before) {
    open();
    const int first = picture();
    const int second = picture();
    ASSERT_TRUE(display->show({first}, false));
    const PictureFlip one = flip(7);
    EXPECT_EQ(one.picture, first);
    EXPECT_EQ(one.previous, 0);
    EXPECT_EQ(one.sequence, 7U);
    EXPECT_EQ(one.time_ns, 1000);
    ASSERT_TRUE(display->show({second}, false));
    EXPECT_EQ(flip().previous, first);
}

TEST_F(Displays, flip_of_another_crtc_is_not_ours) {
    open();
    const int number = picture();
    ASSERT_TRUE(display->show({number}, false));
    card->finish(crtc + 1000, 1, 1);
    EXPECT_FALSE(display->next_flip()->has_value());
    flip();
}

TEST_F(Displays, picture_on_screen_or_on_its_way_is_kept) {
    open();
    const int first = picture();
    const int second = picture();
    ASSERT_TRUE(display->show({first}, false));
    EXPECT_EQ(display->forget(first).error().code, -EBUSY);
    flip();
    EXPECT_EQ(display->forget(first).error().code, -EBUSY);
    show(second);
    EXPECT_TRUE(display->forget(first));
    EXPECT_EQ(display->forget(first).error().code, -ENOENT);
    EXPECT_EQ(display->show({first}, false).error().code, -ENOENT);
    EXPECT_EQ(picture(), first) << "the number is free again";
}

TEST_F(Displays, in_fence_that_is_no_sync_file_is_explained) {
    open();
    const int number = picture();
    card->judge = [&](const FakeCommit& commit) {
        return commit.has(primary, "IN_FENCE_FD") ? -EINVAL : 0;
    };
    const auto pipe = sys::pipe(0);
    const auto refused = display->show({number, pipe->read_end.get()}, true);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, -EINVAL);
    EXPECT_THAT(refused.error().sentence, HasSubstr("no sync_file"));
    EXPECT_THAT(display->show({number, 4000}, true).error().sentence, HasSubstr("is not open"));
    EXPECT_TRUE(display->show({number}, true)) << "nothing has changed";
    flip();
}

TEST_F(Displays, other_sizes_are_scaled_where_the_driver_can) {
    open();
    const int number = picture({640, 480});
    show(number);
    EXPECT_EQ(card->tests, 1U);
    EXPECT_EQ(last().value(primary, "CRTC_W"), 960U);
    EXPECT_EQ(last().value(primary, "CRTC_X"), 160U);
    show(number);
    EXPECT_EQ(card->tests, 1U) << "what the driver said is remembered";
    EXPECT_TRUE(display->may_scale());
}

TEST_F(Displays, other_sizes_are_centred_where_it_cannot) {
    open();
    card->judge = [&](const FakeCommit& commit) {
        return commit.has(primary, "SRC_W") &&
                       commit.value(primary, "SRC_W") >> 16 != commit.value(primary, "CRTC_W")
                   ? -ERANGE
                   : 0;
    };
    show(picture({640, 480}));
    EXPECT_EQ(last().value(primary, "CRTC_W"), 640U);
    EXPECT_EQ(last().value(primary, "CRTC_X"), 320U);
    EXPECT_FALSE(display->may_scale());
}

TEST_F(Displays, size_that_the_plane_takes_nowhere_is_refused) {
    open();
    card->judge = [&](const FakeCommit& commit) {
        return commit.value(primary, "SRC_W") >> 16 != 1280 ? -EINVAL : 0;
    };
    const int small = picture({640, 480});
    const auto refused = display->show({small}, false);
    EXPECT_EQ(refused.error().code, -ERANGE);
    EXPECT_THAT(refused.error().sentence, HasSubstr("fill the screen"));
    EXPECT_TRUE(card->commits.empty());
    EXPECT_EQ(card->framebuffers.size(), 1U) << "what it tried that with is gone";
    show(picture());
    card->judge = nullptr;
    show(small);
    EXPECT_EQ(last().value(primary, "CRTC_W"), 960U) << "what was refused is tried anew";
}

TEST_F(Displays, mode_that_the_driver_refuses_is_not_called_a_matter_of_size) {
    open();
    const int small = picture({640, 480});
    card->judge = [](const FakeCommit&) { return -ENOSPC; };
    const auto refused = display->show({small}, false);
    EXPECT_EQ(refused.error().code, -ENOSPC);
    EXPECT_THAT(refused.error().sentence, HasSubstr("of any size in the mode 1280x720@60.00"));
    EXPECT_TRUE(display->may_scale()) << "nothing was learnt of that";
    card->judge = nullptr;
    show(small);
    EXPECT_EQ(last().value(primary, "CRTC_W"), 960U);
}

TEST_F(Displays, close_waits_for_a_commit_that_ends_and_not_for_ever) {
    open();
    ASSERT_TRUE(display->show({picture()}, false));
    card->finish(crtc, 1, 1);
    display.reset();
    EXPECT_EQ(card->commits.size(), 2U) << "put back after the flip";

    open();
    ASSERT_TRUE(display->show({picture()}, false));
    display.reset();
    EXPECT_EQ(card->commits.size(), 3U) << "nothing can be put back over a stuck commit";
}

}  // namespace
}  // namespace v4lfence
