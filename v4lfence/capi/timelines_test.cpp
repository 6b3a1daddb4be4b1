// SPDX-License-Identifier: MIT
//
// Timelines through the C API, and the sync_file of a fence that has ended. Most of it needs a DRM
// node with timelines (virtio-gpu since Linux 6.12) and is skipped elsewhere.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/v4lfence.h"
#include "v4lfence/v4lfence.hpp"

namespace v4lfence {
namespace {

using api::Fence;
using api::Timeline;
using testing::open_descriptors;

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

std::uint64_t threads() {
    v4lfence_stats now{};
    v4lfence_get_stats(&now, sizeof now);
    return now.threads;
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

bool fails_with(int error, int value) {
    return value == -1 && errno == error;
}

// --- without a timeline --------------------------------------------------------------------------

TEST(TimelineCalls, machine_without_timelines_says_why) {
    const char* const reason = v4lfence_timeline_reason(nullptr);
    if (reason == nullptr) {
        GTEST_SKIP() << "needs a machine without timelines";
    }
    errno = 0;
    EXPECT_EQ(v4lfence_timeline_create(nullptr, -1), nullptr);
    EXPECT_EQ(errno, ENODEV);
    EXPECT_NE(std::strstr(reason, "/dev/dri/renderD"), nullptr) << reason;
    EXPECT_FALSE(Timeline(nullptr));
}

TEST(TimelineCalls, node_that_is_none_says_why) {
    errno = 0;
    EXPECT_EQ(v4lfence_timeline_create("/dev/dri/none", -1), nullptr);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_STREQ(v4lfence_timeline_reason("/dev/dri/none"),
                 "cannot open /dev/dri/none: No such file or directory");
    errno = 0;
    EXPECT_EQ(v4lfence_timeline_create("/dev/null", -1), nullptr);
    EXPECT_EQ(errno, ENODEV);
    EXPECT_NE(v4lfence_timeline_reason("/dev/null"), nullptr);
}

TEST(TimelineCalls, no_timeline_is_einval) {
    std::uint64_t value = 0;
    v4lfence_timeline_destroy(nullptr);
    EXPECT_TRUE(fails_with(EINVAL, v4lfence_timeline_export(nullptr)));
    EXPECT_TRUE(fails_with(EINVAL, v4lfence_timeline_promise(nullptr, 1, 0)));
    EXPECT_TRUE(fails_with(EINVAL, v4lfence_timeline_value(nullptr, &value)));
    EXPECT_TRUE(fails_with(EINVAL, v4lfence_timeline_fence(nullptr, 1)));
    EXPECT_EQ(Timeline().value(), std::nullopt) << "not 0: that is before the first point";
}

// --- the sync_file of a fence --------------------------------------------------------------------

TEST(SyncFileOfAFence, only_of_one_that_has_ended_well) {
    Made pending = make();
    EXPECT_TRUE(fails_with(EAGAIN, v4lfence_fence_sync_file(pending.fence.fd())));
    v4lfence_promise_end(pending.promise, -EIO);
    EXPECT_TRUE(fails_with(EIO, v4lfence_fence_sync_file(pending.fence.fd())));
    EXPECT_TRUE(fails_with(EINVAL, v4lfence_fence_sync_file(-1)));
    const UniqueFd null = std::move(*sys::open("/dev/null", O_RDWR));
    EXPECT_TRUE(fails_with(EINVAL, v4lfence_fence_sync_file(null.get())));
}

TEST(SyncFileOfAFence, is_a_sync_file_of_the_kernel) {
    for (const char* provider : {"user", "eventfd"}) {
        Made made = make(provider);
        v4lfence_promise_end(made.promise, 0);
        const Fence ended = made.fence.sync_file();
        if (!ended && errno == ENODEV) {
            GTEST_SKIP() << "needs a dma-buf or a syncobj";
        }
        sync_file_info info{};
        ASSERT_EQ(::ioctl(ended.fd(), SYNC_IOC_FILE_INFO, &info), 0) << std::strerror(errno);
        EXPECT_EQ(info.status, 1);
        EXPECT_NE(::fcntl(ended.fd(), F_GETFD) & FD_CLOEXEC, 0);
    }
}

TEST(SyncFileOfAFence, sync_file_is_duplicated) {
    if (const char* reason = v4lfence_provider_reason("vgem")) {
        GTEST_SKIP() << reason;
    }
    Made made = make("vgem");
    const Fence same = made.fence.sync_file();
    ASSERT_TRUE(same);
    EXPECT_NE(same.fd(), made.fence.fd());
    EXPECT_EQ(same.status().state, V4LFENCE_PENDING);
    v4lfence_promise_end(made.promise, 0);
    EXPECT_EQ(same.wait(soon_ms), 0);
}

// --- with one ------------------------------------------------------------------------------------

class TimelineApi : public ::testing::Test {
protected:
    void SetUp() override {
        timeline_ = Timeline(nullptr);
        if (!timeline_) {
            GTEST_SKIP() << v4lfence_timeline_reason(nullptr);
        }
    }

    Timeline timeline_;
};

TEST_F(TimelineApi, fence_is_watched_by_the_librarys_thread) {
    EXPECT_EQ(threads(), 0U);
    Made made = make();
    ASSERT_EQ(timeline_.promise(1, made.fence), 0);
    EXPECT_EQ(threads(), 1U);
    const Fence fence = timeline_.fence(1);
    EXPECT_EQ(fence.status().state, V4LFENCE_PENDING);
    v4lfence_promise_end(made.promise, 0);
    EXPECT_EQ(fence.wait(soon_ms), 0);
    EXPECT_EQ(timeline_.value(), 1U);
    timeline_ = Timeline();
    EXPECT_EQ(threads(), 0U);
}

TEST_F(TimelineApi, what_the_kernel_does_alone_needs_no_thread) {
    if (const char* reason = v4lfence_provider_reason("vgem")) {
        GTEST_SKIP() << reason;
    }
    Made made = make("vgem");
    ASSERT_EQ(timeline_.promise(1, made.fence), 0);
    const Fence fence = timeline_.fence(1);
    EXPECT_EQ(fence.status().state, V4LFENCE_PENDING);
    v4lfence_promise_end(made.promise, 0);
    EXPECT_EQ(fence.wait(soon_ms), 0);
    Made ended = make();
    v4lfence_promise_end(ended.promise, 0);
    ASSERT_EQ(timeline_.promise(2, ended.fence), 0);
    EXPECT_EQ(timeline_.value(), 2U);
    EXPECT_EQ(threads(), 0U);
}

TEST_F(TimelineApi, own_loop_does_the_work) {
    const int failed = in_child([] {
        const int loop = v4lfence_use_own_loop();
        const Made made = make();
        Timeline timeline(nullptr);
        if (loop < 0 || !timeline || timeline.promise(4, made.fence) != 0 || threads() != 0) {
            return 1;
        }
        v4lfence_promise_end(made.promise, 0);
        pollfd entry{loop, POLLIN, 0};
        while (timeline.value() != 4) {
            if (::poll(&entry, 1, soon_ms) != 1 || v4lfence_dispatch() < 0) {
                return 2;
            }
        }
        return 0;
    });
    EXPECT_EQ(failed, 0);
}

TEST_F(TimelineApi, forked_child_has_nothing_of_it) {
    Made made = make();
    ASSERT_EQ(timeline_.promise(1, made.fence), 0);
    const std::size_t before = open_descriptors();
    const int failed = in_child([&] {
        if (open_descriptors() >= before) {
            return 1;  // The DRM file, the fence's duplicate and the loop's are the parent's.
        }
        errno = 0;
        if (timeline_.promise(2, made.fence) != -EIO || timeline_.share() != -EIO ||
            timeline_.value() || timeline_.fence(1)) {
            return 2;
        }
        timeline_ = Timeline();
        return Timeline(nullptr) ? 0 : 3;
    });
    EXPECT_EQ(failed, 0);
    EXPECT_EQ(timeline_.value(), 0U) << "the child reached nothing";
    v4lfence_promise_end(made.promise, 0);
    EXPECT_EQ(timeline_.fence(1).wait(soon_ms), 0);
}

TEST_F(TimelineApi, taken_over_syncobj_is_the_same_timeline) {
    const Fence shared(timeline_.share());  // Closes it; it is no fence.
    Timeline theirs(nullptr, shared.fd());
    ASSERT_TRUE(theirs) << std::strerror(errno);
    const Fence release = timeline_.fence(3);
    Made ended = make("eventfd");
    v4lfence_promise_end(ended.promise, 0);
    ASSERT_EQ(theirs.promise(3, ended.fence), 0);
    EXPECT_EQ(release.wait(soon_ms), 0);
    EXPECT_EQ(timeline_.value(), 3U);
    EXPECT_FALSE(Timeline(nullptr, ended.fence.fd()));
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(TimelineApi, destroyed_one_leaves_nothing_open_and_nobody_waiting) {
    timeline_ = Timeline();
    const std::size_t before = open_descriptors();
    std::vector<Made> made;
    Fence fence;
    {
        Timeline timeline(nullptr);
        for (std::uint64_t point = 1; point <= 8; ++point) {
            made.push_back(make());
            ASSERT_EQ(timeline.promise(point, made.back().fence), 0);
        }
        fence = timeline.fence(8);
    }
    EXPECT_EQ(fence.wait(soon_ms), 0);
    for (Made& each : made) {
        v4lfence_promise_end(each.promise, 0);
    }
    made.clear();
    fence = Fence();
    EXPECT_EQ(open_descriptors(), before);
}

// --- and a device --------------------------------------------------------------------------------

/// One buffer of a virtual camera.
class Camera {
public:
    Camera() : file_("virtual:camera@timelines", O_RDWR | O_NONBLOCK) {
        v4l2_requestbuffers request{};
        request.count = 1;
        request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        request.memory = V4L2_MEMORY_MMAP;
        EXPECT_EQ(file_.ioctl(VIDIOC_REQBUFS, &request), 0);
    }
    int fd() const { return file_.fd(); }

    int queue(const Fence& in, Fence& out) {
        v4l2_buffer buffer = name();
        return file_.queue(buffer, &in, &out);
    }
    int start() {
        int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        return file_.ioctl(VIDIOC_STREAMON, &type);
    }
    /// The flags of the buffer that comes back.
    std::uint32_t dequeue() {
        v4l2_buffer buffer = name();
        EXPECT_EQ(file_.ioctl(VIDIOC_DQBUF, &buffer), 0);
        return buffer.flags;
    }

private:
    static v4l2_buffer name() {
        v4l2_buffer buffer{};
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = V4L2_MEMORY_MMAP;
        return buffer;
    }
    api::File file_;
};

TEST_F(TimelineApi, point_holds_a_buffer_back_and_frames_become_points) {
    Camera camera;
    const Fence release = timeline_.fence(1);  // Nobody has promised it yet.
    Fence out;
    ASSERT_EQ(camera.queue(release, out), 0);
    ASSERT_EQ(camera.start(), 0);
    Timeline frames(nullptr);
    ASSERT_EQ(frames.promise(1, out), 0);
    EXPECT_EQ(out.wait(50), -ETIME);
    Made ended = make();
    v4lfence_promise_end(ended.promise, 0);
    ASSERT_EQ(timeline_.promise(1, ended.fence), 0);
    EXPECT_EQ(frames.fence(1).wait(soon_ms), 0);
    EXPECT_EQ(camera.dequeue() & V4L2_BUF_FLAG_ERROR, 0U);
}

TEST_F(TimelineApi, point_that_nobody_reaches_is_given_up_at_the_deadline) {
    Camera camera;
    ASSERT_EQ(v4lfence_set_deadline(camera.fd(), 50), 0);
    const Fence never = timeline_.fence(1);
    timeline_ = Timeline();  // With it the syncobj: the kernel ends no waiter.
    Fence out;
    ASSERT_EQ(camera.queue(never, out), 0);
    ASSERT_EQ(camera.start(), 0);
    EXPECT_EQ(out.wait(soon_ms), 0);
    EXPECT_EQ(out.status().error, -ETIME);
    EXPECT_NE(camera.dequeue() & V4L2_BUF_FLAG_ERROR, 0U);
}

}  // namespace
}  // namespace v4lfence
