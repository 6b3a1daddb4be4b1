// SPDX-License-Identifier: MIT
//
// Calls that wait for a device of a server, by what a preloaded program enters the library by. Each
// test attaches in a child process, as it can be done once.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <thread>

#include "v4lfence/capi/testing/virtual_camera.hpp"
#include "v4lfence/remote/testing/server_process.hpp"
#include "v4lfence/shim/abi.h"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;
using remote::Op;
using remote::testing::ScriptedCall;
using testing::is_in_poll;

template <class Body>
void in_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(30);
        body();
        ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

const v4lfence_shim_calls& attach(const std::string& server) {
    const v4lfence_libc libc{::open,   ::close, ::ioctl,  ::fcntl,     ::read,  ::write,   ::mmap,
                             ::munmap, ::poll,  ::select, ::epoll_ctl, ::fstat, [](int) {}};
    v4lfence_shim_settings settings{};
    settings.server = server.c_str();
    const auto* const attached = v4lfence_shim_attach(V4LFENCE_SHIM_ABI, &libc, &settings);
    EXPECT_NE(attached, nullptr);
    return *attached;
}

v4l2_buffer capture_buffer() {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = V4L2_MEMORY_MMAP;
    return buffer;
}

/// A program that streams, and a server that has nothing for it.
struct Program {
    const remote::testing::ServerProcess server;
    const v4lfence_shim_calls& shim = attach(server.address);
    const int fd = shim.open_virtual("/dev/video80", O_RDWR);

    Program() {
        v4l2_requestbuffers request{};
        request.count = 1;
        request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        request.memory = V4L2_MEMORY_MMAP;
        EXPECT_EQ(shim.ioctl(fd, VIDIOC_REQBUFS, &request), 0);
        EXPECT_EQ(shim.ioctl(fd, VIDIOC_STREAMON, &request.type), 0);
    }
};

/// A thread in a call, whose errno is kept.
class WaitingCall {
public:
    template <class Call>
    explicit WaitingCall(Call call)
        : thread_([this, call] {
              tid_ = ::gettid();
              const auto result = call();
              error_.set_value(result < 0 ? errno : 0);
          }) {
        while (tid_.load() == 0 || !is_in_poll(tid_.load())) {
            std::this_thread::yield();
        }
    }
    /// -1: it goes on waiting.
    int error() {
        auto error = error_.get_future();
        const bool ended = error.wait_for(10s) == std::future_status::ready;
        ended ? thread_.join() : thread_.detach();
        return ended ? error.get() : -1;
    }

private:
    std::atomic<pid_t> tid_{0};
    std::promise<int> error_;
    std::thread thread_;
};

// Pins: 7.1
TEST(RemoteClose, thread_in_dqbuf_gets_ebadf) {
    in_child([] {
        const Program program;
        WaitingCall waiting([&] {
            v4l2_buffer buffer = capture_buffer();
            return program.shim.ioctl(program.fd, VIDIOC_DQBUF, &buffer);
        });
        EXPECT_EQ(program.shim.close(program.fd), 0);
        EXPECT_EQ(waiting.error(), EBADF);
        const int again = program.shim.open_virtual("/dev/video80", O_RDWR);
        v4l2_requestbuffers request{};
        request.count = 1;
        request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        request.memory = V4L2_MEMORY_MMAP;
        EXPECT_EQ(program.shim.ioctl(again, VIDIOC_REQBUFS, &request), 0) << "it is free";
    });
}

TEST(RemoteClose, thread_in_dqevent_gets_ebadf) {
    in_child([] {
        const Program program;
        v4l2_event_subscription wanted{};
        wanted.type = V4L2_EVENT_CTRL;
        wanted.id = V4L2_CID_BRIGHTNESS;
        (void)program.shim.ioctl(program.fd, VIDIOC_SUBSCRIBE_EVENT, &wanted);
        WaitingCall waiting([&] {
            v4l2_event event{};
            return program.shim.ioctl(program.fd, VIDIOC_DQEVENT, &event);
        });
        EXPECT_EQ(program.shim.close(program.fd), 0);
        EXPECT_EQ(waiting.error(), EBADF);
    });
}

// Pins: 7.1
TEST(RemoteCancel, asynchronous_while_a_wait_begins_leaves_no_waiter) {
    in_child([] {
        remote::testing::ScriptedServer server;
        std::promise<void> entered;
        std::promise<void> answer;
        server.on(Op::Ioctl, [](ScriptedCall& call) { call.reply.error = -EAGAIN; });
        server.on(Op::BeginWait, [&](ScriptedCall& call) {
            remote::testing::answer_descriptor(call);
            entered.set_value();
            answer.get_future().wait();
        });
        const auto& shim = attach(server.address());
        const int fd = shim.open_virtual("/dev/video80", O_RDWR);
        std::thread caller([&]() __attribute__((no_sanitize("address"))) {
            int before = 0;
            ::pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
            v4l2_buffer buffer = capture_buffer();
            (void)shim.ioctl(fd, VIDIOC_DQBUF, &buffer);
        });
        entered.get_future().wait();
        ASSERT_EQ(::pthread_cancel(caller.native_handle()), 0);
        answer.set_value();
        caller.join();
        server.settle();
        EXPECT_EQ(server.count(Op::EndWait), 1U);
    });
}

}  // namespace
}  // namespace v4lfence
