// SPDX-License-Identifier: MIT
//
// What a timeline does with fences that the kernel does not know. What the kernel does with points
// is in drm_timeline_test.cpp.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <span>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/timeline/testing/fake_kernel_timeline.hpp"
#include "v4lfence/fence/timeline/timeline.hpp"

namespace v4lfence {
namespace {

using testing::DescriptorLimit;
using testing::FakeKernelTimeline;
using testing::open_descriptors;
using testing::TimelineLog;
using testing::until_it_fits;
using Points = std::vector<std::uint64_t>;

constexpr std::byte byte{1};

sys::Pipe make_pipe() {
    return std::move(*sys::pipe(0));
}

void end(const sys::Pipe& pipe) {
    EXPECT_TRUE(sys::write(pipe.write_end.get(), std::span(&byte, 1)));
}

/// Dispatches by itself.
class Timelines : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(reactor_->use_own_loop());
        timeline_ = make();
    }

    std::unique_ptr<Timeline> make() {
        return std::move(*Timeline::create(*reactor_, std::make_unique<FakeKernelTimeline>(log_)));
    }

    int promise(std::uint64_t point, const sys::Pipe& pipe) {
        const auto promised = timeline_->promise(point, pipe.read_end.get());
        return promised ? 0 : promised.error().code;
    }

    TimelineLog log_;
    SystemClock clock_;
    std::unique_ptr<Reactor> reactor_ = Reactor::create(clock_);
    std::unique_ptr<Timeline> timeline_;
};

TEST_F(Timelines, ended_fence_reaches_its_point_at_once) {
    const sys::Pipe pipe = make_pipe();
    end(pipe);
    EXPECT_EQ(promise(3, pipe), 0);
    EXPECT_EQ(log_.signaled(), Points({3}));
    EXPECT_EQ(*timeline_->reached(), 3U);
}

TEST_F(Timelines, pending_fence_reaches_its_point_when_it_ends) {
    const sys::Pipe pipe = make_pipe();
    EXPECT_EQ(promise(1, pipe), 0);
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points());
    end(pipe);
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points({1}));
}

TEST_F(Timelines, failed_fence_reaches_its_point_too) {
    sys::Pipe pipe = make_pipe();
    EXPECT_EQ(promise(1, pipe), 0);
    pipe.write_end.reset();
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points({1}));
}

TEST_F(Timelines, fence_stays_the_callers) {
    sys::Pipe pipe = make_pipe();
    EXPECT_EQ(promise(1, pipe), 0);
    pipe.read_end.reset();
    end(pipe);
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points({1}));
}

TEST_F(Timelines, eventfd_is_a_fence) {
    const UniqueFd event = std::move(*sys::eventfd(0, EFD_NONBLOCK));
    EXPECT_TRUE(timeline_->promise(1, event.get()));
    const std::uint64_t one = 1;
    EXPECT_TRUE(sys::write(event.get(), std::as_bytes(std::span(&one, 1))));
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points({1}));
}

TEST_F(Timelines, later_end_is_held_back) {
    const std::vector<sys::Pipe> pipes = [] {
        std::vector<sys::Pipe> made;
        for (int i = 0; i < 20; ++i) {
            made.push_back(make_pipe());
        }
        return made;
    }();
    std::uint64_t point = 0;
    for (const sys::Pipe& pipe : pipes) {
        point += 10;
        ASSERT_EQ(promise(point, pipe), 0);
    }
    for (std::size_t i = pipes.size() - 1; i > 10; --i) {
        end(pipes[i]);
    }
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points());
    end(pipes[0]);
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points({10}));
    for (std::size_t i = 10; i > 0; --i) {
        end(pipes[i]);
    }
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled().back(), 200U);
}

TEST_F(Timelines, ended_fence_behind_a_pending_one_is_held_back) {
    const sys::Pipe first = make_pipe();
    const sys::Pipe second = make_pipe();
    end(second);
    EXPECT_EQ(promise(1, first), 0);
    EXPECT_EQ(promise(2, second), 0);
    EXPECT_EQ(log_.signaled(), Points());
    end(first);
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points({2}));
}

