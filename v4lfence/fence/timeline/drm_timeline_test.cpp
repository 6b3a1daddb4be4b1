// SPDX-License-Identifier: MIT
//
// Timelines of the kernel, as a consumer sees them who knows the syncobj alone. Needs a DRM node
// that has them (virtio-gpu since Linux 6.12), and for kernel fences the module vgem; skipped where
// either is missing.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <array>
#include <atomic>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/timeline/ended_sync_file.hpp"
#include "v4lfence/fence/timeline/timeline.hpp"
#include "v4lfence/fence/timeline/timeline_nodes.hpp"

namespace v4lfence {
namespace {

using testing::open_descriptors;

constexpr std::byte byte{1};
constexpr int soon_ms = 20000;  // A wait that is only reached when a test fails.

void end(const sys::Pipe& pipe) {
    EXPECT_TRUE(sys::write(pipe.write_end.get(), std::span(&byte, 1)));
}

bool has_ended(const UniqueFd& fence) {
    return *sys::poll_now(fence.get(), POLLIN) != 0;
}

bool ends(const UniqueFd& fence) {
    pollfd entry{fence.get(), POLLIN, 0};
    return sys::poll({&entry, 1}, soon_ms).value_or(0) == 1;
}

/// Another DRM file, as another process has one, and the same syncobj in it.
class Consumer {
public:
    explicit Consumer(int syncobj)
        : device_(std::move(*find_timeline_node(std::nullopt).device)),
          points_(std::move(*DrmSyncobj::import(device_, syncobj))) {}

    std::uint64_t reached() const { return *points_.reached(); }
    std::uint64_t submitted() const { return *points_.submitted(); }
    DrmSyncobj& points() { return points_; }

    UniqueFd waiter(std::uint64_t point) const {
        auto event = std::move(*sys::eventfd(0, 0));
        EXPECT_TRUE(points_.notify(point, event.get()));
        return event;
    }

private:
    SyncobjDevice device_;
    DrmSyncobj points_;
};

class DrmTimelines : public ::testing::Test {
protected:
    void SetUp() override {
        FoundTimelineNode found = find_timeline_node(std::nullopt);
        if (!found.device) {
            EXPECT_EQ(found.device.error().code, -ENODEV);
            ASSERT_FALSE(found.reason.empty());
            GTEST_SKIP() << found.reason;
        }
        ASSERT_TRUE(reactor_->use_own_loop());
        timeline_ = make(std::move(*found.device));
    }

    std::unique_ptr<Timeline> make(SyncobjDevice device, std::optional<int> syncobj = {}) {
        return std::move(*Timeline::create(
            *reactor_, std::move(*DrmTimeline::create(std::move(device), syncobj))));
    }

    Consumer consumer() { return Consumer(timeline_->export_fd()->get()); }

    /// A fence of the kernel's; the test is skipped without one.
    MintedFence mint(unsigned slot) {
        if (!context_) {
            provider_ = std::move(probe_provider("vgem")->provider);
            context_ = std::move(*provider_->open_context());
        }
        return std::move(*context_->mint(slot));
    }
    static bool has_vgem() { return probe_provider("vgem")->provider != nullptr; }

