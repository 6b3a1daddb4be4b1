// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <ctime>
#include <limits>

#include "v4lfence/base/time.hpp"

namespace v4lfence {
namespace {

constexpr MonotonicTime now{Nanoseconds(5'000'000'000)};

TEST(Time, timeout_without_deadline_is_for_ever) {
    EXPECT_EQ(timeout_ms(std::nullopt, now), -1);
}

TEST(Time, timeout_rounds_up) {
    EXPECT_EQ(timeout_ms(now + Nanoseconds(1), now), 1);
    EXPECT_EQ(timeout_ms(now + Nanoseconds(1'000'000), now), 1);
    EXPECT_EQ(timeout_ms(now + Nanoseconds(1'000'001), now), 2);
}

TEST(Time, timeout_of_the_past_is_zero) {
    EXPECT_EQ(timeout_ms(now, now), 0);
    EXPECT_EQ(timeout_ms(now - std::chrono::hours(1), now), 0);
}

TEST(Time, timeout_saturates) {
    EXPECT_EQ(timeout_ms(now + std::chrono::hours(24 * 365), now), std::numeric_limits<int>::max());
}

TEST(Time, deadline_of_a_negative_timeout_is_never) {
    EXPECT_EQ(deadline_after_ms(-1, now), std::nullopt);
    EXPECT_EQ(deadline_after_ms(0, now), now);
    EXPECT_EQ(deadline_after_ms(1500, now), now + Nanoseconds(1'500'000'000));
}

TEST(Time, nanoseconds_survive_the_round_trip) {
    EXPECT_EQ(to_ns(from_ns(123'456'789'012)), 123'456'789'012);
}

// Pins: 3.4
TEST(Time, system_clock_is_clock_monotonic) {
    const auto monotonic = [] {
        timespec ts{};
        ::clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * std::int64_t{1'000'000'000} + ts.tv_nsec;
    };
    const std::int64_t before = monotonic();
    const std::int64_t seen = to_ns(SystemClock().now());
    const std::int64_t after = monotonic();
    EXPECT_LE(before, seen);
    EXPECT_LE(seen, after);
}

}  // namespace
}  // namespace v4lfence
