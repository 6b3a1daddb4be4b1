// SPDX-License-Identifier: MIT
//
// For tests: a pipe that answers ioctls as a capture node would, in place of the kernel
// (base/libc_calls.hpp). It is readable while it has finished buffers.

#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <deque>
#include <mutex>
#include <set>
#include <span>
#include <utility>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence::testing {

/// One at a time. Thread: every member may be called from any thread.
class PipeNode {
public:
    static constexpr unsigned buffers = 4;
    /// Of all of them. Set it before the first call.
    v4l2_memory memory = V4L2_MEMORY_MMAP;
    /// As v4l2loopback, whose QUERYBUF says QUEUED of each. Set it before the first call.
    bool silent = false;

    explicit PipeNode(int flags = O_NONBLOCK) : pipe_(std::move(*sys::pipe(flags))) {
        inode_ = sys::fstat(pipe_.read_end.get())->st_ino;
        only_ = this;
        before_ = std::exchange(libc.ioctl, answer);
    }
    PipeNode(const PipeNode&) = delete;
    PipeNode& operator=(const PipeNode&) = delete;
    ~PipeNode() {
        libc.ioctl = before_;
        only_ = nullptr;
    }

    /// The program's first number of it, for the program to close.
    int open() { return std::move(pipe_.read_end).release(); }

    /// The oldest buffer is full. False: it has none.
    bool finish() {
        const std::lock_guard lock(mutex_);
        if (given_.empty()) {
            return false;
        }
        done_.push_back(given_.front());
        given_.pop_front();
        const std::byte frame{};
        return sys::write(pipe_.write_end.get(), std::span(&frame, 1)).has_value();
    }
    /// Its descriptor has an error for good.
    void hang_up() { pipe_.write_end.reset(); }
    std::size_t given() const {
        const std::lock_guard lock(mutex_);
        return given_.size();
    }

    /// By which numbers it was called since the last time.
    std::set<int> take_callers() {
        const std::lock_guard lock(mutex_);
        return std::exchange(callers_, {});
    }

private:
    static int answer(int fd, unsigned long request, ...) {
        std::va_list arguments;
        va_start(arguments, request);
        void* const argument = va_arg(arguments, void*);
        va_end(arguments);
        const auto info = sys::fstat(fd);
        if (only_ == nullptr || !info || info->st_ino != only_->inode_ ||
            !S_ISFIFO(info->st_mode)) {
            return before_(fd, request, argument);
        }
        const int error = only_->call(fd, static_cast<std::uint32_t>(request), argument);
        errno = error;
        return error == 0 ? 0 : -1;
    }

    int call(int fd, std::uint32_t request, void* argument) {
        const std::lock_guard lock(mutex_);
        callers_.insert(fd);
        switch (request) {
        case VIDIOC_QUERYCAP: {
            auto& caps = *static_cast<v4l2_capability*>(argument);
            caps = {};
            std::strcpy(reinterpret_cast<char*>(caps.driver), silent ? "v4l2 loopback" : "pipe");
            caps.capabilities = caps.device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
            return 0;
        }
        case VIDIOC_QUERYBUF:
            return show(*static_cast<v4l2_buffer*>(argument));
        case VIDIOC_QBUF:
            return take(*static_cast<v4l2_buffer*>(argument));
        case VIDIOC_DQBUF:
            return give_back(fd, *static_cast<v4l2_buffer*>(argument));
        case VIDIOC_STREAMON:
            return 0;
        case VIDIOC_STREAMOFF:
            given_.clear();
            while (!done_.empty()) {
                drop_frame(pipe_.read_end ? pipe_.read_end.get() : fd);
            }
            return 0;
        case VIDIOC_PREPARE_BUF:
            return EINVAL;
        case VIDIOC_EXPBUF: {
            auto made = sys::eventfd(0, 0);
            static_cast<v4l2_exportbuffer*>(argument)->fd = made ? std::move(*made).release() : -1;
            return made ? 0 : -made.error().code;
        }
        default:
            return ENOTTY;
        }
    }

    int show(v4l2_buffer& buffer) const {
        if (buffer.index >= buffers) {
            return EINVAL;
        }
        buffer.memory = memory;
        buffer.length = 4096;
        buffer.flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        const auto has = [&](const std::deque<std::uint32_t>& queue) {
            return std::find(queue.begin(), queue.end(), buffer.index) != queue.end();
        };
        buffer.flags |= has(given_) ? V4L2_BUF_FLAG_QUEUED : 0;
        buffer.flags |= has(done_) ? V4L2_BUF_FLAG_DONE : 0;
        if (silent) {
            buffer.flags = V4L2_BUF_FLAG_QUEUED;
        }
        return 0;
    }

    int take(v4l2_buffer& buffer) {
        v4l2_buffer known = buffer;
        if (show(known) != 0 ||
            (!silent && (known.flags & (V4L2_BUF_FLAG_QUEUED | V4L2_BUF_FLAG_DONE)))) {
            return EINVAL;
        }
        given_.push_back(buffer.index);
        return show(buffer);
    }

    int give_back(int fd, v4l2_buffer& buffer) {
        if (done_.empty()) {
            return EAGAIN;
        }
        buffer.index = done_.front();
        drop_frame(fd);
        return show(buffer);
    }

    void drop_frame(int fd) {
        std::byte frame{};
        EXPECT_TRUE(sys::read(fd, std::span(&frame, 1)));
        done_.pop_front();
    }

    static inline PipeNode* only_ = nullptr;
    static inline decltype(LibcCalls::ioctl) before_ = nullptr;
    sys::Pipe pipe_;
    ino_t inode_ = 0;
    mutable std::mutex mutex_;
    std::deque<std::uint32_t> given_;
    std::deque<std::uint32_t> done_;
    std::set<int> callers_;
};

}  // namespace v4lfence::testing
