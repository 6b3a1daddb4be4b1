// SPDX-License-Identifier: MIT
//
// Files of virtual devices that are closed, and whose number is used again, while a call waits.

#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <future>
#include <thread>

#include "v4lfence/capi/testing/virtual_camera.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;
using testing::call;
using testing::Camera;
using testing::is_in_poll;
using testing::polled;

/// A thread that makes one call and is stopped by a signal while it waits in poll(): what happens
/// until it goes on has happened between its wait and what it does after it.
class StoppedCall {
public:
    template <class Call>
    explicit StoppedCall(const Call& call) {
        stopped_.store(false);
        go_on_.store(false);
        struct sigaction action = {};
        action.sa_handler = [](int) {
            stopped_.store(true);
            while (!go_on_.load()) {
                ::sched_yield();
            }
        };
        ::sigaction(SIGUSR1, &action, &before_);
        std::atomic<pid_t> tid{0};
        thread_ = std::thread([this, call, &tid] {
            tid.store(static_cast<pid_t>(::syscall(SYS_gettid)));
            result_ = call();
        });
        pid_t waiting = 0;
        while ((waiting = tid.load()) == 0 || !is_in_poll(waiting)) {
            std::this_thread::yield();
        }
        ::pthread_kill(thread_.native_handle(), SIGUSR1);
        while (!stopped_.load()) {
            std::this_thread::yield();
        }
    }
    StoppedCall(const StoppedCall&) = delete;
    StoppedCall& operator=(const StoppedCall&) = delete;
    ~StoppedCall() { (void)result(); }

    /// Lets it go on to its end.
    int result() {
        go_on_.store(true);
        if (thread_.joinable()) {
            thread_.join();
            ::sigaction(SIGUSR1, &before_, nullptr);
        }
        return result_;
    }

private:
    static inline std::atomic<bool> stopped_{false};
    static inline std::atomic<bool> go_on_{false};
    struct sigaction before_ = {};
    int result_ = 0;
    std::thread thread_;
};

TEST(VirtualRace, waiting_dqbuf_never_reaches_the_next_file_of_its_number) {
    Camera camera("number-dqbuf");
    camera.stream_dry();
    const int fd = camera.fd();
    StoppedCall waiter([fd] {
        v4l2_buffer taken = Camera::buffer();
        return call(fd, VIDIOC_DQBUF, &taken);
    });
    camera.close();
    const Camera next("number-dqbuf");
    ASSERT_EQ(next.fd(), fd);
    next.stream_dry();
    EXPECT_EQ(waiter.result(), -EBADF);
    ASSERT_EQ(next.queue(0), 0);
    EXPECT_EQ(next.dequeue(), 0);
}

TEST(VirtualRace, interrupted_poll_leaves_the_next_file_of_its_number_alone) {
    Camera camera("number-poll");
    camera.stream_dry();
    const int fd = camera.fd();
    StoppedCall waiter([fd] {
        pollfd entry{fd, POLLIN, 0};
        const int ready = v4lfence_poll(&entry, 1, 20000);
        return ready < 0 ? -errno : entry.revents;
    });
    camera.close();
    const Camera next("number-poll");
    ASSERT_EQ(next.fd(), fd);
    next.stream_dry();
    const int seen = waiter.result();
    EXPECT_TRUE(seen == -EINTR || seen == POLLNVAL) << seen;
    ASSERT_EQ(next.queue(0), 0);
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(polled(fd, POLLIN, 10000), POLLIN);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 8s) << "its bell was not rung";
}

TEST(VirtualRace, poll_of_a_file_that_is_closed_meanwhile_says_so) {
    Camera camera("poll-close");  // Without a stream, the end of which would be news.
    const int fd = camera.fd();
    std::atomic<pid_t> tid{0};
    auto waiter = std::async(std::launch::async, [fd, &tid] {
        tid.store(static_cast<pid_t>(::syscall(SYS_gettid)));
        return polled(fd, POLLPRI, 30000);
    });
    pid_t waiting = 0;
    while ((waiting = tid.load()) == 0 || !is_in_poll(waiting)) {
        std::this_thread::yield();
    }
    camera.close();
    EXPECT_EQ(waiter.wait_for(15s), std::future_status::ready) << "it was not woken";
    EXPECT_EQ(waiter.get(), POLLNVAL);
}

}  // namespace
}  // namespace v4lfence
