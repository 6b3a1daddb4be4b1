// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include "tools/stream/latency.hpp"

namespace v4lfence {
namespace {

TEST(Latency, no_samples_no_summary) {
    EXPECT_FALSE(LatencySamples(10).summary());
}

TEST(Latency, percentiles_are_nearest_ranks) {
    LatencySamples samples(100);
    for (std::int64_t value = 100; value >= 1; --value) {
        samples.add(value);
    }
    const auto summary = samples.summary();
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->count, 100U);
    EXPECT_EQ(summary->p50, 50);
    EXPECT_EQ(summary->p90, 90);
    EXPECT_EQ(summary->p99, 99);
    EXPECT_EQ(summary->max, 100);
}

TEST(Latency, one_sample_is_every_percentile) {
    LatencySamples samples(1);
    samples.add(-7);
    const auto summary = samples.summary();
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->p50, -7);
    EXPECT_EQ(summary->p99, -7);
    EXPECT_EQ(summary->max, -7);
}

TEST(Latency, percentile_of_few_samples_rounds_up) {
    LatencySamples samples(3);
    for (const std::int64_t value : {30, 10, 20}) {
        samples.add(value);
    }
    const auto summary = samples.summary();
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->p50, 20);
    EXPECT_EQ(summary->p90, 30);
}

}  // namespace
}  // namespace v4lfence
