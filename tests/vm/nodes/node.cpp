// SPDX-License-Identifier: MIT

#include "tests/vm/nodes/node.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace v4lfence::nodes {

namespace {

constexpr unsigned numbers_max = 64;

}  // namespace

void NodeTest::SetUp() {
    if (std::getenv("VM_KERNEL") == nullptr) {
        GTEST_SKIP() << "needs nodes that nobody uses: runs in the VM";
    }
    set_up();
}

std::vector<std::string> find(const std::string& driver, std::uint32_t capabilities) {
    std::vector<std::string> found;
    for (unsigned number = 0; number < numbers_max; ++number) {
        const std::string path = "/dev/video" + std::to_string(number);
        const api::File file = open(path);
        v4l2_capability caps{};
        if (file && file.ioctl(VIDIOC_QUERYCAP, &caps) == 0 &&
            driver == reinterpret_cast<const char*>(caps.driver) &&
            (caps.device_caps & capabilities) != 0) {
            found.push_back(path);
        }
    }
    return found;
}

api::File open(const std::string& path) {
    return api::File(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

// --- fences --------------------------------------------------------------------------------------

Gate::Gate() {
    int fd = -1;
    promise_ = v4lfence_promise_create("user", &fd);
    fence_ = api::Fence(fd);
}

void Gate::end(int error) {
    v4lfence_promise_end(std::exchange(promise_, nullptr), error);
}

std::optional<int> ended(const api::Fence& fence) {
    const v4lfence_fence_result result = fence.status();
    return result.state == V4LFENCE_PENDING ? std::nullopt : std::optional(result.error);
}

int wait(const api::Fence& fence) {
    EXPECT_EQ(fence.wait(soon_ms), 0);
    return ended(fence).value_or(-ETIME);
}

// --- a queue -------------------------------------------------------------------------------------

Queue::Queue(const api::File& file, std::uint32_t type) : file_(file), type_(type) {}

bool Queue::is_multiplanar() const {
    return type_ == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE ||
           type_ == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
}

v4l2_buffer Queue::blank(unsigned index) const {
    v4l2_buffer buffer{};
    buffer.index = index;
    buffer.type = type_;
    buffer.memory = V4L2_MEMORY_MMAP;
    if (is_multiplanar()) {
        std::memset(planes_, 0, sizeof planes_);
        buffer.m.planes = planes_;
        buffer.length = VIDEO_MAX_PLANES;
    }
    return buffer;
}

int Queue::request(unsigned count) {
    v4l2_requestbuffers request{};
    request.count = count;
    request.type = type_;
    request.memory = V4L2_MEMORY_MMAP;
    const int status = file_.ioctl(VIDIOC_REQBUFS, &request);
    return status < 0 ? status : static_cast<int>(request.count);
}

int Queue::queue(unsigned index, const api::Fence* in, api::Fence* out, std::uint32_t flags,
                 int request_fd) {
    v4l2_buffer buffer = blank(index);
    if (const int status = file_.ioctl(VIDIOC_QUERYBUF, &buffer); status < 0) {
        return status;
    }
    buffer.field = V4L2_FIELD_NONE;
    buffer.flags = flags;
    if (flags & V4L2_BUF_FLAG_REQUEST_FD) {
        buffer.request_fd = request_fd;
    }
    if (is_output()) {
        buffer.bytesused = buffer.length;
        for (v4l2_plane& plane : planes_) {
            plane.bytesused = plane.length;
        }
    }
    return file_.queue(buffer, in, out);
}

int Queue::stream(bool on) const {
    std::uint32_t type = type_;
    return file_.ioctl(on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type);
}

Queue::Taken Queue::try_take() const {
    v4l2_buffer buffer = blank(0);
    const int status = file_.ioctl(VIDIOC_DQBUF, &buffer);
    return {status, buffer.index, buffer.flags,
            is_multiplanar() ? planes_[0].bytesused : buffer.bytesused};
}

Queue::Taken Queue::take() const {
    Taken taken = try_take();
    while (taken.status == -EAGAIN && readiness(soon_ms) != 0) {
        taken = try_take();
    }
    return taken;
}

std::uint32_t Queue::flags(unsigned index) const {
    v4l2_buffer buffer = blank(index);
    EXPECT_EQ(file_.ioctl(VIDIOC_QUERYBUF, &buffer), 0) << index;
    return buffer.flags;
}

short Queue::readiness(int timeout_ms) const {
    pollfd entry{file_.fd(), static_cast<short>(is_output() ? POLLOUT : POLLIN), 0};
    EXPECT_GE(v4lfence_poll(&entry, 1, timeout_ms), 0);
    return entry.revents;
}

}  // namespace v4lfence::nodes
