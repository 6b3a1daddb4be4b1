// SPDX-License-Identifier: MIT
//
// The system calls of the library, each once: descriptors come as UniqueFd and close-on-exec,
// errors as Result. Calls whose interruption means something to the caller (ioctl, poll) return
// EINTR; the others are retried.

#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence::sys {

Result<UniqueFd> open(const char* path, int flags, unsigned mode = 0);

/// Returns what the kernel returned, usually 0.
Result<int> ioctl(int fd, unsigned long request, void* argument);

/// As ioctl(), until it is not interrupted.
Result<int> ioctl_retry(int fd, unsigned long request, void* argument);

/// The lowest free number, for descriptors that the program gets.
Result<UniqueFd> dup(int fd);

/// As dup(), but execve() keeps it: for a program that asks for such a one.
Result<UniqueFd> dup_inherited(int fd);

/// A number far above what programs use, for descriptors that stay ours (SEMANTICS 7.5): a program
/// that closes 3..N does not hit it. Falls back to any free number where RLIMIT_NOFILE is small.
/// Errors: EMFILE, EBADF.
Result<UniqueFd> dup_high(int fd);

/// Moves a fresh descriptor of ours up; keeps it where it is when no high number is free.
UniqueFd move_high(UniqueFd fd);

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};
/// `flags` as pipe2(); O_CLOEXEC is added.
Result<Pipe> pipe(int flags);

struct SocketPair {
    UniqueFd first;
    UniqueFd second;
};
/// AF_UNIX stream; `flags` as socketpair()'s type flags; SOCK_CLOEXEC is added.
Result<SocketPair> socketpair(int flags);

/// `flags` as eventfd(); EFD_CLOEXEC is added.
Result<UniqueFd> eventfd(unsigned initial, int flags);

/// Anonymous memory of `size` bytes that can no longer shrink, as /dev/udmabuf wants it. Errors:
/// EFBIG beyond RLIMIT_FSIZE, where ftruncate() would raise SIGXFSZ; EMFILE, ENFILE, ENOMEM; EPERM,
/// ENOSYS a sandbox forbids it.
Result<UniqueFd> sealed_memory(const char* name, std::size_t size);
/// Of such memory that is for good, whoever has its descriptor: it cannot grow either, nobody can
/// seal it further, and everybody can go on writing to it.
Result<> seal_size(int fd);
/// Of such memory that is mapped already: no other mapping can write to it, nor can write(), and
/// its size and its seals stay. Errors: EINVAL the kernel is older than 5.1.
Result<> seal_for_readers(int fd);

Result<UniqueFd> epoll_create();
/// `fd` may be one that EPOLL_CTL_DEL no longer finds: that is the caller's to judge (ENOENT).
Result<> epoll_ctl(int epfd, int operation, int fd, std::uint32_t events, std::uint64_t data);
/// The program's own event, or NULL.
Result<> epoll_ctl_raw(int epfd, int operation, int fd, epoll_event* event);
/// How many of `events` were filled; an interruption counts as none.
Result<std::size_t> epoll_wait(int epfd, std::span<epoll_event> events, int timeout_ms);

Result<UniqueFd> timerfd_create();
/// Absolute; empty disarms.
Result<> timerfd_set(int fd, Deadline deadline);

/// One poll() of many; returns how many are ready. Errors: EINTR.
Result<int> poll(std::span<pollfd> fds, int timeout_ms);

/// What one descriptor shows now: revents, 0 when nothing. Never blocks.
Result<short> poll_now(int fd, short events);

/// This thread has every signal blocked for good: write_quietly() need not block any itself.
void note_signals_blocked();

Result<std::size_t> read(int fd, std::span<std::byte> buffer);
Result<std::size_t> write(int fd, std::span<const std::byte> buffer);
/// As pread() and pwrite().
Result<std::size_t> read_at(int fd, std::span<std::byte> buffer, std::int64_t offset);
Result<std::size_t> write_at(int fd, std::span<const std::byte> buffer, std::int64_t offset);
/// As write(), but a pipe that nobody reads is just EPIPE: no SIGPIPE, whatever the program does
/// with that signal.
Result<std::size_t> write_quietly(int fd, std::span<const std::byte> buffer);

Result<struct stat> fstat(int fd);
/// The magic number of the file system that a descriptor's file is in (linux/magic.h).
Result<std::uint32_t> filesystem_magic(int fd);
Result<> fchmod(int fd, unsigned mode);
Result<int> get_status_flags(int fd);
/// Makes a descriptor what open() with `flags` would have made it: O_NONBLOCK, O_CLOEXEC.
Result<> set_open_flags(int fd, int flags);

/// That nobody can foresee.
Result<std::uint64_t> random_number();

/// The signal that a file sends where O_ASYNC is asked of it (F_SETSIG): a number that every
/// descriptor of the file has in common, in every process.
Result<> set_io_signal(int fd, int signal);
Result<int> get_io_signal(int fd);

/// Have two descriptors of this process one open file description? Errors: ENOSYS, EPERM it cannot
/// be asked here; EBADF.
Result<bool> is_same_open_file(int first, int second);

/// gettid(), asked once a thread.
int thread_id();
/// For the one thread of a forked child.
void forget_thread_id();

/// What /proc says a descriptor is, such as "anon_inode:[eventfd]".
Result<std::string> describe_fd(int fd);

}  // namespace v4lfence::sys