    SystemClock clock_;
    std::unique_ptr<Reactor> reactor_ = Reactor::create(clock_);
    std::unique_ptr<Timeline> timeline_;
    std::unique_ptr<FenceProvider> provider_;
    std::unique_ptr<FenceContext> context_;
};

// --- what a consumer sees ------------------------------------------------------------------------

TEST_F(DrmTimelines, consumer_sees_points_reached_in_order) {
    const Consumer other = consumer();
    std::array<sys::Pipe, 3> pipes;
    std::vector<UniqueFd> waiters;
    for (std::uint64_t i = 0; i < pipes.size(); ++i) {
        pipes[i] = std::move(*sys::pipe(0));
        ASSERT_TRUE(timeline_->promise(i + 1, pipes[i].read_end.get()));
        waiters.push_back(other.waiter(i + 1));
    }
    end(pipes[2]);
    end(pipes[1]);
    reactor_->dispatch();
    EXPECT_EQ(other.reached(), 0U);
    EXPECT_FALSE(has_ended(waiters[0]));
    end(pipes[0]);
    reactor_->dispatch();
    EXPECT_EQ(other.reached(), 3U);
    for (const UniqueFd& waiter : waiters) {
        EXPECT_TRUE(ends(waiter));
    }
}

TEST_F(DrmTimelines, waiter_may_come_before_the_promise) {
    const Consumer other = consumer();
    const UniqueFd waiter = other.waiter(7);
    EXPECT_FALSE(has_ended(waiter));
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    ASSERT_TRUE(timeline_->promise(7, pipe.read_end.get()));
    EXPECT_FALSE(has_ended(waiter));
    end(pipe);
    reactor_->dispatch();
    EXPECT_TRUE(ends(waiter));
    EXPECT_TRUE(ends(other.waiter(7)));
    EXPECT_TRUE(ends(other.waiter(3))) << "a later point is reached";
}

TEST_F(DrmTimelines, teardown_leaves_no_waiter_behind) {
    const Consumer other = consumer();
    std::vector<sys::Pipe> pipes;
    std::vector<UniqueFd> waiters;
    for (std::uint64_t point = 1; point <= 5; ++point) {
        pipes.push_back(std::move(*sys::pipe(0)));
        ASSERT_TRUE(timeline_->promise(point, pipes.back().read_end.get()));
        waiters.push_back(other.waiter(point));
    }
    const auto own = timeline_->fence_of(4);
    ASSERT_TRUE(own);
    timeline_.reset();
    for (const UniqueFd& waiter : waiters) {
        EXPECT_TRUE(ends(waiter));
    }
    EXPECT_TRUE(ends(*own));
    EXPECT_EQ(other.reached(), 5U);
}

TEST_F(DrmTimelines, nobody_ends_what_was_never_promised) {
    const auto fence = timeline_->fence_of(1);
    ASSERT_TRUE(fence);
    timeline_.reset();
    EXPECT_FALSE(has_ended(*fence));
}

TEST_F(DrmTimelines, values_are_what_was_promised) {
    std::mt19937_64 random(5);
    const sys::Pipe ended = std::move(*sys::pipe(0));
    end(ended);
    std::uint64_t point = 0;
    for (int i = 0; i < 100; ++i) {
        point += 1 + random() % 1000;
        ASSERT_TRUE(timeline_->promise(point, ended.read_end.get()));
        ASSERT_EQ(*timeline_->reached(), point);
        EXPECT_TRUE(has_ended(*timeline_->fence_of(point)));
        EXPECT_TRUE(has_ended(*timeline_->fence_of(point - 1)));
    }
}

TEST_F(DrmTimelines, points_never_fall_where_numbers_wrap) {
    const sys::Pipe ended = std::move(*sys::pipe(0));
    end(ended);
    for (const std::uint64_t start : {0x7fffffc0ULL, 0xffffffc0ULL}) {
        std::atomic<bool> over{false};
        std::thread reader([&] {
            std::uint64_t last = 0;
            while (!over) {
                const std::uint64_t now = *timeline_->reached();
                EXPECT_GE(now, last);
                last = now;
            }
        });
        for (std::uint64_t point = start; point < start + 128; ++point) {
            EXPECT_TRUE(timeline_->promise(point, ended.read_end.get()));
        }
        over = true;
        reader.join();
        EXPECT_EQ(*timeline_->reached(), start + 127);
    }
}

TEST_F(DrmTimelines, kernel_is_silent_about_points_that_fall) {
    Consumer other = consumer();
    EXPECT_TRUE(other.points().signal(5));
    EXPECT_TRUE(other.points().signal(3)) << "which is why promise() refuses them";
    EXPECT_EQ(other.reached(), 5U);
}

// --- what a producer of others' does -------------------------------------------------------------

TEST_F(DrmTimelines, points_of_others_are_fences) {
    Consumer other = consumer();
    const auto fence = timeline_->fence_of(2);
    ASSERT_TRUE(fence);
    auto imported = Fence::import(fence->get(), DmaBufAccess::Write);
    ASSERT_TRUE(imported && imported->pending);
    EXPECT_EQ(imported->pending->kind(), FenceKind::EventFd);
    EXPECT_TRUE(other.points().signal(1));
    EXPECT_FALSE(imported->pending->status().ended());
    EXPECT_TRUE(other.points().signal(2));
    EXPECT_TRUE(ends(*fence));
    EXPECT_EQ(imported->pending->status().state, FenceState::Signaled);
}

TEST_F(DrmTimelines, points_of_others_are_not_ended_here) {
    const UniqueFd shared = std::move(*timeline_->export_fd());
    ASSERT_TRUE(Consumer(shared.get()).points().signal(4));
    auto second = make(std::move(*find_timeline_node(std::nullopt).device), shared.get());
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    EXPECT_EQ(second->promise(4, pipe.read_end.get()).error().code, -EINVAL);
    ASSERT_TRUE(second->promise(5, pipe.read_end.get()));
    const Consumer other(shared.get());
    const UniqueFd theirs = other.waiter(6);
    second.reset();
    EXPECT_EQ(other.reached(), 5U);
    EXPECT_FALSE(has_ended(theirs));
}

TEST_F(DrmTimelines, what_is_no_syncobj_is_einval) {
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    for (const int fd : {pipe.read_end.get(), -1, 1 << 20}) {
        auto device = std::move(*find_timeline_node(std::nullopt).device);
        EXPECT_EQ(DrmTimeline::create(std::move(device), fd).error().code, -EINVAL);
    }
}

TEST_F(DrmTimelines, syncobj_is_no_fence) {
    const UniqueFd shared = std::move(*timeline_->export_fd());
    EXPECT_EQ(Fence::import(shared.get(), DmaBufAccess::Write).error().code, -EINVAL);
    EXPECT_EQ(timeline_->promise(1, shared.get()).error().code, -EINVAL);
    EXPECT_EQ(sys::poll_now(shared.get(), POLLIN).value_or(0) & POLLIN, POLLIN) << "its poll lies";
}

// --- fences of the kernel's ----------------------------------------------------------------------

TEST_F(DrmTimelines, sync_file_is_in_its_point_at_once) {
    if (!has_vgem()) {
        GTEST_SKIP() << "needs the module vgem";
    }
    const Consumer other = consumer();
    MintedFence minted = mint(0);
    ASSERT_TRUE(timeline_->promise_unwatched(9, minted.fd.get()));
    EXPECT_EQ(other.submitted(), 9U);
    EXPECT_EQ(other.reached(), 0U);
    const UniqueFd waiter = other.waiter(9);
    minted.fd.reset();
    timeline_.reset();  // The kernel goes on alone.
    EXPECT_EQ(other.reached(), 0U);
    EXPECT_FALSE(has_ended(waiter));
    std::move(minted.promise).end(0);
    EXPECT_TRUE(ends(waiter));
    EXPECT_EQ(other.reached(), 9U);
}

TEST_F(DrmTimelines, sync_files_that_end_out_of_order_reach_points_in_order) {
    if (!has_vgem()) {
        GTEST_SKIP() << "needs the module vgem";
    }
    std::vector<MintedFence> minted;
    for (unsigned i = 0; i < 5; ++i) {
        minted.push_back(mint(i));
        ASSERT_TRUE(timeline_->promise(i + 1, minted[i].fd.get()));
    }
    constexpr std::array order{0U, 2U, 1U, 4U, 3U};
    constexpr std::array<std::uint64_t, 5> reached{1, 1, 3, 3, 5};
    for (std::size_t i = 0; i < order.size(); ++i) {
        std::move(minted[order[i]].promise).end(0);
        EXPECT_EQ(*timeline_->reached(), reached[i]) << i;
    }
}

TEST_F(DrmTimelines, ended_point_behind_a_pending_sync_file_waits_for_it) {
    if (!has_vgem()) {
        GTEST_SKIP() << "needs the module vgem";
    }
    MintedFence minted = mint(0);
    const sys::Pipe ended = std::move(*sys::pipe(0));
    end(ended);
    ASSERT_TRUE(timeline_->promise(1, minted.fd.get()));
    ASSERT_TRUE(timeline_->promise(8, ended.read_end.get()));
    EXPECT_EQ(*timeline_->reached(), 0U);
    std::move(minted.promise).end(0);
    EXPECT_EQ(*timeline_->reached(), 8U);
}

TEST_F(DrmTimelines, sync_file_behind_a_pipe_does_not_stand_for_it) {
    if (!has_vgem()) {
        GTEST_SKIP() << "needs the module vgem";
    }
    const Consumer other = consumer();
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    MintedFence minted = mint(0);
    MintedFence last = mint(1);
    ASSERT_TRUE(timeline_->promise(1, pipe.read_end.get()));
    ASSERT_TRUE(timeline_->promise(2, minted.fd.get()));
    ASSERT_TRUE(timeline_->promise(3, last.fd.get()));
    EXPECT_EQ(other.submitted(), 0U);
    std::move(minted.promise).end(0);
    reactor_->dispatch();
    EXPECT_EQ(other.submitted(), 0U);
    end(pipe);
    reactor_->dispatch();
    EXPECT_EQ(other.reached(), 2U);
    EXPECT_EQ(other.submitted(), 3U);
    std::move(last.promise).end(0);
    EXPECT_EQ(other.reached(), 3U);
    EXPECT_EQ(reactor_->dispatch(), 0U);
}

TEST_F(DrmTimelines, destroyed_timeline_leaves_a_held_sync_file_to_the_kernel) {
    if (!has_vgem()) {
        GTEST_SKIP() << "needs the module vgem";
    }
    const Consumer other = consumer();
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    MintedFence minted = mint(0);
    ASSERT_TRUE(timeline_->promise(1, pipe.read_end.get()));
    ASSERT_TRUE(timeline_->promise(2, minted.fd.get()));
    timeline_.reset();
    EXPECT_EQ(other.reached(), 1U);
    std::move(minted.promise).end(0);
    EXPECT_EQ(other.reached(), 2U);
}

// --- descriptors ---------------------------------------------------------------------------------

TEST_F(DrmTimelines, nothing_stays_open) {
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 3; ++i) {
        auto second = make(std::move(*find_timeline_node(std::nullopt).device));
        const sys::Pipe pipe = std::move(*sys::pipe(0));
        ASSERT_TRUE(second->promise(1, pipe.read_end.get()));
        EXPECT_TRUE(second->fence_of(2));
        EXPECT_TRUE(second->export_fd());
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(TimelineNodes, file_that_is_none_says_why) {
    EXPECT_EQ(find_timeline_node("/dev/dri/none").device.error().code, -ENOENT);
    const FoundTimelineNode null = find_timeline_node("/dev/null");
    EXPECT_EQ(null.device.error().code, -ENODEV);
    EXPECT_NE(null.reason.find("/dev/null"), std::string::npos) << null.reason;
}

TEST(TimelineNodes, machine_without_one_says_so_of_each_node) {
    const FoundTimelineNode found = find_timeline_node(std::nullopt);
    EXPECT_EQ(found.reason.empty(), found.device.has_value());
    if (!found.device) {
        EXPECT_EQ(found.device.error().code, -ENODEV);
        for (const std::string& node : render_nodes()) {
            EXPECT_NE(found.reason.find(node), std::string::npos) << found.reason;
        }
    }
}

// --- a sync_file that has ended ------------------------------------------------------------------

TEST(EndedSyncFiles, is_a_sync_file_that_has_ended_well) {
    EndedSyncFile source;
    const auto made = source.get();
    if (!made && made.error().code == -ENODEV) {
        GTEST_SKIP() << "needs a dma-buf or a syncobj";
    }
    ASSERT_TRUE(made);
    const auto imported = Fence::import(made->get(), DmaBufAccess::Write);
    ASSERT_TRUE(imported);
    EXPECT_EQ(imported->status.state, FenceState::Signaled);
    const auto second = source.get();
    ASSERT_TRUE(second);
    EXPECT_TRUE(merge_sync_files("both", made->get(), second->get()));
}

}  // namespace
}  // namespace v4lfence
