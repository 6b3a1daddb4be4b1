// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;
using testing::DescriptorLimit;

bool is_close_on_exec(int fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) != 0;
}

// Pins: 7.5
TEST(Syscall, every_descriptor_is_close_on_exec) {
    const auto pipe = sys::pipe(0);
    const auto sockets = sys::socketpair(0);
    ASSERT_TRUE(pipe && sockets);
    EXPECT_TRUE(is_close_on_exec(pipe->read_end.get()));
    EXPECT_TRUE(is_close_on_exec(pipe->write_end.get()));
    EXPECT_TRUE(is_close_on_exec(sockets->first.get()));
    EXPECT_TRUE(is_close_on_exec(sockets->second.get()));
    for (const auto& made :
         {sys::open("/dev/null", O_RDONLY), sys::eventfd(0, 0), sys::epoll_create(),
          sys::timerfd_create(), sys::dup(pipe->read_end.get()), sys::dup_high(0),
          sys::sealed_memory("test", 4096)}) {
        ASSERT_TRUE(made);
        EXPECT_TRUE(is_close_on_exec(made->get()));
    }
}

TEST(Syscall, inherited_duplicate_survives_execve) {
    const auto copy = sys::dup_inherited(0);
    ASSERT_TRUE(copy);
    EXPECT_FALSE(is_close_on_exec(copy->get()));
    EXPECT_EQ(sys::dup_inherited(-1).error().code, -EBADF);
}

TEST(Syscall, filesystem_magic_names_the_file_system) {
    const auto file = sys::open("/proc/self/stat", O_RDONLY);
    ASSERT_TRUE(file);
    EXPECT_EQ(sys::filesystem_magic(file->get()).value_or(0), std::uint32_t{PROC_SUPER_MAGIC});
    EXPECT_EQ(sys::filesystem_magic(-1).error().code, -EBADF);
}

// Pins: 7.5
TEST(Syscall, high_descriptors_are_out_of_the_way) {
    const auto copy = sys::dup_high(0);
    ASSERT_TRUE(copy);
    EXPECT_GE(copy->get(), 256);
    auto low = sys::eventfd(0, 0);
    ASSERT_TRUE(low);
    const int before = low->get();
    const UniqueFd moved = sys::move_high(std::move(*low));
    EXPECT_GE(moved.get(), 256);
    EXPECT_EQ(::fcntl(before, F_GETFD), -1);
    const int kept = moved.get();
    EXPECT_EQ(kept, moved.get());
}

TEST(Syscall, high_descriptors_fall_back_below_a_small_limit) {
    auto low = sys::eventfd(0, 0);
    ASSERT_TRUE(low);
    const int before = low->get();
    const DescriptorLimit limit(200);
    const auto copy = sys::dup_high(before);
    ASSERT_TRUE(copy);
    EXPECT_LT(copy->get(), 200);
    EXPECT_EQ(sys::move_high(std::move(*low)).get(), before);
}

TEST(Syscall, dup_without_a_free_descriptor_says_so) {
    const auto source = sys::eventfd(0, 0);
    ASSERT_TRUE(source);
    const DescriptorLimit limit(1);
    EXPECT_EQ(sys::dup(source->get()).error().code, -EMFILE);
    EXPECT_EQ(sys::dup_high(source->get()).error().code, -EMFILE);
    EXPECT_EQ(sys::dup_high(-1).error().code, -EBADF);
}

/// ftruncate() would end the process by SIGXFSZ.
TEST(Syscall, sealed_memory_beyond_the_file_size_limit_is_refused) {
    const std::size_t before = testing::open_descriptors();
    int larger = 0;
    bool fits = false;
    {
        const testing::ResourceLimit limit(RLIMIT_FSIZE, 4096);
        const auto refused = sys::sealed_memory("test", 4097);
        larger = refused ? 0 : refused.error().code;
        fits = sys::sealed_memory("test", 4096).has_value();
    }
    EXPECT_EQ(larger, -EFBIG);
    EXPECT_TRUE(fits);
    EXPECT_EQ(testing::open_descriptors(), before);
}

TEST(Syscall, sealed_memory_cannot_shrink) {
    const auto memory = sys::sealed_memory("test", 4096);
    ASSERT_TRUE(memory);
    EXPECT_EQ(::ftruncate(memory->get(), 0), -1);
    EXPECT_EQ(sys::fstat(memory->get())->st_size, 4096);
}

