// SPDX-License-Identifier: MIT

#include "v4lfence/base/syscall.hpp"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <utility>

#include "v4lfence/base/libc_calls.hpp"

namespace v4lfence::sys {

namespace {

/// Programs that close everything they know of rarely go beyond 256, and RLIMIT_NOFILE is 1024 by
/// default.
constexpr int high_fd_min = 512;

thread_local bool signals_blocked = false;
thread_local int known_thread_id = 0;

template <class Call>
auto retry(Call call) {
    auto result = call();
    while (result == -1 && errno == EINTR) {
        result = call();
    }
    return result;
}

Result<UniqueFd> owned(int fd, const char* where) {
    if (fd < 0) {
        return fail_errno(where);
    }
    return UniqueFd(fd);
}

UniqueFd kept(UniqueFd fd) {
    if (fd) {
        libc.keep(fd.get());
    }
    return fd;
}

Result<UniqueFd> dup_lowest(int fd, int command) {
    const int copy = libc.fcntl(fd, command, 0);
    if (copy < 0 && errno == EINVAL) {
        return fail(-EMFILE, "dup");  // Zero is too high a number under RLIMIT_NOFILE 0.
    }
    return owned(copy, "dup");
}

Result<> checked(int status, const char* where) {
    if (status < 0) {
        return fail_errno(where);
    }
    return {};
}

}  // namespace

Result<UniqueFd> open(const char* path, int flags, unsigned mode) {
    return owned(retry([&] { return libc.open(path, flags | O_CLOEXEC, mode); }), "open");
}

Result<int> ioctl(int fd, unsigned long request, void* argument) {
    const int status = libc.ioctl(fd, request, argument);
    if (status < 0) {
        return fail_errno("ioctl");
    }
    return status;
}

Result<int> ioctl_retry(int fd, unsigned long request, void* argument) {
    const int status = retry([&] { return libc.ioctl(fd, request, argument); });
    if (status < 0) {
        return fail_errno("ioctl");
    }
    return status;
}

Result<UniqueFd> dup(int fd) {
    return dup_lowest(fd, F_DUPFD_CLOEXEC);
}

Result<UniqueFd> dup_inherited(int fd) {
    return dup_lowest(fd, F_DUPFD);
}

Result<UniqueFd> dup_high(int fd) {
    const int copy = libc.fcntl(fd, F_DUPFD_CLOEXEC, high_fd_min);
    // EINVAL: the limit is below; EMFILE: none is free up there.
    if (copy < 0 && (errno == EINVAL || errno == EMFILE)) {
        return dup(fd).map(kept);
    }
    return owned(copy, "dup").map(kept);
}

UniqueFd move_high(UniqueFd fd) {
    if (fd.get() >= high_fd_min) {
        return kept(std::move(fd));
    }
    const int copy = libc.fcntl(fd.get(), F_DUPFD_CLOEXEC, high_fd_min);
    if (copy >= 0) {
        fd.reset(copy);
    }
    return kept(std::move(fd));
}

Result<Pipe> pipe(int flags) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), flags | O_CLOEXEC) < 0) {
        return fail_errno("pipe2");
    }
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<SocketPair> socketpair(int flags) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, ends.data()) < 0) {
        return fail_errno("socketpair");
    }
    return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<UniqueFd> eventfd(unsigned initial, int flags) {
    return owned(::eventfd(initial, flags | EFD_CLOEXEC), "eventfd");
}

Result<UniqueFd> sealed_memory(const char* name, std::size_t size) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size) {
        return fail(-EFBIG, "memory beyond RLIMIT_FSIZE");
    }
    UniqueFd memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) {
        return fail_errno("memfd_create");
    }
    if (::ftruncate(memory.get(), static_cast<off_t>(size)) < 0) {
        return fail_errno("ftruncate");
    }
    if (libc.fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
        return fail_errno("fcntl");
    }
    return memory;
}

Result<> seal_size(int fd) {
    return checked(libc.fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL), "fcntl");
}

Result<> seal_for_readers(int fd) {
    // Not named by headers before 2.29.
    constexpr int seal_future_write = 0x10;
    return checked(libc.fcntl(fd, F_ADD_SEALS, seal_future_write | F_SEAL_GROW | F_SEAL_SEAL),
                   "fcntl");
}

Result<UniqueFd> epoll_create() {
    return owned(::epoll_create1(EPOLL_CLOEXEC), "epoll_create");
}

Result<> epoll_ctl(int epfd, int operation, int fd, std::uint32_t events, std::uint64_t data) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = data;
    return checked(libc.epoll_ctl(epfd, operation, fd, &event), "epoll_ctl");
}

Result<> epoll_ctl_raw(int epfd, int operation, int fd, epoll_event* event) {
    return checked(libc.epoll_ctl(epfd, operation, fd, event), "epoll_ctl");
}

Result<std::size_t> epoll_wait(int epfd, std::span<epoll_event> events, int timeout_ms) {
    const int count =
        ::epoll_wait(epfd, events.data(), static_cast<int>(events.size()), timeout_ms);
    if (count < 0) {
        if (errno == EINTR) {
            return std::size_t{0};
        }
        return fail_errno("epoll_wait");
    }
    return static_cast<std::size_t>(count);
}