TEST_F(Timelines, points_have_to_rise) {
    const sys::Pipe pipe = make_pipe();
    end(pipe);
    EXPECT_EQ(promise(0, pipe), -EINVAL);
    EXPECT_EQ(promise(5, pipe), 0);
    EXPECT_EQ(promise(5, pipe), -EINVAL);
    EXPECT_EQ(promise(4, pipe), -EINVAL);
    EXPECT_EQ(promise(6, pipe), 0);
    EXPECT_EQ(log_.signaled(), Points({5, 6}));
}

TEST_F(Timelines, points_of_somebody_else_are_not_promised_again) {
    log_.submitted_before = 10;
    timeline_ = make();
    const sys::Pipe pipe = make_pipe();
    end(pipe);
    EXPECT_EQ(promise(10, pipe), -EINVAL);
    EXPECT_EQ(promise(11, pipe), 0);
}

TEST_F(Timelines, what_is_no_fence_promises_nothing) {
    const sys::Pipe pipe = make_pipe();
    EXPECT_EQ(timeline_->promise(1, pipe.write_end.get()).error().code, -EINVAL);
    EXPECT_EQ(timeline_->promise(1, -1).error().code, -EINVAL);
    end(pipe);
    EXPECT_EQ(promise(1, pipe), 0);
}

TEST_F(Timelines, unwatched_promise_takes_only_what_has_ended) {
    const sys::Pipe pending = make_pipe();
    const sys::Pipe ended = make_pipe();
    end(ended);
    EXPECT_EQ(timeline_->promise_unwatched(1, pending.read_end.get()).error().code, -EAGAIN);
    EXPECT_TRUE(timeline_->promise_unwatched(1, ended.read_end.get()));
    EXPECT_EQ(log_.signaled(), Points({1}));
}

TEST_F(Timelines, destruction_reaches_every_promised_point) {
    const std::size_t before = open_descriptors();
    std::vector<sys::Pipe> pipes;
    for (std::uint64_t point = 1; point <= 9; ++point) {
        pipes.push_back(make_pipe());
        ASSERT_EQ(promise(point, pipes.back()), 0);
    }
    timeline_.reset();
    EXPECT_EQ(log_.signaled(), Points({9}));
    end(pipes.front());
    EXPECT_EQ(reactor_->dispatch(), 0U);
    pipes.clear();
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(Timelines, destruction_without_a_promise_signals_nothing) {
    timeline_.reset();
    EXPECT_EQ(log_.signaled(), Points());
}

TEST_F(Timelines, error_of_the_kernel_changes_nothing) {
    const sys::Pipe pipe = make_pipe();
    end(pipe);
    log_.error = -ENOMEM;
    EXPECT_EQ(promise(1, pipe), -ENOMEM);
    log_.error = 0;
    EXPECT_EQ(promise(1, pipe), 0);
    EXPECT_EQ(log_.signaled(), Points({1}));
}

TEST_F(Timelines, end_that_the_kernel_had_no_memory_for_is_told_later) {
    const sys::Pipe first = make_pipe();
    const sys::Pipe second = make_pipe();
    EXPECT_EQ(promise(1, first), 0);
    log_.error = -ENOMEM;
    end(first);
    reactor_->dispatch();
    EXPECT_EQ(promise(2, second), -ENOMEM);
    log_.error = 0;
    EXPECT_EQ(promise(2, second), 0);
    EXPECT_EQ(log_.signaled(), Points({1}));
}

/// Of the last frame: nobody promises another, which would take it along.
TEST_F(Timelines, end_that_the_kernel_had_no_memory_for_is_tried_again) {
    const sys::Pipe pipe = make_pipe();
    EXPECT_EQ(promise(1, pipe), 0);
    log_.error = -ENOMEM;
    end(pipe);
    constexpr int long_enough_ms = 5000;
    for (int tries = 0; tries < 2; ++tries) {
        pollfd due{reactor_->fd(), POLLIN, 0};
        ASSERT_EQ(::poll(&due, 1, long_enough_ms), 1) << tries;
        reactor_->dispatch();
        EXPECT_EQ(log_.signaled(), Points());
    }
    log_.error = 0;
    pollfd due{reactor_->fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&due, 1, long_enough_ms), 1);
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points({1}));
}

TEST_F(Timelines, end_that_the_kernel_refuses_is_not_tried_again) {
    const sys::Pipe pipe = make_pipe();
    EXPECT_EQ(promise(1, pipe), 0);
    log_.error = -ENODEV;
    end(pipe);
    reactor_->dispatch();
    constexpr int long_enough_ms = 50;
    pollfd due{reactor_->fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&due, 1, long_enough_ms), 0);
}

