// SPDX-License-Identifier: MIT

#include "conformance/testing/fake_kernel.hpp"

#include <linux/sync_file.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {

namespace {

constexpr std::uint32_t fence_flags = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;
constexpr std::uint32_t buffer_size = 4096;

struct Node {
    KernelFences fences = KernelFences::None;
    unsigned count = 0;
    bool streaming = false;
    std::uint32_t sequence = 0;
    std::vector<unsigned> queued;
    std::array<std::uint32_t, 64> echoed{};
};
Node node;

int refuse(int error) {
    errno = error;
    return -1;
}

int query_capabilities(v4l2_capability& capability) {
    std::strcpy(reinterpret_cast<char*>(capability.driver), "fake");
    capability.device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    capability.capabilities = capability.device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

int request(v4l2_requestbuffers& wanted) {
    node.count = std::min(wanted.count, 64U);
    node.queued.clear();
    wanted.count = node.count;
    wanted.capabilities = V4L2_BUF_CAP_SUPPORTS_MMAP;
    return 0;
}

void show(v4l2_buffer& buffer) {
    const bool queued =
        std::find(node.queued.begin(), node.queued.end(), buffer.index) != node.queued.end();
    buffer.flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | (queued ? V4L2_BUF_FLAG_QUEUED : 0U);
    buffer.length = buffer_size;
    buffer.bytesused = buffer_size;
    buffer.m.offset = buffer.index * buffer_size;
    v4l2_buffer_fence_fd(&buffer) = 0;
}

bool takes_in_fence(int fd) {
    sync_file_info info{};
    if (!sys::get_status_flags(fd)) {
        return false;
    }
    return node.fences == KernelFences::Any || sys::ioctl_retry(fd, SYNC_IOC_FILE_INFO, &info);
}

int queue(v4l2_buffer& buffer) {
    if (buffer.index >= node.count) {
        return refuse(EINVAL);
    }
    const std::uint32_t asked = buffer.flags & fence_flags;
    const bool fences = node.fences != KernelFences::None;
    if (fences && (asked & V4L2_BUF_FLAG_IN_FENCE) != 0 &&
        !takes_in_fence(v4l2_buffer_fence_fd(&buffer))) {
        return refuse(EINVAL);
    }
    node.queued.push_back(buffer.index);
    show(buffer);
    buffer.flags |= asked & (fences ? V4L2_BUF_FLAG_OUT_FENCE : fence_flags);
    if (fences && (asked & V4L2_BUF_FLAG_OUT_FENCE) != 0) {
        v4l2_buffer_fence_fd(&buffer) = std::move(*sys::eventfd(0, 0)).release();
    }
    return 0;
}

int dequeue(v4l2_buffer& buffer) {
    if (!node.streaming) {
        return refuse(EINVAL);
    }
    if (node.queued.empty()) {
        return refuse(EAGAIN);
    }
    buffer.index = node.queued.front();
    node.queued.erase(node.queued.begin());
    show(buffer);
    buffer.sequence = node.sequence++;
    return 0;
}

int answer(unsigned long call, void* argument) {
    auto& buffer = *static_cast<v4l2_buffer*>(argument);
    switch (call) {
    case VIDIOC_QUERYCAP:
        return query_capabilities(*static_cast<v4l2_capability*>(argument));
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
        static_cast<v4l2_format*>(argument)->fmt.pix.sizeimage = buffer_size;
        return 0;
    case VIDIOC_REQBUFS:
        return request(*static_cast<v4l2_requestbuffers*>(argument));
    case VIDIOC_QUERYBUF:
        show(buffer);
        return buffer.index < node.count ? 0 : refuse(EINVAL);
    case VIDIOC_QBUF:
        return queue(buffer);
    case VIDIOC_DQBUF:
        return dequeue(buffer);
    case VIDIOC_STREAMON:
        node.streaming = true;
        return 0;
    case VIDIOC_STREAMOFF:
        node.streaming = false;
        node.queued.clear();
        return 0;
    default:
        return refuse(ENOTTY);
    }
}

int open_node(const char*, int, ...) {
    const KernelFences fences = node.fences;
    node = Node();
    node.fences = fences;
    return std::move(*sys::eventfd(0, 0)).release();
}

int call_node(int, unsigned long call, ...) {
    va_list arguments;
    va_start(arguments, call);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    return answer(call, argument);
}

void* map_node(void*, std::size_t length, int protection, int, int, std::int64_t) {
    return raw_calls().mmap(nullptr, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int poll_node(pollfd* fds, nfds_t, int) {
    const bool frame = node.streaming && !node.queued.empty();
    fds[0].revents = frame ? POLLIN : short{0};
    return frame ? 1 : 0;
}

}  // namespace

DeviceCalls fake_kernel(KernelFences fences) {
    node = Node();
    node.fences = fences;
    DeviceCalls calls = raw_calls();
    calls.open = open_node;
    calls.ioctl = call_node;
    calls.mmap = map_node;
    calls.poll = poll_node;
    return calls;
}

}  // namespace v4lfence