Result<UniqueFd> timerfd_create() {
    return owned(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");
}

Result<> timerfd_set(int fd, Deadline deadline) {
    itimerspec when{};
    if (deadline) {
        // Zero would disarm it: a deadline in the past is due at once.
        const std::int64_t ns = std::max<std::int64_t>(to_ns(*deadline), 1);
        when.it_value.tv_sec = ns / 1'000'000'000;
        when.it_value.tv_nsec = ns % 1'000'000'000;
    }
    return checked(::timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, nullptr), "timerfd_settime");
}

Result<int> poll(std::span<pollfd> fds, int timeout_ms) {
    const int count = libc.poll(fds.data(), fds.size(), timeout_ms);
    if (count < 0) {
        return fail_errno("poll");
    }
    return count;
}

Result<short> poll_now(int fd, short events) {
    pollfd entry{fd, events, 0};
    if (retry([&] { return libc.poll(&entry, 1, 0); }) < 0) {
        return fail_errno("poll");
    }
    return entry.revents;
}

Result<std::size_t> read(int fd, std::span<std::byte> buffer) {
    const ssize_t count = retry([&] { return libc.read(fd, buffer.data(), buffer.size()); });
    if (count < 0) {
        return fail_errno("read");
    }
    return static_cast<std::size_t>(count);
}

Result<std::size_t> write(int fd, std::span<const std::byte> buffer) {
    const ssize_t count = retry([&] { return libc.write(fd, buffer.data(), buffer.size()); });
    if (count < 0) {
        return fail_errno("write");
    }
    return static_cast<std::size_t>(count);
}

Result<std::size_t> read_at(int fd, std::span<std::byte> buffer, std::int64_t offset) {
    const ssize_t count =
        retry([&] { return ::pread64(fd, buffer.data(), buffer.size(), offset); });
    if (count < 0) {
        return fail_errno("pread");
    }
    return static_cast<std::size_t>(count);
}

Result<std::size_t> write_at(int fd, std::span<const std::byte> buffer, std::int64_t offset) {
    const ssize_t count =
        retry([&] { return ::pwrite64(fd, buffer.data(), buffer.size(), offset); });
    if (count < 0) {
        return fail_errno("pwrite");
    }
    return static_cast<std::size_t>(count);
}

void note_signals_blocked() {
    signals_blocked = true;
}

Result<std::size_t> write_quietly(int fd, std::span<const std::byte> buffer) {
    if (signals_blocked) {
        return write(fd, buffer);
    }
    sigset_t broken_pipe;
    sigset_t before;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
    const auto written = write(fd, buffer);
    if (!written && written.error().code == -EPIPE) {
        // The kernel sent it to this very thread, where it waits: taken away before anyone is
        // asked.
        constexpr timespec now{};
        retry([&] { return ::sigtimedwait(&broken_pipe, nullptr, &now); });
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return written;
}

Result<struct stat> fstat(int fd) {
    struct stat info {};
    if (libc.fstat(fd, &info) < 0) {
        return fail_errno("fstat");
    }
    return info;
}

Result<std::uint32_t> filesystem_magic(int fd) {
    struct statfs info {};
    if (::fstatfs(fd, &info) < 0) {
        return fail_errno("fstatfs");
    }
    return static_cast<std::uint32_t>(info.f_type);
}

Result<> fchmod(int fd, unsigned mode) {
    return checked(::fchmod(fd, mode), "fchmod");
}

Result<int> get_status_flags(int fd) {
    const int flags = libc.fcntl(fd, F_GETFL);
    if (flags < 0) {
        return fail_errno("fcntl");
    }
    return flags;
}

Result<> set_open_flags(int fd, int flags) {
    const int status = V4LFENCE_TRY(get_status_flags(fd));
    const int wanted = (status & ~O_NONBLOCK) | (flags & O_NONBLOCK);
    if (libc.fcntl(fd, F_SETFL, wanted) < 0 ||
        libc.fcntl(fd, F_SETFD, flags & O_CLOEXEC ? FD_CLOEXEC : 0) < 0) {
        return fail_errno("fcntl");
    }
    return {};
}

Result<std::uint64_t> random_number() {
    std::uint64_t number = 0;
    if (retry([&] { return ::getrandom(&number, sizeof number, 0); }) !=
        static_cast<ssize_t>(sizeof number)) {
        return fail_errno("getrandom");
    }
    return number;
}

Result<> set_io_signal(int fd, int signal) {
    return checked(libc.fcntl(fd, F_SETSIG, signal), "fcntl");
}

Result<int> get_io_signal(int fd) {
    const int signal = libc.fcntl(fd, F_GETSIG);
    if (signal < 0) {
        return fail_errno("fcntl");
    }
    return signal;
}

Result<bool> is_same_open_file(int first, int second) {
    const pid_t self = ::getpid();
    const long order = ::syscall(SYS_kcmp, self, self, KCMP_FILE, first, second);
    if (order < 0) {
        return fail_errno("kcmp");
    }
    return order == 0;
}

int thread_id() {
    if (known_thread_id == 0) {
        known_thread_id = ::gettid();
    }
    return known_thread_id;
}

void forget_thread_id() {
    known_thread_id = 0;
}

Result<std::string> describe_fd(int fd) {
    std::array<char, 32> path{"/proc/self/fd/"};
    constexpr std::size_t prefix = 14;
    std::to_chars(path.data() + prefix, path.data() + path.size() - 1, fd);
    std::array<char, 256> target{};
    const ssize_t length = ::readlink(path.data(), target.data(), target.size());
    if (length < 0) {
        return fail_errno("readlink");
    }
    return std::string(target.data(), static_cast<std::size_t>(length));
}

}  // namespace v4lfence::sys
