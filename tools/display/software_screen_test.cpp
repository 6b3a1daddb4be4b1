// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include "tools/display/software_screen.hpp"

namespace v4lfence {
namespace {

using std::chrono::milliseconds;

constexpr MonotonicTime start{std::chrono::seconds(7)};
constexpr milliseconds interval{10};

MonotonicTime at(int ms) {
    return start + milliseconds(ms);
}

TEST(SoftwareScreen, shows_at_the_refresh_after_the_fence) {
    SoftwareScreen screen(start, interval);
    screen.commit(1);
    EXPECT_EQ(screen.due(), std::nullopt);
    screen.fence_ended(at(23));
    EXPECT_EQ(screen.due(), at(30));
    const Refresh refresh = screen.flip(at(30));
    EXPECT_EQ(refresh.sequence, 3U);
    EXPECT_EQ(refresh.time, at(30));
    EXPECT_EQ(screen.shown(), 1);
}

TEST(SoftwareScreen, a_fence_that_ends_with_a_refresh_waits_for_the_next) {
    SoftwareScreen screen(start, interval);
    screen.commit(1);
    screen.fence_ended(at(20));
    EXPECT_EQ(screen.due(), at(30));
}

TEST(SoftwareScreen, is_busy_until_the_flip) {
    SoftwareScreen screen(start, interval);
    EXPECT_FALSE(screen.busy());
    screen.commit(1);
    EXPECT_TRUE(screen.busy());
    screen.fence_ended(at(1));
    EXPECT_TRUE(screen.busy());
    screen.flip(at(10));
    EXPECT_FALSE(screen.busy());
    EXPECT_EQ(screen.due(), std::nullopt);
}

TEST(SoftwareScreen, a_late_caller_shows_at_the_refresh_that_has_just_been) {
    SoftwareScreen screen(start, interval);
    screen.commit(1);
    screen.fence_ended(at(1));
    const Refresh refresh = screen.flip(at(47));
    EXPECT_EQ(refresh.sequence, 4U);
    EXPECT_EQ(refresh.time, at(40));
}

TEST(SoftwareScreen, what_was_shown_stays_while_the_next_is_on_its_way) {
    SoftwareScreen screen(start, interval);
    screen.commit(1);
    screen.fence_ended(at(1));
    screen.flip(at(10));
    screen.commit(2);
    EXPECT_EQ(screen.shown(), 1);
    EXPECT_EQ(screen.next(), 2);
}

}  // namespace
}  // namespace v4lfence
