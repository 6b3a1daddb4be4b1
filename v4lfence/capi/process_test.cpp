// SPDX-License-Identifier: MIT
//
// The library and the process it lives in: its thread, the program's own loop, forked children.
// What can be chosen once per process is tried out in a child.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.h"
#include "v4lfence/v4lfence.hpp"

namespace v4lfence {
namespace {

using api::Fence;

constexpr int soon_ms = 20000;  // A wait that is only reached when a test fails.

struct Made {
    v4lfence_promise* promise = nullptr;
    Fence fence;
};

Made make(const char* provider = "user") {
    int fd = -1;
    v4lfence_promise* const promise = v4lfence_promise_create(provider, &fd);
    return {promise, Fence(fd)};
}

v4lfence_stats stats() {
    v4lfence_stats now{};
    EXPECT_EQ(v4lfence_get_stats(&now, sizeof now), 0);
    return now;
}

/// What `work` returns in a forked child: 0, or the number of the step that failed.
int in_child(const std::function<int()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(work());
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Stats, are_cut_or_filled_up_to_the_size_asked_for) {
    struct {
        v4lfence_stats known;
        std::uint64_t later[2];
    } longer;
    std::memset(&longer, 0xff, sizeof longer);
    EXPECT_EQ(v4lfence_get_stats(&longer.known, sizeof longer), 0);
    EXPECT_EQ(longer.later[1], 0U);
    EXPECT_EQ(longer.known.fenced_files, 0U);

    v4lfence_stats shorter;
    std::memset(&shorter, 0xff, sizeof shorter);
    EXPECT_EQ(v4lfence_get_stats(&shorter, sizeof shorter.wakeups), 0);
    EXPECT_EQ(shorter.fences_made, UINT64_MAX);

    errno = 0;
    EXPECT_EQ(v4lfence_get_stats(&shorter, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(v4lfence_get_stats(nullptr, sizeof shorter), -1);
}

// Pins: 7.3
TEST(Thread, comes_with_what_needs_it_and_no_earlier) {
    const int failed = in_child([] {
        const Made first = make();
        const Made second = make();
        if (stats().threads != 0) {
            return 1;  // A promise is ended by the program, not by a thread.
        }
        // In this child no other thread may be started, but whether one is asked for shows here.
        return v4lfence_use_own_loop() >= 0 ? 0 : 2;
    });
    EXPECT_EQ(failed, 0);
}

// Pins: 7.3
TEST(Thread, merge_is_waited_for_by_a_thread_of_the_library) {
    Made first = make();
    Made second = make();
    const Fence merged = Fence::merge("both", first.fence, second.fence);
    EXPECT_EQ(stats().threads, 1U);
    errno = 0;
    EXPECT_EQ(v4lfence_use_own_loop(), -1);
    EXPECT_EQ(errno, EBUSY);
    v4lfence_promise_end(first.promise, 0);
    v4lfence_promise_end(second.promise, 0);
    EXPECT_EQ(merged.wait(soon_ms), 0);
}

// Pins: 7.3
TEST(OwnLoop, does_the_work_and_no_thread_runs) {
    const int failed = in_child([] {
        const int loop = v4lfence_use_own_loop();
        if (loop < 0 || v4lfence_use_own_loop() != loop) {
            return 1;
        }
        Made first = make();
        Made second = make("eventfd");
        const Fence merged = Fence::merge("both", first.fence, second.fence);
        if (!merged || stats().threads != 0) {
            return 2;
        }
        v4lfence_promise_end(first.promise, 0);
        v4lfence_promise_end(second.promise, 0);
        if (merged.status().state != V4LFENCE_PENDING) {
            return 3;
        }
        pollfd entry{loop, POLLIN, 0};
        while (merged.status().state == V4LFENCE_PENDING) {
            if (::poll(&entry, 1, soon_ms) != 1 || v4lfence_dispatch() < 0) {
                return 4;
            }
        }
        return merged.status().state == V4LFENCE_SIGNALED && v4lfence_dispatch() == 0 ? 0 : 5;
    });
    EXPECT_EQ(failed, 0);
}

// --- fork ----------------------------------------------------------------------------------------

// Pins: 7.4
TEST(Fork, childs_end_of_a_promise_leaves_the_parents_fence_alone) {
    const Made made = make();
    const int failed = in_child([&made] {
        v4lfence_promise_end(made.promise, 0);
        return made.fence.status().state == V4LFENCE_PENDING ? 0 : 1;
    });
    EXPECT_EQ(failed, 0);
    EXPECT_EQ(made.fence.status().state, V4LFENCE_PENDING);
    v4lfence_promise_end(made.promise, 0);
    EXPECT_EQ(made.fence.status().state, V4LFENCE_SIGNALED);
}

// Pins: 5.5, 7.4
TEST(Fork, fence_of_a_killed_parent_ends_though_its_child_lives) {
    // The parent of this test is a child of ours; the grandchild lives until `lifeline` is closed.
    sys::Pipe handed = std::move(*sys::pipe(0));
    sys::Pipe lifeline = std::move(*sys::pipe(0));
    const pid_t parent = ::fork();
    if (parent == 0) {
        // The fence itself stays here: what is watched is the write end of `handed`'s neighbour.
        const Made made = make();
        const pid_t grandchild = ::fork();
        if (grandchild == 0) {
            lifeline.write_end.reset();
            // Its own copy of the read end sees the parent's death.
            const int waited = made.fence.wait(soon_ms);
            const v4lfence_fence_result result = made.fence.status();
            const char verdict =
                waited == 0 && result.state == V4LFENCE_FAILED && result.error == -EOWNERDEAD ? 'y'
                                                                                              : 'n';
            ::_exit(::write(handed.write_end.get(), &verdict, 1) == 1 ? 0 : 1);
        }
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(parent, &status, 0), parent);
    EXPECT_TRUE(WIFSIGNALED(status));
    handed.write_end.reset();
    char verdict = '-';
    EXPECT_EQ(::read(handed.read_end.get(), &verdict, 1), 1);
    EXPECT_EQ(verdict, 'y');
}

// Pins: 7.4
TEST(Fork, child_makes_fences_of_its_own) {
    const Made parents = make();
    const int failed = in_child([] {
        const Made made = make();
        if (made.promise == nullptr || made.fence.status().state != V4LFENCE_PENDING) {
            return 1;
        }
        v4lfence_promise_end(made.promise, -EIO);
        return made.fence.status().error == -EIO ? 0 : 2;
    });
    EXPECT_EQ(failed, 0);
    v4lfence_promise_end(parents.promise, 0);
}

// Pins: 7.4
TEST(Fork, merge_of_the_parent_goes_on) {
    Made first = make();
    Made second = make();
    const Fence merged = Fence::merge("both", first.fence, second.fence);
    v4lfence_promise_end(first.promise, 0);
    EXPECT_EQ(in_child([&merged] {
                  return merged.status().state == V4LFENCE_PENDING && stats().threads == 0 ? 0 : 1;
              }),
              0);
    v4lfence_promise_end(second.promise, 0);
    EXPECT_EQ(merged.wait(soon_ms), 0);
}

}  // namespace
}  // namespace v4lfence
