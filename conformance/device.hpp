// SPDX-License-Identifier: MIT
//
// DeviceCalls: how a device is reached. A table of C functions, so that one judge serves raw nodes,
// nodes behind the library and devices that exist in user space alone.

#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace v4lfence {

/// The last buffer of a file whose fence was given up on (SEMANTICS 5.6, 5.7).
struct ExpiryReport {
    std::uint32_t count = 0;  ///< How many so far; 0: the rest means nothing.
    std::uint32_t type = 0;
    std::uint32_t index = 0;
    std::int32_t error = 0;
    bool bound = false;
    std::int64_t queued_at_ns = 0;
    std::int64_t expired_at_ns = 0;
    std::string driver_name;
    std::string timeline_name;
};

/// Counters of the library under test, in this process.
struct CallStats {
    std::uint64_t wakeups = 0;
    std::uint64_t fences_made = 0;
    std::uint64_t fences_ended = 0;
    std::uint64_t in_fences = 0;
    std::uint64_t threads = 0;
    std::uint64_t fenced_files = 0;
};

/// Each as the system call of its name: -1 (MAP_FAILED) and errno on error.
struct DeviceCalls {
    int (*open)(const char* path, int flags, ...) = nullptr;
    int (*close)(int fd) = nullptr;
    int (*ioctl)(int fd, unsigned long request, ...) = nullptr;
    void* (*mmap)(void* address, std::size_t length, int protection, int flags, int fd,
                  std::int64_t offset) = nullptr;
    int (*munmap)(void* address, std::size_t length) = nullptr;
    int (*fcntl)(int fd, int command, ...) = nullptr;
    ssize_t (*read)(int fd, void* buffer, std::size_t count) = nullptr;
    int (*poll)(pollfd* fds, nfds_t count, int timeout_ms) = nullptr;
    int (*select)(int nfds, fd_set* readable, fd_set* writable, fd_set* exceptional,
                  timeval* timeout) = nullptr;
    int (*epoll_ctl)(int epfd, int operation, int fd, epoll_event* event) = nullptr;

    // What not every way in has: null, and the cases that need it are skipped. 0, or -1 and errno.
    int (*set_provider)(int fd, const char* name) = nullptr;
    int (*set_deadline)(int fd, unsigned deadline_ms) = nullptr;
    /// Implicit synchronization: 1 fences in dma-bufs are waited for, 2 out-fences are put there.
    int (*set_implicit)(int fd, unsigned flags) = nullptr;
    int (*set_rfc_caps)(int fd, int on) = nullptr;
    int (*last_expiry)(int fd, ExpiryReport* report) = nullptr;
    int (*get_stats)(CallStats* stats) = nullptr;
    /// A new fence that ends when both have, whatever kinds they are.
    int (*merge)(const char* name, int first, int second) = nullptr;

    /// Somebody stands in front of the C library: the kernel's own node is out of reach.
    bool preloaded = false;
};

/// The C library's own.
DeviceCalls raw_calls();

/// One open file of the device. Thread: as the calls themselves; what it holds never changes until
/// it is shut.
class Device {
public:
    Device() = default;
    Device(const DeviceCalls& calls, int fd) : calls_(&calls), fd_(fd) {}
    Device(Device&& other) noexcept;
    Device& operator=(Device&& other) noexcept;
    ~Device() { shut(); }

    int fd() const { return fd_; }
    const DeviceCalls& calls() const { return *calls_; }

    /// What the call answered, 0 or more, or the negative errno.
    int ioctl(unsigned long request, void* argument) const;

    /// Sets or takes away O_NONBLOCK. 0 or the negative errno.
    int set_nonblocking(bool on) const;

    /// How many bytes, or the negative errno.
    int read(void* buffer, std::size_t count) const;

    /// One poll() of this file: revents, or the negative errno.
    int poll(short events, int timeout_ms) const;

    /// Closes the file. 0 or the negative errno; 0 when nothing is open.
    int shut();

private:
    const DeviceCalls* calls_ = nullptr;
    int fd_ = -1;
};

/// Memory that was mapped by the table's mmap().
class Region {
public:
    Region() = default;
    Region(const DeviceCalls& calls, void* address, std::size_t length)
        : calls_(&calls), address_(address), length_(length) {}
    Region(Region&& other) noexcept;
    Region& operator=(Region&& other) noexcept;
    ~Region() { unmap(); }

    std::byte* data() const { return static_cast<std::byte*>(address_); }
    std::size_t size() const { return length_; }
    void unmap();

private:
    const DeviceCalls* calls_ = nullptr;
    void* address_ = nullptr;
    std::size_t length_ = 0;
};

}  // namespace v4lfence