TEST(Syscall, poll_now_never_blocks) {
    const auto pipe = sys::pipe(O_NONBLOCK);
    ASSERT_TRUE(pipe);
    EXPECT_EQ(sys::poll_now(pipe->read_end.get(), POLLIN), short{0});
    const std::array<std::byte, 2> two{};
    EXPECT_EQ(sys::write(pipe->write_end.get(), two), std::size_t{2});
    EXPECT_EQ(sys::poll_now(pipe->read_end.get(), POLLIN), short{POLLIN});
    std::array<std::byte, 8> buffer{};
    EXPECT_EQ(sys::read(pipe->read_end.get(), buffer), std::size_t{2});
    EXPECT_EQ(sys::read(pipe->read_end.get(), buffer).error().code, -EAGAIN);
}

TEST(Syscall, quiet_write_to_a_pipe_that_nobody_reads_raises_nothing) {
    static volatile std::sig_atomic_t raised = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { raised = 1; };
    struct sigaction before {};
    ASSERT_EQ(::sigaction(SIGPIPE, &action, &before), 0);
    auto pipe = sys::pipe(O_NONBLOCK);
    pipe->read_end.reset();
    const std::array<std::byte, 1> byte{};
    EXPECT_EQ(sys::write_quietly(pipe->write_end.get(), byte).error().code, -EPIPE);
    EXPECT_EQ(raised, 0);
    sigset_t pending;
    ::sigpending(&pending);
    EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    EXPECT_EQ(sigismember(&mask, SIGPIPE), 0);
    ::sigaction(SIGPIPE, &before, nullptr);
}

TEST(Syscall, errors_are_negative_errnos) {
    EXPECT_EQ(sys::open("/nowhere/at/all", O_RDONLY).error().code, -ENOENT);
    EXPECT_EQ(sys::fstat(-1).error().code, -EBADF);
    EXPECT_EQ(sys::fchmod(-1, 0).error().code, -EBADF);
    EXPECT_EQ(sys::get_status_flags(-1).error().code, -EBADF);
    EXPECT_EQ(sys::describe_fd(-1).error().code, -ENOENT);
    EXPECT_EQ(sys::epoll_ctl(-1, EPOLL_CTL_ADD, 0, 0, 0).error().code, -EBADF);
    EXPECT_EQ(sys::ioctl(-1, 0, nullptr).error().code, -EBADF);
    EXPECT_EQ(sys::ioctl_retry(-1, 0, nullptr).error().code, -EBADF);
}

TEST(Syscall, describe_fd_names_an_eventfd) {
    const auto fd = sys::eventfd(0, 0);
    ASSERT_TRUE(fd);
    EXPECT_EQ(sys::describe_fd(fd->get()), "anon_inode:[eventfd]");
}

TEST(Syscall, timerfd_of_the_past_fires_and_disarms) {
    const auto timer = sys::timerfd_create();
    ASSERT_TRUE(timer);
    ASSERT_TRUE(sys::timerfd_set(timer->get(), MonotonicTime{}));
    EXPECT_EQ(sys::poll_now(timer->get(), POLLIN), short{POLLIN});
    ASSERT_TRUE(sys::timerfd_set(timer->get(), SystemClock().now() + 1h));
    EXPECT_EQ(sys::poll_now(timer->get(), POLLIN), short{0});
    ASSERT_TRUE(sys::timerfd_set(timer->get(), std::nullopt));
    EXPECT_EQ(sys::poll_now(timer->get(), POLLIN), short{0});
}

// Pins: 7.1
TEST(Syscall, poll_returns_when_a_signal_interrupts_it) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    struct sigaction before {};
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    const auto quiet = sys::eventfd(0, 0);
    ASSERT_TRUE(quiet);
    const pthread_t waiter = ::pthread_self();
    std::atomic<bool> done{false};
    // The signal may come before the wait: it is repeated until the wait is over.
    std::thread interrupter([&] {
        while (!done) {
            ::pthread_kill(waiter, SIGUSR1);
            static_cast<void>(sys::poll({}, 1));
        }
    });
    pollfd entry{quiet->get(), POLLIN, 0};
    const auto result = sys::poll({&entry, 1}, 60'000);
    done = true;
    interrupter.join();
    ::sigaction(SIGUSR1, &before, nullptr);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, -EINTR);
}

TEST(Syscall, epoll_reports_what_was_registered) {
    const auto epoll = sys::epoll_create();
    const auto event = sys::eventfd(1, 0);
    ASSERT_TRUE(epoll && event);
    ASSERT_TRUE(sys::epoll_ctl(epoll->get(), EPOLL_CTL_ADD, event->get(), EPOLLIN, 77));
    std::array<epoll_event, 4> events;
    ASSERT_EQ(sys::epoll_wait(epoll->get(), events, 0), std::size_t{1});
    const std::uint64_t data = events[0].data.u64;  // The structure is packed.
    EXPECT_EQ(data, 77U);
    EXPECT_EQ(sys::epoll_ctl(epoll->get(), EPOLL_CTL_ADD, event->get(), EPOLLIN, 0).error().code,
              -EEXIST);
}

}  // namespace
}  // namespace v4lfence
