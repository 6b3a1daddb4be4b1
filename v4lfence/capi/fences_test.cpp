// SPDX-License-Identifier: MIT
//
// Fences, promises and merges through the C API.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/v4lfence.h"
#include "v4lfence/v4lfence.hpp"

namespace v4lfence {
namespace {

using api::Fence;
using testing::open_descriptors;

constexpr int soon_ms = 20000;  // A wait that is only reached when a test fails.

v4lfence_fence_result status(int fd) {
    v4lfence_fence_result result{};
    EXPECT_EQ(v4lfence_fence_status(fd, &result), 0) << std::strerror(errno);
    return result;
}

struct Made {
    v4lfence_promise* promise = nullptr;
    Fence fence;
};

Made make(const char* provider = "user") {
    int fd = -1;
    v4lfence_promise* const promise = v4lfence_promise_create(provider, &fd);
    EXPECT_NE(promise, nullptr) << std::strerror(errno);
    return {promise, Fence(fd)};
}

void add_one(const UniqueFd& eventfd) {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(eventfd.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
}

// --- status and wait -----------------------------------------------------------------------------

// Pins: 2
TEST(FenceStatusCall, eventfd_and_pipe_are_fences) {
    const UniqueFd event = std::move(*sys::eventfd(0, EFD_NONBLOCK));
    EXPECT_EQ(status(event.get()).state, V4LFENCE_PENDING);
    add_one(event);
    EXPECT_EQ(status(event.get()).state, V4LFENCE_SIGNALED);

    sys::Pipe pipe = std::move(*sys::pipe(0));
    EXPECT_EQ(status(pipe.read_end.get()).state, V4LFENCE_PENDING);
    pipe.write_end.reset();
    EXPECT_EQ(status(pipe.read_end.get()).state, V4LFENCE_FAILED);
    EXPECT_EQ(status(pipe.read_end.get()).error, -EOWNERDEAD);
}

// Pins: 2
TEST(FenceStatusCall, what_is_no_fence_is_einval) {
    const UniqueFd null = std::move(*sys::open("/dev/null", O_RDWR));
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    for (const int fd : {null.get(), pipe.write_end.get(), -1, 1 << 20}) {
        v4lfence_fence_result result{};
        errno = 0;
        EXPECT_EQ(v4lfence_fence_status(fd, &result), -1);
        EXPECT_EQ(errno, EINVAL) << fd;
        errno = 0;
        EXPECT_EQ(v4lfence_fence_wait(fd, 0, nullptr), -1);
        EXPECT_EQ(errno, EINVAL) << fd;
    }
}

TEST(FenceWaitCall, pending_fence_is_etime) {
    const Made made = make();
    errno = 0;
    EXPECT_EQ(v4lfence_fence_wait(made.fence.fd(), 0, nullptr), -1);
    EXPECT_EQ(errno, ETIME);
    EXPECT_EQ(made.fence.wait(10), -ETIME);
    v4lfence_promise_end(made.promise, 0);
}

TEST(FenceWaitCall, returns_when_another_thread_ends_it) {
    for (const int error : {0, -EPROTO}) {
        const Made made = make();
        std::thread ender([&] { v4lfence_promise_end(made.promise, error); });
        v4lfence_fence_result result{};
        EXPECT_EQ(v4lfence_fence_wait(made.fence.fd(), soon_ms, &result), 0);
        EXPECT_EQ(result.state, error == 0 ? V4LFENCE_SIGNALED : V4LFENCE_FAILED);
        EXPECT_EQ(result.error, error);
        ender.join();
    }
}

// --- promises ------------------------------------------------------------------------------------

TEST(PromiseCall, ends_well_badly_and_only_once) {
    Made well = make();
    EXPECT_EQ(well.fence.status().state, V4LFENCE_PENDING);
    v4lfence_promise_end(well.promise, 0);
    EXPECT_EQ(well.fence.status().state, V4LFENCE_SIGNALED);
    Made badly = make("auto");
    v4lfence_promise_end(badly.promise, -ENODATA);
    EXPECT_EQ(badly.fence.status().error, -ENODATA);
    v4lfence_promise_end(nullptr, 0);
}

TEST(PromiseCall, eventfd_provider_makes_eventfds) {
    const Made made = make("eventfd");
    const auto named = sys::describe_fd(made.fence.fd());
    ASSERT_TRUE(named);
    EXPECT_EQ(*named, "anon_inode:[eventfd]");
    v4lfence_promise_end(made.promise, 0);
    EXPECT_EQ(made.fence.status().state, V4LFENCE_SIGNALED);
}

TEST(PromiseCall, wrong_arguments_are_einval) {
    int fd = 4711;
    errno = 0;
    EXPECT_EQ(v4lfence_promise_create("magic", &fd), nullptr);
    EXPECT_EQ(errno, EINVAL);
    errno = 0;
    EXPECT_EQ(v4lfence_promise_create(nullptr, &fd), nullptr);
    EXPECT_EQ(errno, EINVAL);
    errno = 0;
    EXPECT_EQ(v4lfence_promise_create("user", nullptr), nullptr);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(fd, 4711);
}

TEST(PromiseCall, missing_provider_is_enodev_and_has_a_reason) {
    EXPECT_EQ(v4lfence_provider_reason("user"), nullptr);
    EXPECT_EQ(v4lfence_provider_reason("auto"), nullptr);
    EXPECT_NE(v4lfence_provider_reason("magic"), nullptr);
    EXPECT_NE(v4lfence_provider_reason(nullptr), nullptr);
    for (const char* name : {"vgem", "sw_sync"}) {
        const char* const reason = v4lfence_provider_reason(name);
        if (reason == nullptr) {
            continue;  // This machine has it.
        }
        EXPECT_GT(std::strlen(reason), 10U);
        int fd = -1;
        errno = 0;
        EXPECT_EQ(v4lfence_promise_create(name, &fd), nullptr);
        EXPECT_EQ(errno, ENODEV);
    }
}

// Pins: 2.1
TEST(PromiseCall, without_descriptors_nothing_is_left) {
    v4lfence_promise_end(make().promise, 0);
    const std::size_t before = open_descriptors();
    testing::until_it_fits([](unsigned limit) {
        const testing::DescriptorLimit lowered(limit);
        int fd = -1;
        v4lfence_promise* const promise = v4lfence_promise_create("user", &fd);
        EXPECT_TRUE(promise != nullptr || errno == EMFILE);
        const Fence fence(fd);
        v4lfence_promise_end(promise, 0);
        return promise != nullptr;
    });
    EXPECT_LE(open_descriptors(), before);
}

// --- merge ---------------------------------------------------------------------------------------

TEST(MergeCall, ends_when_the_later_does) {
    for (const bool first_ends_first : {true, false}) {
        Made pipe = make("user");
        const UniqueFd event = std::move(*sys::eventfd(0, EFD_NONBLOCK));
        const Fence merged(v4lfence_fence_merge("both", pipe.fence.fd(), event.get()));
        ASSERT_TRUE(merged);
        if (first_ends_first) {
            v4lfence_promise_end(pipe.promise, 0);
            EXPECT_EQ(merged.wait(10), -ETIME);
            add_one(event);
        } else {
            add_one(event);
            EXPECT_EQ(merged.wait(10), -ETIME);
            v4lfence_promise_end(pipe.promise, 0);
        }
        EXPECT_EQ(merged.wait(soon_ms), 0);
        EXPECT_EQ(merged.status().state, V4LFENCE_SIGNALED);
    }
}

TEST(MergeCall, fails_with_the_error_of_the_first_that_failed) {
    Made first = make();
    Made second = make();
    const Fence merged = Fence::merge(nullptr, first.fence, second.fence);
    ASSERT_TRUE(merged);
    v4lfence_promise_end(second.promise, -EIO);
    EXPECT_EQ(merged.wait(10), -ETIME) << "the other may still be at work";
    v4lfence_promise_end(first.promise, -EPROTO);
    EXPECT_EQ(merged.wait(soon_ms), 0);
    EXPECT_EQ(merged.status().error, -EPROTO);
}

TEST(MergeCall, of_two_that_have_ended_has_ended) {
    Made first = make();
    Made second = make();
    v4lfence_promise_end(first.promise, 0);
    v4lfence_promise_end(second.promise, -EIO);
    const Fence merged = Fence::merge("both", first.fence, second.fence);
    EXPECT_EQ(merged.status().error, -EIO);
}

TEST(MergeCall, of_a_fence_with_itself_ends_with_it) {
    Made made = make();
    const Fence merged = Fence::merge("itself", made.fence, made.fence);
    ASSERT_TRUE(merged) << std::strerror(errno);
    v4lfence_promise_end(made.promise, 0);
    EXPECT_EQ(merged.wait(soon_ms), 0);
}

TEST(MergeCall, merges_are_merged) {
    Made made[3] = {make(), make(), make()};
    const Fence two = Fence::merge("two", made[0].fence, made[1].fence);
    const Fence three = Fence::merge("three", two, made[2].fence);
    ASSERT_TRUE(three);
    v4lfence_promise_end(made[2].promise, 0);
    v4lfence_promise_end(made[0].promise, 0);
    EXPECT_EQ(three.wait(10), -ETIME);
    v4lfence_promise_end(made[1].promise, 0);
    EXPECT_EQ(three.wait(soon_ms), 0);
}

TEST(MergeCall, inputs_may_be_closed_at_once) {
    Made first = make();
    Made second = make();
    const Fence merged = Fence::merge("both", first.fence, second.fence);
    first.fence = Fence();
    second.fence = Fence();
    v4lfence_promise_end(first.promise, 0);
    v4lfence_promise_end(second.promise, 0);
    EXPECT_EQ(merged.wait(soon_ms), 0);
    EXPECT_EQ(merged.status().state, V4LFENCE_SIGNALED);
}

TEST(MergeCall, what_is_no_fence_is_einval) {
    const Made made = make();
    const std::size_t before = open_descriptors();
    errno = 0;
    EXPECT_EQ(v4lfence_fence_merge("both", made.fence.fd(), -1), -1);
    EXPECT_EQ(errno, EINVAL);
    errno = 0;
    EXPECT_EQ(v4lfence_fence_merge("both", -1, made.fence.fd()), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_LE(open_descriptors(), before);
    v4lfence_promise_end(made.promise, 0);
}

// Pins: 2.1
TEST(MergeCall, without_descriptors_nothing_is_left) {
    Made first = make();
    Made second = make();
    Fence merged;
    const std::size_t before = open_descriptors();
    const unsigned failures = testing::until_it_fits([&](unsigned limit) {
        {
            const testing::DescriptorLimit lowered(limit);
            merged = Fence::merge("both", first.fence, second.fence);
            EXPECT_TRUE(merged || errno == EMFILE) << std::strerror(errno);
        }
        // Fewer when the loop of a merge before goes with this one.
        EXPECT_TRUE(merged || open_descriptors() <= before);
        return static_cast<bool>(merged) || HasFailure();
    });
    EXPECT_GT(failures, 0U);
    v4lfence_promise_end(first.promise, 0);
    v4lfence_promise_end(second.promise, 0);
    EXPECT_EQ(merged.wait(soon_ms), 0);
}

TEST(MergeCall, inputs_that_end_meanwhile_on_another_thread) {
    for (int round = 0; round < 500; ++round) {
        Made first = make();
        Made second = make("eventfd");
        std::thread ender([&] {
            v4lfence_promise_end(first.promise, 0);
            v4lfence_promise_end(second.promise, 0);
        });
        const Fence merged = Fence::merge("both", first.fence, second.fence);
        ender.join();
        ASSERT_EQ(merged.wait(soon_ms), 0);
        ASSERT_EQ(merged.status().state, V4LFENCE_SIGNALED);
    }
}

}  // namespace
}  // namespace v4lfence
