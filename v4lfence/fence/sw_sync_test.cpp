// SPDX-License-Identifier: MIT
//
// The provider "sw_sync" over a stand-in for the kernel's driver, which few kernels have.

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/providers/point_ledger.hpp"
#include "v4lfence/fence/providers/sw_sync.hpp"

namespace v4lfence {
namespace {

/// Timelines as the kernel's: a fence of theirs is the read end of a pipe.
class FakeSwSync final : public SwSyncDevice {
public:
    Result<UniqueFd> open_timeline() override {
        // Closing it is seen by its hang-up at the other end.
        auto pipe = V4LFENCE_TRY(sys::pipe(O_NONBLOCK));
        const int timeline = pipe.write_end.get();
        timelines_[timeline] = Timeline{std::move(pipe.read_end), 0, {}};
        ++opened;
        return std::move(pipe.write_end);
    }

    Result<UniqueFd> create_fence(int timeline, std::uint32_t point) override {
        if (fail_next_create) {
            fail_next_create = false;
            return fail(-ENOMEM, "scripted");
        }
        auto pipe = V4LFENCE_TRY(sys::pipe(O_NONBLOCK));
        timelines_[timeline].points.emplace(point, std::move(pipe.write_end));
        return std::move(pipe.read_end);
    }

    Result<> increment(int timeline, std::uint32_t by) override {
        Timeline& moved = timelines_[timeline];
        moved.value += by;
        std::erase_if(moved.points, [&](const auto& point) { return point.first <= moved.value; });
        return {};
    }

    bool is_closed(int timeline) const {
        return sys::poll_now(timelines_.at(timeline).open_while.get(), POLLIN).value_or(0) != 0;
    }
    std::uint32_t value(int timeline) const { return timelines_.at(timeline).value; }
    int only_timeline() const { return timelines_.begin()->first; }

    unsigned opened = 0;
    bool fail_next_create = false;

private:
    struct Timeline {
        UniqueFd open_while;
        std::uint32_t value = 0;
        std::multimap<std::uint32_t, UniqueFd> points;
    };
    std::map<int, Timeline> timelines_;
};

class SwSync : public ::testing::Test {
protected:
    void SetUp() override {
        auto device = std::make_unique<FakeSwSync>();
        device_ = device.get();
        provider_ = std::make_unique<SwSyncProvider>(std::move(device));
        auto context = provider_->open_context();
        ASSERT_TRUE(context);
        context_ = std::move(*context);
    }

    static bool ended(const MintedFence& fence) {
        return sys::poll_now(fence.fd.get(), POLLIN).value_or(0) != 0;
    }

    FakeSwSync* device_ = nullptr;
    std::unique_ptr<FenceProvider> provider_;
    std::unique_ptr<FenceContext> context_;
};

// Pins: 4.7
TEST_F(SwSync, ordered_fences_share_a_timeline_with_rising_points) {
    ASSERT_TRUE(context_->begin_generation(true));
    auto first = context_->mint(0);
    auto second = context_->mint(1);
    auto third = context_->mint(2);
    EXPECT_EQ(device_->opened, 1U);
    std::move(second->promise).end(0);
    EXPECT_FALSE(ended(*first) || ended(*second)) << "delayed, never anticipated";
    std::move(first->promise).end(0);
    EXPECT_TRUE(ended(*first) && ended(*second));
    EXPECT_FALSE(ended(*third));
    std::move(third->promise).end(-EIO);
    EXPECT_TRUE(ended(*third));
    EXPECT_EQ(device_->value(device_->only_timeline()), 3U);
}

// Pins: 4.7
TEST_F(SwSync, each_generation_has_a_timeline_of_its_own) {
    ASSERT_TRUE(context_->begin_generation(true));
    const int first = device_->only_timeline();
    ASSERT_TRUE(context_->begin_generation(true));
    EXPECT_EQ(device_->opened, 2U);
    EXPECT_TRUE(device_->is_closed(first));
}

// Pins: 4.7
TEST_F(SwSync, unordered_fences_have_a_timeline_each) {
    ASSERT_TRUE(context_->begin_generation(false));
    auto first = context_->mint(0);
    auto second = context_->mint(1);
    EXPECT_EQ(device_->opened, 2U);
    std::move(second->promise).end(0);
    EXPECT_TRUE(ended(*second));
    EXPECT_FALSE(ended(*first));
}

TEST_F(SwSync, unordered_error_closes_the_timeline_at_its_old_point) {
    auto fence = context_->mint(0);
    const int timeline = device_->only_timeline();
    std::move(fence->promise).end(-EIO);
    EXPECT_TRUE(device_->is_closed(timeline));
    EXPECT_EQ(device_->value(timeline), 0U);
}

// Pins: 2.1
TEST_F(SwSync, failed_mint_uses_up_no_point) {
    ASSERT_TRUE(context_->begin_generation(true));
    device_->fail_next_create = true;
    EXPECT_EQ(context_->mint(0).error().code, -ENOMEM);
    auto fence = context_->mint(0);
    std::move(fence->promise).end(0);
    EXPECT_TRUE(ended(*fence));
    EXPECT_EQ(device_->value(device_->only_timeline()), 1U);
}

// Pins: 7.4
TEST_F(SwSync, child_closes_the_timeline) {
    ASSERT_TRUE(context_->begin_generation(true));
    const int timeline = device_->only_timeline();
    auto fence = context_->mint(0);
    fence->promise.abandon();
    context_->abandon();
    EXPECT_TRUE(device_->is_closed(timeline));
}

TEST(PointLedger, points_are_reached_in_order_whatever_order_they_end_in) {
    constexpr std::uint64_t count = 4096;
    std::vector<std::uint64_t> order(count);
    std::iota(order.begin(), order.end(), 1);
    std::shuffle(order.begin(), order.end(), std::mt19937(7));
    PointLedger ledger;
    for (std::uint64_t i = 1; i <= count; ++i) {
        EXPECT_EQ(ledger.next(), i);
        ledger.commit();
    }
    std::vector<bool> done(count + 2);
    std::uint64_t reached = 0;
    for (const std::uint64_t point : order) {
        done[point] = true;
        std::uint64_t expected = reached;
        while (done[expected + 1]) {
            ++expected;
        }
        reached += ledger.end(point);
        ASSERT_EQ(reached, expected);
    }
    EXPECT_TRUE(ledger.all_reached());
}

TEST(PointLedger, in_reverse_only_the_last_end_moves) {
    PointLedger ledger;
    for (int i = 0; i < 40; ++i) {
        ledger.commit();
    }
    for (std::uint64_t point = 40; point > 1; --point) {
        EXPECT_EQ(ledger.end(point), 0U);
    }
    EXPECT_FALSE(ledger.all_reached());
    EXPECT_EQ(ledger.end(1), 40U);
}

TEST(PointLedger, window_moves_on_without_end) {
    PointLedger ledger;
    for (std::uint64_t point = 1; point <= 10'000; ++point) {
        ledger.commit();
        if (point > 3) {
            EXPECT_EQ(ledger.end(point - 3), 1U);
        }
    }
}

}  // namespace
}  // namespace v4lfence
