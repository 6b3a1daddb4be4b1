// SPDX-License-Identifier: MIT
//
// For tests of the C API: a virtual camera as a program sees it, and what its threads wait in.

#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>

#include "v4lfence/drivers/camera/controls.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence::testing {

constexpr std::uint32_t capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;

/// What a call answered, or its negative errno.
inline int call(int fd, unsigned long request, void* argument) {
    const int status = v4lfence_ioctl(fd, request, argument);
    return status < 0 ? -errno : status;
}

/// An open camera of a test's own.
class Camera {
public:
    explicit Camera(const std::string& name, int flags = O_RDWR)
        : fd_(v4lfence_open(("virtual:camera@" + name).c_str(), flags)) {}
    Camera(const Camera&) = delete;
    Camera& operator=(const Camera&) = delete;
    ~Camera() { close(); }

    int fd() const { return fd_; }
    void close() {
        if (fd_ >= 0) {
            v4lfence_close(std::exchange(fd_, -1));
        }
    }
    int ioctl(unsigned long request, void* argument) const { return call(fd_, request, argument); }

    int request(unsigned count) const {
        v4l2_requestbuffers request{};
        request.count = count;
        request.type = capture;
        request.memory = V4L2_MEMORY_MMAP;
        return ioctl(VIDIOC_REQBUFS, &request);
    }
    static v4l2_buffer buffer(unsigned index = 0) {
        v4l2_buffer buffer{};
        buffer.index = index;
        buffer.type = capture;
        buffer.memory = V4L2_MEMORY_MMAP;
        return buffer;
    }
    int queue(unsigned index) const {
        v4l2_buffer queued = buffer(index);
        return ioctl(VIDIOC_QBUF, &queued);
    }
    int dequeue() const {
        v4l2_buffer taken = buffer();
        return ioctl(VIDIOC_DQBUF, &taken);
    }
    int stream(bool on) const {
        std::uint32_t type = capture;
        return ioctl(on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type);
    }
    std::uint32_t flags_of(unsigned index) const {
        v4l2_buffer seen = buffer(index);
        EXPECT_EQ(ioctl(VIDIOC_QUERYBUF, &seen), 0);
        return seen.flags;
    }
    bool is_mapped(unsigned index) const { return flags_of(index) & V4L2_BUF_FLAG_MAPPED; }
    /// `at`: as MAP_FIXED.
    void* map(unsigned index, void* at = nullptr) const {
        v4l2_buffer seen = buffer(index);
        EXPECT_EQ(ioctl(VIDIOC_QUERYBUF, &seen), 0);
        return v4lfence_mmap(at, seen.length, PROT_READ,
                             MAP_SHARED | (at != nullptr ? MAP_FIXED : 0), fd_, seen.m.offset);
    }
    /// A stream without a buffer, so that a DQBUF or a poll() for a frame waits.
    void stream_dry() const {
        EXPECT_EQ(request(2), 0);
        EXPECT_EQ(queue(0), 0);
        EXPECT_EQ(stream(true), 0);
        EXPECT_EQ(dequeue(), 0);
    }
    int set(std::uint32_t id, std::int32_t value) const {
        v4l2_control control{id, value};
        return ioctl(VIDIOC_S_CTRL, &control);
    }
    void unplug() const {
        EXPECT_EQ(set(camera_disconnect_armed, 1), 0);
        (void)set(camera_disconnect, 1);
        EXPECT_EQ(dequeue(), -ENODEV);
    }
    std::string bus_info() const {
        v4l2_capability caps{};
        EXPECT_EQ(ioctl(VIDIOC_QUERYCAP, &caps), 0);
        return reinterpret_cast<const char*>(caps.bus_info);
    }

private:
    int fd_;
};

inline int polled(int fd, short events, int timeout_ms = 0) {
    pollfd entry{fd, events, 0};
    EXPECT_GE(v4lfence_poll(&entry, 1, timeout_ms), 0);
    return entry.revents;
}

/// By what the kernel says of a thread of this process.
inline bool is_in_poll(pid_t thread) {
    std::ifstream state("/proc/self/task/" + std::to_string(thread) + "/syscall");
    long number = -1;
    state >> number;
    return number == SYS_poll || number == SYS_ppoll;
}

}  // namespace v4lfence::testing
