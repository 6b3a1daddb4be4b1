// SPDX-License-Identifier: MIT
//
// File: one open() that is managed here, be it a kernel node's or a virtual device's, as the ways
// in know it.

#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/sync/sync.hpp"
#include "v4lfence/sync/wake.hpp"

namespace v4lfence {

/// What a wait in poll() looks at. Plain numbers: no object is alive while a thread waits
/// (SEMANTICS 7.1).
struct WaitPlan {
    int wake_fd = -1;
    int kernel_fd = -1;  ///< -1: the kernel has nothing to say, or would say POLLERR.
    short kernel_events = 0;
    std::uint64_t generation = 0;
};

/// What is known of the kernel's readiness, from a wait.
struct Look {
    bool kernel_ready = false;     ///< It had something, and nobody else may take what is there...
    std::uint64_t generation = 0;  ///< ...in this generation.
};

/// What a call that would block waits for.
struct Awaited {
    enum class What : std::uint8_t { Buffer, Event };
    What what = What::Buffer;
    std::uint32_t type = 0;  ///< enum v4l2_buf_type
};

/// What a call answers.
struct FileAnswer {
    std::int64_t value = 0;  ///< What the system call returns.
    bool must_wait = false;  ///< There is nothing yet, and the file is a blocking one.
};

/// One mapping of a buffer by the program: the buffer is shown as mapped while it is counted
/// (V4L2_BUF_FLAG_MAPPED). Does nothing where the buffer is gone. Thread: any.
class MappingCounter {
public:
    virtual ~MappingCounter() = default;
    virtual void mapped() noexcept = 0;
    virtual void unmapped() noexcept = 0;
};

/// The calls that a kernel node answers by itself, and a virtual device has to. `fd` as
/// File::ioctl(). Thread: any.
class EmulatedCalls {
public:
    /// As read(2) and write(2), but they never wait.
    virtual Result<FileAnswer> read(int fd, std::span<std::byte> target) = 0;
    virtual Result<FileAnswer> write(int fd, std::span<const std::byte> source) = 0;

    /// What mmap(2) of the file maps.
    struct Mappable {
        int fd = -1;  ///< Lives as long as `keeper`.
        std::int64_t offset = 0;
        std::shared_ptr<const void> keeper;
        std::unique_ptr<MappingCounter> counter;
    };
    /// `protection` and `flags` as mmap(2). Errors: as mmap(2) of a V4L2 node.
    virtual Result<Mappable> mappable(int fd, std::size_t length, int protection, int flags,
                                      std::int64_t offset) = 0;

protected:
    ~EmulatedCalls() = default;
};

/// Thread: every member may be called from any thread.
class File {
public:
    virtual ~File() = default;

    /// No other file of the process has it, or will have it; never 0. Numbers and addresses are
    /// used again.
    std::uint64_t serial() const noexcept { return serial_; }

    /// May this ioctl go straight to the kernel, without the file being kept alive meanwhile?
    virtual bool passes(std::uint32_t request, const void* argument) const = 0;

    using Answer = FileAnswer;
    /// As ioctl(2), with the request cut to 32 bits. Never waits. `fd` is the number by which the
    /// program called: a file may have several.
    virtual Result<Answer> ioctl(int fd, std::uint32_t request, void* argument, Look look) = 0;

    /// The number `closed` is about to be closed and `left` still is this file: what is done on
    /// the file's own account goes by that one from now on.
    virtual void renumber(int closed, int left) = 0;

    /// NULL: they are the kernel's.
    virtual EmulatedCalls* emulated() noexcept { return nullptr; }

    /// This thread is the one that waits. Errors: EBUSY another does; EINVAL the stream has ended.
    virtual Result<WaitPlan> begin_wait(int fd, const Awaited& awaited) = 0;
    /// Errors: EINVAL the stream has ended meanwhile.
    virtual Result<> end_wait(const Awaited& awaited, const WaitPlan& plan) = 0;

    // Fence options: the file counts as fenced from then on.
    /// Errors: EINVAL no such provider; ENODEV the machine lacks it.
    virtual Result<> set_provider(std::string_view name) = 0;
    virtual Result<> set_deadline(unsigned deadline_ms) = 0;
    /// Errors: as check_implicit().
    virtual Result<> set_implicit(unsigned flags) = 0;
    /// Out-fences that are sync_files have names (v4lfence/sync/fence_labels.hpp).
    virtual Result<> set_fence_names(bool on) = 0;
    /// QUERYCAP reports v5's CAP_ORDERED where every format is ordered (SEMANTICS 1.3).
    virtual Result<> set_rfc_caps(bool on) = 0;

    struct TypedExpiry {
        std::uint32_t type = 0;
        Expiry expiry;
    };
    virtual TypedExpiry last_expiry() const = 0;

    /// Is there something that poll() of the descriptor does not say, or says wrongly?
    virtual bool corrects_poll() const = 0;
    struct Readiness {
        short hidden = 0;  ///< Events for which the descriptor must not be asked.
        short shown = 0;   ///< Events to show, whatever the descriptor says.
        /// Who asks for one of these is shown POLLERR too.
        short frames = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
    };
    virtual Readiness readiness() const = 0;
    /// The same, for who is about to wait: it is told when `hidden` changes.
    virtual Readiness readiness_for_poll() = 0;
    /// Rings when readiness() changes. Errors: EMFILE.
    virtual Result<Wake*> pollers() = 0;
    /// epoll_ctl() of the program's own epoll for this file. Errors: its own.
    virtual Result<> epoll_ctl(int fd, int epfd, int operation, epoll_event* event) = 0;

    /// The streams end and every fence with them. The descriptor stays the caller's to close.
    virtual void close() = 0;
    /// The file's last number here has been closed, after close(): no other call follows.
    virtual void closed() {}

private:
    static inline std::atomic<std::uint64_t> last_serial_{0};
    const std::uint64_t serial_ = last_serial_.fetch_add(1) + 1;
};

}  // namespace v4lfence
