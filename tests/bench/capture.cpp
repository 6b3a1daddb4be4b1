// SPDX-License-Identifier: MIT

#include "tests/bench/capture.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "tests/bench/samples.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence::bench {

namespace {

constexpr int wait_ms = 10'000;

v4l2_buffer mapped_buffer(unsigned index) {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = V4L2_MEMORY_MMAP;
    buffer.index = index;
    return buffer;
}

}  // namespace

const Calls& raw_calls() {
    static constexpr Calls calls{
        [](const char* path, int flags) { return ::open(path, flags); },
        [](int fd, unsigned long request, void* argument) {
            return ::ioctl(fd, request, argument);
        },
        ::poll,
        ::close,
    };
    return calls;
}

const Calls& library_calls() {
    static constexpr Calls calls{
        [](const char* path, int flags) { return ::v4lfence_open(path, flags); },
        [](int fd, unsigned long request, void* argument) {
            return ::v4lfence_ioctl(fd, request, argument);
        },
        ::v4lfence_poll,
        ::v4lfence_close,
    };
    return calls;
}

Capture::Capture(const Calls& calls, const char* node, int flags) : calls_(calls) {
    fd_ = check(calls_.open(node, O_RDWR | O_CLOEXEC | flags), node);
    v4l2_format format{};
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    check(calls_.ioctl(fd_, VIDIOC_G_FMT, &format), "VIDIOC_G_FMT");
    format.fmt.pix.width = 320;
    format.fmt.pix.height = 180;
    check(calls_.ioctl(fd_, VIDIOC_S_FMT, &format), "VIDIOC_S_FMT");
    v4l2_streamparm rate{};
    rate.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    rate.parm.capture.timeperframe = {1, 60};
    check(calls_.ioctl(fd_, VIDIOC_S_PARM, &rate), "VIDIOC_S_PARM");
}

Capture::~Capture() {
    calls_.close(fd_);
}

int Capture::try_ioctl(unsigned long request, void* argument) const {
    return calls_.ioctl(fd_, request, argument) < 0 ? errno : 0;
}

void Capture::request_buffers() {
    v4l2_requestbuffers request{};
    request.count = buffers;
    request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    request.memory = V4L2_MEMORY_MMAP;
    check(calls_.ioctl(fd_, VIDIOC_REQBUFS, &request), "VIDIOC_REQBUFS");
    if (request.count != buffers) {
        errno = ENOMEM;
        give_up("VIDIOC_REQBUFS");
    }
}

int Capture::queue(unsigned index, unsigned flags, int in_fence) {
    v4l2_buffer buffer = mapped_buffer(index);
    buffer.flags = flags;
    if (flags != 0) {
        v4l2_buffer_fence_fd(&buffer) = in_fence;
    }
    check(calls_.ioctl(fd_, VIDIOC_QBUF, &buffer), "VIDIOC_QBUF");
    return (flags & V4L2_BUF_FLAG_OUT_FENCE) ? v4l2_buffer_fence_fd(&buffer) : -1;
}

void Capture::start() {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    check(calls_.ioctl(fd_, VIDIOC_STREAMON, &type), "VIDIOC_STREAMON");
}

void Capture::stop() {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    check(calls_.ioctl(fd_, VIDIOC_STREAMOFF, &type), "VIDIOC_STREAMOFF");
}

v4l2_buffer Capture::dequeue() {
    v4l2_buffer buffer = mapped_buffer(0);
    check(calls_.ioctl(fd_, VIDIOC_DQBUF, &buffer), "VIDIOC_DQBUF");
    return buffer;
}

bool Capture::try_dequeue(v4l2_buffer& buffer) {
    buffer = mapped_buffer(0);
    const int status = calls_.ioctl(fd_, VIDIOC_DQBUF, &buffer);
    if (status < 0 && errno == EAGAIN) {
        return false;
    }
    check(status, "VIDIOC_DQBUF");
    return true;
}

void Capture::wait() {
    pollfd entry{fd_, POLLIN, 0};
    if (check(calls_.poll(&entry, 1, wait_ms), "poll") == 0) {
        errno = ETIME;
        give_up("a frame");
    }
}

}  // namespace v4lfence::bench
