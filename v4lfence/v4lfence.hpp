// SPDX-License-Identifier: MIT
//
// Owning C++ types over v4lfence.h, header-only: a File, a Fence and a Timeline that close
// themselves. Errors are negative errnos; nothing throws. C++17.

#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>

#include "v4lfence/v4lfence.h"

namespace v4lfence::api {

/// A fence's descriptor. Empty: no fence.
class Fence {
public:
    Fence() noexcept = default;
    explicit Fence(int fd) noexcept : fd_(fd) {}
    Fence(Fence&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fence& operator=(Fence&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    Fence(const Fence&) = delete;
    Fence& operator=(const Fence&) = delete;
    ~Fence() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }

    explicit operator bool() const noexcept { return fd_ >= 0; }
    int fd() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    /// As v4lfence_fence_status(); a state of FAILED with the errno when it cannot be asked.
    v4lfence_fence_result status() const noexcept {
        v4lfence_fence_result result{};
        if (v4lfence_fence_status(fd_, &result) < 0) {
            result.state = V4LFENCE_FAILED;
            result.error = -errno;
        }
        return result;
    }
    /// 0 once it has ended, well or badly; -ETIME; -EINTR.
    [[nodiscard]] int wait(int timeout_ms) const noexcept {
        return v4lfence_fence_wait(fd_, timeout_ms, nullptr) < 0 ? -errno : 0;
    }
    /// Empty, and errno, where it fails.
    static Fence merge(const char* name, const Fence& first, const Fence& second) noexcept {
        return Fence(v4lfence_fence_merge(name, first.fd_, second.fd_));
    }

    /// As v4lfence_fence_sync_file(). Empty, and errno, where it fails.
    Fence sync_file() const noexcept { return Fence(v4lfence_fence_sync_file(fd_)); }

private:
    int fd_ = -1;
};

/// {syncobj, point} of the kernel's. Empty, and errno, where it cannot be made.
class Timeline {
public:
    Timeline() noexcept = default;
    /// As v4lfence_timeline_create().
    explicit Timeline(const char* node, int syncobj_fd = -1) noexcept
        : timeline_(v4lfence_timeline_create(node, syncobj_fd)) {}
    Timeline(Timeline&& other) noexcept : timeline_(std::exchange(other.timeline_, nullptr)) {}
    Timeline& operator=(Timeline&& other) noexcept {
        std::swap(timeline_, other.timeline_);
        return *this;
    }
    Timeline(const Timeline&) = delete;
    Timeline& operator=(const Timeline&) = delete;
    ~Timeline() { v4lfence_timeline_destroy(timeline_); }

    explicit operator bool() const noexcept { return timeline_ != nullptr; }

    /// The syncobj's descriptor for others, the caller's to close; or a negative errno.
    [[nodiscard]] int share() const noexcept {
        const int fd = v4lfence_timeline_export(timeline_);
        return fd < 0 ? -errno : fd;
    }
    /// 0 or a negative errno. The fence stays the caller's.
    [[nodiscard]] int promise(std::uint64_t point, const Fence& fence) noexcept {
        return v4lfence_timeline_promise(timeline_, point, fence.fd()) < 0 ? -errno : 0;
    }
    /// The highest point reached, 0 before the first. Empty, and errno, where it cannot be asked.
    std::optional<std::uint64_t> value() const noexcept {
        std::uint64_t value = 0;
        if (v4lfence_timeline_value(timeline_, &value) < 0) {
            return std::nullopt;
        }
        return value;
    }
    /// Ends when the point is reached. Empty, and errno, where it fails.
    Fence fence(std::uint64_t point) const noexcept {
        return Fence(v4lfence_timeline_fence(timeline_, point));
    }

private:
    v4lfence_timeline* timeline_ = nullptr;
};

/// An open V4L2 node or virtual device. What is not here, as v4lfence_mmap(), takes its fd().
class File {
public:
    File() noexcept = default;
    explicit File(const char* path, int flags) noexcept : fd_(v4lfence_open(path, flags)) {}
    File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    File& operator=(File&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd_ >= 0) {
            v4lfence_close(fd_);
        }
    }

    explicit operator bool() const noexcept { return fd_ >= 0; }
    int fd() const noexcept { return fd_; }

    /// What the ioctl returned, or a negative errno.
    template <class Argument>
    [[nodiscard]] int ioctl(unsigned long request, Argument* argument) const noexcept {
        const int value = v4lfence_ioctl(fd_, request, argument);
        return value < 0 ? -errno : value;
    }

    /// VIDIOC_QBUF. An in-fence stays the caller's; the out-fence is put into `out` where one is
    /// passed. 0 or a negative errno.
    [[nodiscard]] int queue(v4l2_buffer& buffer, const Fence* in, Fence* out) const noexcept {
        buffer.flags &= ~(V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE);
        buffer.flags |= in != nullptr ? V4L2_BUF_FLAG_IN_FENCE : 0;
        buffer.flags |= out != nullptr ? V4L2_BUF_FLAG_OUT_FENCE : 0;
        v4l2_buffer_fence_fd(&buffer) = in != nullptr ? in->fd() : -1;
        const int status = ioctl(VIDIOC_QBUF, &buffer);
        if (status == 0 && out != nullptr) {
            *out = Fence(v4l2_buffer_fence_fd(&buffer));
        }
        return status;
    }

    // The choices for one file, as v4lfence.h says of v4lfence_set_*(). 0 or a negative errno.

    [[nodiscard]] int set_provider(const char* name) const noexcept {
        return v4lfence_set_provider(fd_, name) < 0 ? -errno : 0;
    }
    [[nodiscard]] int set_deadline(unsigned deadline_ms) const noexcept {
        return v4lfence_set_deadline(fd_, deadline_ms) < 0 ? -errno : 0;
    }
    [[nodiscard]] int set_implicit(unsigned flags) const noexcept {
        return v4lfence_set_implicit(fd_, flags) < 0 ? -errno : 0;
    }
    [[nodiscard]] int set_rfc_caps(bool on) const noexcept {
        return v4lfence_set_rfc_caps(fd_, on ? 1 : 0) < 0 ? -errno : 0;
    }
    [[nodiscard]] int set_fence_names(bool on) const noexcept {
        return v4lfence_set_fence_names(fd_, on ? 1 : 0) < 0 ? -errno : 0;
    }

    /// The last buffer whose fence was given up on. Empty: none, or, with errno, no file of ours.
    std::optional<v4lfence_expiry> last_expiry() const noexcept {
        v4lfence_expiry expiry{};
        if (v4lfence_last_expiry(fd_, &expiry) < 0 || expiry.count == 0) {
            return std::nullopt;
        }
        return expiry;
    }

private:
    int fd_ = -1;
};

}  // namespace v4lfence::api
