// SPDX-License-Identifier: MIT
//
// The shim's side of the library, without the shim. Each test attaches in a child process, as it
// can be done once. Nodes that the kernel has everywhere stand in for video devices.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <utility>
#include <vector>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/shim/abi.h"
#include "v4lfence/v4lfence.h"

namespace v4lfence {
namespace {

std::atomic<unsigned> calls{0};
std::atomic<unsigned> ioctls{0};

int counted_ioctl(int fd, unsigned long request, ...) {
    std::va_list arguments;
    va_start(arguments, request);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    ++ioctls;
    if (request == VIDIOC_QUERYCAP) {
        auto& caps = *static_cast<v4l2_capability*>(argument);
        caps = {};
        caps.capabilities = caps.device_caps = V4L2_CAP_VIDEO_CAPTURE;
        return 0;
    }
    return ::ioctl(fd, request, argument);
}

int counted_close(int fd) {
    ++calls;
    return ::close(fd);
}

int counted_fcntl(int fd, int command, ...) {
    std::va_list arguments;
    va_start(arguments, command);
    const int argument = va_arg(arguments, int);
    va_end(arguments);
    ++calls;
    return ::fcntl(fd, command, argument);
}

int counted_poll(pollfd* fds, nfds_t count, int timeout_ms) {
    ++calls;
    return ::poll(fds, count, timeout_ms);
}

std::vector<int> kept;

void keep(int fd) {
    kept.push_back(fd);
}

constexpr const char* wrapped_path = "/dev/zero";
constexpr const char* other_path = "/dev/null";

const v4lfence_shim_calls& attach(bool rfc_caps = false) {
    const v4lfence_libc libc{::open,      counted_close, counted_ioctl, counted_fcntl, ::read,
                             ::write,     ::mmap,        ::munmap,      counted_poll,  ::select,
                             ::epoll_ctl, ::fstat,       keep};
    v4lfence_shim_settings settings{};
    settings.rfc_caps = rfc_caps ? 1 : 0;
    struct stat node {};
    EXPECT_EQ(::stat(wrapped_path, &node), 0);
    settings.wrapped_count = 1;
    settings.wrapped[0] = node.st_rdev;
    const auto* attached = v4lfence_shim_attach(V4LFENCE_SHIM_ABI, &libc, &settings);
    EXPECT_NE(attached, nullptr);
    return *attached;
}

template <class Body>
void in_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
        body();
        ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

std::uint64_t fenced_files() {
    v4lfence_stats stats{};
    EXPECT_EQ(v4lfence_get_stats(&stats, sizeof stats), 0);
    return stats.fenced_files;
}

TEST(ShimEntry, another_version_is_refused) {
    EXPECT_EQ(v4lfence_shim_attach(V4LFENCE_SHIM_ABI + 1, nullptr, nullptr), nullptr);
}

TEST(ShimEntry, wrapped_nodes_alone_are_taken_over) {
    in_child([] {
        const auto& shim = attach();
        EXPECT_EQ(shim.version, unsigned{V4LFENCE_SHIM_ABI});
        const int ours = ::open(wrapped_path, O_RDWR);
        const int other = ::open(other_path, O_RDWR);
        errno = 4711;
        EXPECT_EQ(shim.take_over(ours), 1);
        EXPECT_EQ(shim.take_over(other), 0);
        EXPECT_EQ(shim.take_over(-1), 0);
        EXPECT_EQ(errno, 4711);
        EXPECT_EQ(shim.is_ours(ours), 1);
        EXPECT_EQ(shim.is_ours(other), 0);
        EXPECT_EQ(shim.close(ours), 0);
        EXPECT_EQ(shim.is_ours(ours), 0);
    });
}

// Pins: 6.1
TEST(ShimEntry, unfenced_ioctl_is_one_system_call) {
    in_child([] {
        const auto& shim = attach();
        const int fd = ::open(wrapped_path, O_RDWR);
        ASSERT_EQ(shim.take_over(fd), 1);
        calls = ioctls = 0;
        v4l2_buffer buffer{};
        for (const unsigned long request : {VIDIOC_QBUF, VIDIOC_DQBUF, VIDIOC_QUERYBUF}) {
            EXPECT_EQ(shim.ioctl(fd, request, &buffer), -1);
            EXPECT_EQ(errno, ENOTTY);
        }
        EXPECT_EQ(ioctls.load(), 3U);
        EXPECT_EQ(calls.load(), 0U);
        EXPECT_EQ(shim.is_ours(fd), 1);
    });
}

TEST(ShimEntry, sign_extended_request_is_the_same) {
    in_child([] {
        const auto& shim = attach(true);
        const int fd = ::open(wrapped_path, O_RDWR);
        ASSERT_EQ(shim.take_over(fd), 1);
        v4l2_buffer buffer{};
        buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
        const auto request =
            static_cast<unsigned long>(static_cast<long>(static_cast<int>(VIDIOC_QBUF)));
        EXPECT_EQ(shim.ioctl(fd, request, &buffer), -1);
        EXPECT_EQ(fenced_files(), 1U) << "the flag was seen";
    });
}

TEST(ShimEntry, duplicates_are_one_file) {
    in_child([] {
        const auto& shim = attach();
        const int fd = ::open(wrapped_path, O_RDWR);
        ASSERT_EQ(shim.take_over(fd), 1);
        ASSERT_EQ(v4lfence_set_deadline(fd, 1000), 0);
        const int told = ::dup(fd);
        shim.same_file(fd, told);
        EXPECT_EQ(shim.is_ours(told), 1);
        const int unseen = ::dup(fd);
        EXPECT_EQ(shim.take_over(unseen), 1);
        const int again = ::open(wrapped_path, O_RDWR);
        EXPECT_EQ(shim.take_over(again), 1);
        EXPECT_EQ(v4lfence_set_deadline(again, 1000), 0);
        EXPECT_EQ(fenced_files(), 2U) << "one of three numbers, and another open()";
        for (const int number : {fd, unseen}) {
            EXPECT_EQ(shim.close(number), 0);
            EXPECT_EQ(fenced_files(), 2U);
        }
        EXPECT_EQ(shim.close(told), 0);
        EXPECT_EQ(fenced_files(), 1U);
    });
}

TEST(ShimEntry, number_that_becomes_another_file_ends_what_it_was) {
    in_child([] {
        const auto& shim = attach();
        const int first = ::open(wrapped_path, O_RDWR);
        const int second = ::open(wrapped_path, O_RDWR);
        ASSERT_EQ(shim.take_over(first), 1);
        ASSERT_EQ(shim.take_over(second), 1);
        ASSERT_EQ(v4lfence_set_deadline(second, 1000), 0);
        ASSERT_EQ(::dup2(first, second), second);
        shim.same_file(first, second);
        EXPECT_EQ(fenced_files(), 0U);
        EXPECT_EQ(shim.is_ours(second), 1);
    });
}

TEST(ShimEntry, number_that_is_about_to_become_another_file_ends_what_it_is) {
    in_child([] {
        const auto& shim = attach();
        const int fd = ::open(wrapped_path, O_RDWR);
        ASSERT_EQ(shim.take_over(fd), 1);
        ASSERT_EQ(v4lfence_set_deadline(fd, 1000), 0);
        const int copy = ::dup(fd);
        shim.same_file(fd, copy);
        EXPECT_EQ(shim.leave(fd), nullptr) << "it goes on by its other number";
        EXPECT_EQ(fenced_files(), 1U);
        errno = 4711;
        void* const left = shim.leave(copy);
        EXPECT_NE(left, nullptr);
        EXPECT_EQ(fenced_files(), 0U);
        EXPECT_GE(::fcntl(copy, F_GETFD), 0) << "nothing is closed";
        shim.left(left);
        EXPECT_EQ(errno, 4711);
        EXPECT_EQ(shim.is_ours(copy), 0);
        EXPECT_EQ(shim.leave(copy), nullptr);
    });
}

TEST(ShimEntry, child_is_this_process_when_fork_made_it) {
    in_child([] {
        const auto& shim = attach();
        EXPECT_EQ(shim.is_this_process(), 1);
        in_child([&shim] { EXPECT_EQ(shim.is_this_process(), 1); });
        // Which knows nothing of handlers.
        const auto child = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        if (child == 0) {
            ::_exit(shim.is_this_process());
        }
        int status = -1;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    });
}

TEST(ShimEntry, numbers_that_outlive_a_call_are_kept_wherever_they_lie) {
    in_child([] {
        attach();
        int fence = -1;
        v4lfence_promise* const promise = v4lfence_promise_create("user", &fence);
        EXPECT_FALSE(kept.empty()) << "the end of its pipe";
        EXPECT_EQ(std::find(kept.begin(), kept.end(), fence), kept.end());
        v4lfence_promise_end(promise, 0);
        libc.keep = keep;  // This program has the wrappers a second time.
        const auto end = *sys::eventfd(0, 0);
        const auto high = *sys::dup_high(end.get());
        EXPECT_GE(high.get(), 512);
        const auto moved = sys::move_high(std::move(*sys::dup(end.get())));
        const auto again = sys::move_high(std::move(*sys::dup_high(end.get())));
        const rlimit few{256, 256};
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
        const auto low = *sys::dup_high(end.get());
        EXPECT_LT(low.get(), 256);
        const auto unmoved = sys::move_high(std::move(*sys::dup(end.get())));
        for (const UniqueFd* each : {&high, &moved, &again, &low, &unmoved}) {
            EXPECT_NE(std::find(kept.begin(), kept.end(), each->get()), kept.end()) << each->get();
        }
        EXPECT_EQ(std::find(kept.begin(), kept.end(), end.get()), kept.end());
    });
}

TEST(ShimEntry, is_ours_asks_what_the_number_is_now) {
    in_child([] {
        const auto& shim = attach();
        const int fd = ::open(wrapped_path, O_RDWR);
        ASSERT_EQ(shim.take_over(fd), 1);
        ASSERT_EQ(v4lfence_set_deadline(fd, 1000), 0);
        const int other = ::open(other_path, O_RDWR);
        ASSERT_EQ(::dup2(other, fd), fd);
        EXPECT_EQ(shim.is_ours(fd), 0);
        EXPECT_EQ(fenced_files(), 0U);
        EXPECT_EQ(shim.take_over(fd), 0);
    });
}

TEST(ShimEntry, unseen_new_file_behind_a_number_is_the_kernels) {
    in_child([] {
        const auto& shim = attach();
        const int fd = ::open(wrapped_path, O_RDWR);
        ASSERT_EQ(shim.take_over(fd), 1);
        ASSERT_EQ(v4lfence_set_deadline(fd, 1000), 0);
        const auto pipe = *sys::pipe(0);
        ASSERT_EQ(::dup2(pipe.read_end.get(), fd), fd);
        int unread = -1;
        EXPECT_EQ(shim.ioctl(fd, FIONREAD, &unread), 0);
        EXPECT_EQ(unread, 0);
        v4l2_buffer buffer{};
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        EXPECT_EQ(shim.ioctl(fd, VIDIOC_STREAMON, &buffer.type), -1);
        EXPECT_EQ(errno, ENOTTY);
        EXPECT_EQ(shim.is_ours(fd), 0);
        EXPECT_EQ(fenced_files(), 0U);
        EXPECT_GE(::fcntl(fd, F_GETFD), 0) << "nothing is closed";
    });
}

// Pins: 1.3
TEST(ShimEntry, rfc_caps_show_without_fences) {
    in_child([] {
        const auto& shim = attach(true);
        const int fd = ::open(wrapped_path, O_RDWR);
        ASSERT_EQ(shim.take_over(fd), 1);
        v4l2_capability caps{};
        EXPECT_EQ(shim.ioctl(fd, VIDIOC_QUERYCAP, &caps), 0);
        EXPECT_EQ(caps.device_caps & 0x20000000, 0x20000000U);
        EXPECT_EQ(fenced_files(), 0U);
    });
}

TEST(ShimEntry, without_a_server_there_are_no_virtual_devices) {
    in_child([] {
        const auto& shim = attach();
        errno = 0;
        EXPECT_EQ(shim.open_virtual("/dev/video80", O_RDWR), -1);
        EXPECT_EQ(errno, ENODEV);
    });
}

TEST(ShimEntry, the_librarys_own_calls_are_those_it_was_given) {
    in_child([] {
        const auto& shim = attach();
        const int fd = ::open(wrapped_path, O_RDWR);
        ASSERT_EQ(shim.take_over(fd), 1);
        calls = 0;
        pollfd entry{fd, POLLIN, 0};
        EXPECT_EQ(shim.poll(&entry, 1, 0), 1);
        EXPECT_EQ(calls.load(), 1U);
        EXPECT_EQ(shim.close(fd), 0);
        EXPECT_EQ(calls.load(), 2U);
        int fence = -1;
        v4lfence_promise* const promise = v4lfence_promise_create("user", &fence);
        EXPECT_GT(calls.load(), 2U);
        v4lfence_promise_end(promise, 0);
    });
}

TEST(ShimEntry, sync_ioctl_knows_fences_of_ours_alone) {
    in_child([] {
        const auto& shim = attach();
        int fence = -1;
        v4lfence_promise* const promise = v4lfence_promise_create("user", &fence);
        struct {
            char name[32];
            std::int32_t status;
            std::uint32_t flags, num_fences, pad;
            std::uint64_t fences;
        } info{};
        constexpr unsigned long file_info = 0xC0383E04;
        EXPECT_EQ(shim.sync_ioctl(fence, file_info, &info), 0);
        EXPECT_EQ(info.num_fences, 1U);
        const auto pipe = *sys::pipe(0);
        EXPECT_EQ(shim.sync_ioctl(pipe.read_end.get(), file_info, &info), -1);
        EXPECT_EQ(errno, ENOTTY);
        v4lfence_promise_end(promise, 0);
    });
}

}  // namespace
}  // namespace v4lfence
