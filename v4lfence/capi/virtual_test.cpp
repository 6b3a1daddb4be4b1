// SPDX-License-Identifier: MIT
//
// Virtual devices as a program meets them: names, descriptors, mappings, waits, forks.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/capi/testing/virtual_camera.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {
namespace {

using testing::call;
using testing::Camera;
using testing::capture;
using testing::is_in_poll;
using testing::polled;

/// The thread sanitizer ends a child that starts a thread.
#if defined(__has_feature)
#define V4LFENCE_HAS_TSAN __has_feature(thread_sanitizer)
#else
#define V4LFENCE_HAS_TSAN 0
#endif
constexpr bool threads_after_fork = V4LFENCE_HAS_TSAN == 0;

TEST(Virtual, unknown_kind_is_enoent) {
    for (const char* name : {"virtual:", "virtual:toaster", "virtual:camera-", "virtual:@x"}) {
        errno = 0;
        EXPECT_EQ(v4lfence_open(name, O_RDWR), -1) << name;
        EXPECT_EQ(errno, ENOENT) << name;
    }
}

TEST(Virtual, one_name_is_one_device) {
    const Camera first("same");
    const Camera second("same");
    const Camera other("other");
    ASSERT_EQ(first.request(2), 0);
    EXPECT_EQ(second.request(2), -EBUSY);
    EXPECT_EQ(other.request(2), 0);
}

TEST(Virtual, flags_of_open_are_the_descriptors) {
    const Camera plain("flags");
    EXPECT_EQ(::fcntl(plain.fd(), F_GETFD), 0);
    EXPECT_EQ(::fcntl(plain.fd(), F_GETFL) & O_NONBLOCK, 0);
    const Camera marked("flags", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    EXPECT_EQ(::fcntl(marked.fd(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(::fcntl(marked.fd(), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

TEST(Virtual, closed_camera_leaves_no_descriptor) {
    {
        const Camera warm("count");
        ASSERT_EQ(warm.request(2), 0);
    }
    const std::size_t before = testing::open_descriptors();
    {
        const Camera camera("count");
        ASSERT_EQ(camera.request(4), 0);
        ASSERT_EQ(camera.queue(0), 0);
        ASSERT_EQ(camera.queue(1), 0);
        ASSERT_EQ(camera.stream(true), 0);
        EXPECT_EQ(camera.dequeue(), 0) << "blocking, so that a bell was opened";
    }
    EXPECT_LE(testing::open_descriptors(), before);
}

TEST(Virtual, open_without_descriptors_leaves_nothing) {
    { const Camera warm("emfile"); }
    const std::size_t before = testing::open_descriptors();
    const unsigned failures = testing::until_it_fits([](unsigned limit) {
        const testing::DescriptorLimit low(limit);
        const int fd = v4lfence_open("virtual:camera@emfile", O_RDWR);
        EXPECT_TRUE(fd >= 0 || errno == EMFILE) << errno;
        if (fd >= 0) {
            v4lfence_close(fd);
        }
        return fd >= 0;
    });
    EXPECT_GT(failures, 0U);
    EXPECT_LE(testing::open_descriptors(), before);
}

TEST(Virtual, mapping_shows_while_it_lasts) {
    const Camera camera("mapped");
    ASSERT_EQ(camera.request(2), 0);
    v4l2_buffer seen = Camera::buffer(1);
    ASSERT_EQ(camera.ioctl(VIDIOC_QUERYBUF, &seen), 0);
    EXPECT_FALSE(seen.flags & V4L2_BUF_FLAG_MAPPED);
    void* const mapped = v4lfence_mmap(nullptr, seen.length, PROT_READ | PROT_WRITE, MAP_SHARED,
                                       camera.fd(), seen.m.offset);
    ASSERT_NE(mapped, MAP_FAILED);
    EXPECT_TRUE(camera.flags_of(1) & V4L2_BUF_FLAG_MAPPED);
    EXPECT_FALSE(camera.flags_of(0) & V4L2_BUF_FLAG_MAPPED);
    EXPECT_EQ(v4lfence_munmap(mapped, seen.length), 0);
    EXPECT_FALSE(camera.flags_of(1) & V4L2_BUF_FLAG_MAPPED);
}

TEST(Virtual, mapping_outlives_buffer_and_file) {
    void* mapped = nullptr;
    std::size_t length = 0;
    {
        const Camera camera("orphaned");
        ASSERT_EQ(camera.request(1), 0);
        v4l2_buffer seen = Camera::buffer();
        ASSERT_EQ(camera.ioctl(VIDIOC_QUERYBUF, &seen), 0);
        length = seen.length;
        mapped = v4lfence_mmap(nullptr, length, PROT_READ, MAP_SHARED, camera.fd(), seen.m.offset);
        ASSERT_NE(mapped, MAP_FAILED);
        EXPECT_EQ(camera.request(0), 0);
    }
    EXPECT_EQ(static_cast<const char*>(mapped)[length - 1], 0);
    EXPECT_EQ(v4lfence_munmap(mapped, length), 0);
}

TEST(Virtual, poll_shows_what_the_descriptor_cannot) {
    const Camera camera("poll");
    ASSERT_EQ(camera.request(2), 0);
    EXPECT_EQ(polled(camera.fd(), POLLIN), POLLERR) << "no stream";
    EXPECT_EQ(polled(camera.fd(), POLLPRI), 0);
    v4l2_event_subscription subscription{};
    subscription.type = V4L2_EVENT_CTRL;
    subscription.id = V4L2_CID_BRIGHTNESS;
    subscription.flags = V4L2_EVENT_SUB_FL_SEND_INITIAL;
    ASSERT_EQ(camera.ioctl(VIDIOC_SUBSCRIBE_EVENT, &subscription), 0);
    ASSERT_EQ(camera.queue(0), 0);
    ASSERT_EQ(camera.stream(true), 0);
    ASSERT_EQ(camera.dequeue(), 0);
    EXPECT_EQ(polled(camera.fd(), POLLIN | POLLPRI), POLLPRI) << "an event alone";
}

TEST(Virtual, blocking_dqevent_waits_for_the_event) {
    const Camera camera("event");
    ASSERT_EQ(camera.set(V4L2_CID_BRIGHTNESS, 8), 0);
    v4l2_event_subscription subscription{};
    subscription.type = V4L2_EVENT_CTRL;
    subscription.id = V4L2_CID_BRIGHTNESS;
    ASSERT_EQ(camera.ioctl(VIDIOC_SUBSCRIBE_EVENT, &subscription), 0);
    std::thread changer([] {
        const Camera beside("event");
        v4l2_control control{V4L2_CID_BRIGHTNESS, 7};
        EXPECT_EQ(beside.ioctl(VIDIOC_S_CTRL, &control), 0);
    });
    v4l2_event event{};
    EXPECT_EQ(camera.ioctl(VIDIOC_DQEVENT, &event), 0);
    EXPECT_EQ(event.type, unsigned{V4L2_EVENT_CTRL});
    EXPECT_EQ(event.u.ctrl.value, 7);
    changer.join();
}

TEST(Virtual, read_gives_whole_frames) {
    const Camera camera("read");
    v4l2_format format{};
    format.type = capture;
    ASSERT_EQ(camera.ioctl(VIDIOC_G_FMT, &format), 0);
    std::vector<char> frame(format.fmt.pix.sizeimage);
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(v4lfence_read(camera.fd(), frame.data(), frame.size()),
                  static_cast<ssize_t>(frame.size()));
    }
    EXPECT_EQ(camera.request(2), -EBUSY);
    EXPECT_EQ(v4lfence_write(camera.fd(), frame.data(), 1), -1);
    EXPECT_EQ(errno, EINVAL);
}

/// The device outlives the file: what the waiting thread had taken must not stay taken.
TEST(Virtual, close_beside_a_waiting_dqbuf_leaves_the_device_whole) {
    Camera camera("close");
    ASSERT_EQ(camera.request(2), 0);
    ASSERT_EQ(camera.queue(0), 0);
    ASSERT_EQ(camera.stream(true), 0);
    ASSERT_EQ(camera.dequeue(), 0);
    const int fd = camera.fd();
    std::atomic<pid_t> tid{0};
    std::thread waiter([fd, &tid] {
        tid.store(static_cast<pid_t>(::syscall(SYS_gettid)));
        v4l2_buffer taken = Camera::buffer();
        EXPECT_LT(call(fd, VIDIOC_DQBUF, &taken), 0);
    });
    while (tid.load() == 0 || !is_in_poll(tid.load())) {
        std::this_thread::yield();
    }
    camera.close();
    waiter.join();
    const Camera again("close");
    ASSERT_EQ(again.request(2), 0);
    ASSERT_EQ(again.queue(0), 0);
    ASSERT_EQ(again.stream(true), 0);
    EXPECT_EQ(again.dequeue(), 0);
}

// Pins: 7.4
TEST(Virtual, child_of_a_fork_has_dead_files_and_new_devices) {
    const Camera camera("fork");
    ASSERT_EQ(camera.request(2), 0);
    ASSERT_EQ(camera.queue(0), 0);
    ASSERT_EQ(camera.stream(true), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const auto is_eio = [](int status) { return status == -1 && errno == EIO; };
        const bool dead = camera.dequeue() == -EIO && camera.stream(false) == -EIO &&
                          is_eio(v4lfence_set_provider(camera.fd(), "user")) &&
                          is_eio(v4lfence_set_deadline(camera.fd(), 1)) &&
                          is_eio(v4lfence_set_implicit(camera.fd(), 0)) &&
                          is_eio(v4lfence_set_rfc_caps(camera.fd(), 1)) &&
                          is_eio(v4lfence_set_fence_names(camera.fd(), 1));
        const Camera fresh("fork");
        const bool streams =
            fresh.request(2) == 0 && fresh.queue(0) == 0 &&
            (!threads_after_fork || (fresh.stream(true) == 0 && fresh.dequeue() == 0));
        ::_exit(dead && streams ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(camera.dequeue(), 0) << "the parent's goes on";
}

TEST(Virtual, child_knows_an_unplugged_device_as_the_parents) {
    const Camera old("fork-gone");
    ASSERT_EQ(old.request(2), 0);
    old.unplug();
    const Camera fresh("fork-gone");
    ASSERT_EQ(fresh.request(2), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(old.dequeue() == -EIO && fresh.dequeue() == -EIO ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(old.dequeue(), -ENODEV);
}

TEST(Virtual, no_two_devices_share_a_number) {
    const Camera old("number");
    const std::string gone = old.bus_info();
    old.unplug();
    const Camera fresh("number");
    const Camera other("number-other");
    EXPECT_NE(fresh.bus_info(), gone);
    EXPECT_NE(other.bus_info(), gone);
    EXPECT_NE(fresh.bus_info(), other.bus_info());
}

TEST(Virtual, mapping_that_replaces_another_ends_it) {
    const Camera camera("replaced");
    ASSERT_EQ(camera.request(2), 0);
    void* const mapped = camera.map(0);
    ASSERT_NE(mapped, MAP_FAILED);
    ASSERT_EQ(camera.map(1, mapped), mapped);
    EXPECT_FALSE(camera.is_mapped(0));
    EXPECT_TRUE(camera.is_mapped(1));
    EXPECT_EQ(
        v4lfence_mmap(mapped, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        mapped);
    EXPECT_FALSE(camera.is_mapped(1));
    EXPECT_EQ(v4lfence_munmap(mapped, 4096), 0);
}

TEST(Virtual, munmap_that_fails_leaves_the_mapping) {
    const Camera camera("munmap");
    ASSERT_EQ(camera.request(1), 0);
    void* const mapped = camera.map(0);
    ASSERT_NE(mapped, MAP_FAILED);
    EXPECT_EQ(v4lfence_munmap(mapped, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_TRUE(camera.is_mapped(0));
    EXPECT_EQ(v4lfence_munmap(mapped, 4096), 0);
    EXPECT_FALSE(camera.is_mapped(0));
}

TEST(Virtual, select_knows_wrong_timeouts_and_endless_ones) {
    const Camera camera("select");
    camera.stream_dry();
    fd_set readable;
    for (timeval wrong : {timeval{0, -5}, timeval{-1, 0}}) {
        FD_ZERO(&readable);
        FD_SET(camera.fd(), &readable);
        EXPECT_EQ(v4lfence_select(camera.fd() + 1, &readable, nullptr, nullptr, &wrong), -1);
        EXPECT_EQ(errno, EINVAL);
        EXPECT_TRUE(FD_ISSET(camera.fd(), &readable));
    }
    ASSERT_EQ(camera.queue(0), 0);
    timeval endless{std::numeric_limits<time_t>::max(), 999'999};
    EXPECT_EQ(v4lfence_select(camera.fd() + 1, &readable, nullptr, nullptr, &endless), 1);
    EXPECT_GT(endless.tv_sec, 1000);
}

TEST(Virtual, descriptor_is_no_fence) {
    const Camera camera("fence");
    v4lfence_fence_result result{};
    EXPECT_EQ(v4lfence_fence_status(camera.fd(), &result), -1);
    EXPECT_EQ(errno, EINVAL);
}

}  // namespace
}  // namespace v4lfence