// Pins: 7.4
TEST_F(Timelines, forked_child_leaves_the_points_to_its_parent) {
    const sys::Pipe pipe = make_pipe();
    EXPECT_EQ(promise(1, pipe), 0);
    timeline_->lock_for_fork();
    timeline_->abandon();
    timeline_->unlock_after_fork();
    EXPECT_TRUE(log_.abandoned);
    EXPECT_EQ(promise(2, pipe), -EIO);
    EXPECT_EQ(timeline_->reached().error().code, -EIO);
    EXPECT_EQ(timeline_->export_fd().error().code, -EIO);
    EXPECT_EQ(timeline_->fence_of(1).error().code, -EIO);
    timeline_.reset();
    EXPECT_EQ(log_.signaled(), Points());
}

TEST_F(Timelines, point_zero_is_where_it_begins) {
    const auto fence = timeline_->fence_of(0);
    ASSERT_TRUE(fence);
    const auto imported = Fence::import(fence->get(), DmaBufAccess::Write);
    ASSERT_TRUE(imported);
    EXPECT_EQ(imported->status.state, FenceState::Signaled);
}

TEST_F(Timelines, promise_without_a_descriptor_changes_nothing) {
    const sys::Pipe pipe = make_pipe();
    const std::size_t before = open_descriptors();
    const unsigned failures = until_it_fits([&](unsigned limit) {
        const DescriptorLimit few(limit);
        const int status = promise(1, pipe);
        EXPECT_TRUE(status == 0 || status == -EMFILE) << status;
        return status == 0;
    });
    EXPECT_GT(failures, 0U);
    EXPECT_EQ(open_descriptors(), before + 1);
    end(pipe);
    reactor_->dispatch();
    EXPECT_EQ(log_.signaled(), Points({1}));
}

// --- threads -------------------------------------------------------------------------------------

/// One promises, one ends in another order, the reactor's thread signals, and the timeline goes at
/// any moment.
TEST(TimelineThreads, points_rise_whoever_ends_them_and_all_are_reached) {
    constexpr std::uint64_t points = 40;
    const SystemClock clock;
    const auto reactor = Reactor::create(clock);
    ASSERT_TRUE(reactor->start_thread());
    for (int round = 0; round < 25; ++round) {
        TimelineLog log;
        auto timeline =
            std::move(*Timeline::create(*reactor, std::make_unique<FakeKernelTimeline>(log)));
        std::vector<sys::Pipe> pipes(points);
        for (sys::Pipe& pipe : pipes) {
            pipe = make_pipe();
        }
        std::thread ender([&] {
            for (std::uint64_t i = 0; i < points; ++i) {
                end(pipes[(i * 7 + 3) % points]);
            }
        });
        for (std::uint64_t i = 0; i < points; ++i) {
            ASSERT_TRUE(timeline->promise(i + 1, pipes[i].read_end.get()));
        }
        if (round % 2 == 0) {
            ender.join();
        }
        timeline.reset();
        const Points signaled = log.signaled();
        ASSERT_FALSE(signaled.empty());
        EXPECT_EQ(signaled.back(), points);
        EXPECT_TRUE(std::is_sorted(signaled.begin(), signaled.end()));
        if (ender.joinable()) {
            ender.join();
        }
    }
    reactor->stop_thread();
}

// --- the queue of held points --------------------------------------------------------------------

TEST(HeldPoints, numbers_stay_while_it_grows) {
    HeldPoints held;
    for (std::uint64_t point = 100; point < 105; ++point) {
        held.push({point, std::nullopt, Reactor::WatchId::None});
    }
    held.pop();
    held.pop();
    for (std::uint64_t point = 105; point < 140; ++point) {
        held.push({point, std::nullopt, Reactor::WatchId::None});
    }
    EXPECT_EQ(held.find(1), nullptr);
    for (std::uint64_t number = 2; number < 40; ++number) {
        ASSERT_NE(held.find(number), nullptr);
        EXPECT_EQ(held.find(number)->point, 100 + number);
    }
    EXPECT_EQ(held.find(40), nullptr);
    EXPECT_EQ(held.front().point, 102U);
    held.clear();
    EXPECT_TRUE(held.empty());
    EXPECT_EQ(held.next_number(), 40U);
}

}  // namespace
}  // namespace v4lfence
