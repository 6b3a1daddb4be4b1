// SPDX-License-Identifier: MIT

#include "v4lfence/bridge/payload.hpp"

#include <algorithm>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

bool is_multiplanar(std::uint32_t buffer_type) {
    return buffer_type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE ||
           buffer_type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
}

// --- BufferCopy ----------------------------------------------------------------------------------

BufferCopy& BufferCopy::operator=(const v4l2_buffer& source) {
    buffer = source;
    if (is_multiplanar(source.type)) {
        if (source.m.planes != planes.data()) {
            std::copy_n(source.m.planes, plane_count(), planes.begin());
        }
        buffer.m.planes = planes.data();
    }
    return *this;
}

BufferCopy BufferCopy::query(std::uint32_t type, std::uint32_t index) {
    BufferCopy copy;
    copy.buffer.type = type;
    copy.buffer.index = index;
    if (is_multiplanar(type)) {
        copy.buffer.length = VIDEO_MAX_PLANES;
        copy.buffer.m.planes = copy.planes.data();
    }
    return copy;
}

void BufferCopy::write_to(v4l2_buffer& target) const {
    v4l2_plane* const target_planes = target.m.planes;
    const unsigned room = target.length;
    target = buffer;
    if (is_multiplanar(buffer.type)) {
        target.m.planes = target_planes;
        std::copy_n(planes.begin(), std::min(plane_count(), room), target_planes);
    }
}

unsigned BufferCopy::plane_count() const {
    return is_multiplanar(buffer.type) ? std::min<unsigned>(buffer.length, VIDEO_MAX_PLANES) : 1;
}

int BufferCopy::memory_fd(unsigned plane) const {
    return is_multiplanar(buffer.type) ? planes[plane].m.fd : buffer.m.fd;
}

void BufferCopy::set_memory_fd(unsigned plane, int fd) {
    (is_multiplanar(buffer.type) ? planes[plane].m.fd : buffer.m.fd) = fd;
}

// --- Payload -------------------------------------------------------------------------------------

Result<> Payload::assign(const v4l2_buffer& buffer, unsigned planes, bool hold) {
    const std::lock_guard lock(mutex_);
    copy_ = buffer;
    copy_.buffer.flags &= ~fence_flags;
    copy_.buffer.reserved2 = 0;
    const bool holds = hold && buffer.memory == V4L2_MEMORY_DMABUF;
    held_planes_ = holds ? std::min(copy_.plane_count(), planes) : 0;
    std::for_each(memory_.begin(), memory_.end(), [](UniqueFd& fd) { fd.reset(); });
    for (unsigned plane = 0; plane < held_planes_; ++plane) {
        auto own = sys::dup_high(copy_.memory_fd(plane));
        if (!own) {
            const int error = own.error().code;
            std::for_each(memory_.begin(), memory_.end(), [](UniqueFd& fd) { fd.reset(); });
            return fail(error == -EBADF ? -EINVAL : error, "a plane's dma-buf");
        }
        memory_[plane] = std::move(*own);
    }
    return {};
}

BufferCopy Payload::for_kernel() const {
    const std::lock_guard lock(mutex_);
    BufferCopy copy = copy_;
    for (unsigned plane = 0; plane < held_planes_; ++plane) {
        copy.set_memory_fd(plane, memory_[plane].get());
    }
    return copy;
}

void Payload::drop_memory() {
    const std::lock_guard lock(mutex_);
    for (UniqueFd& fd : memory_) {
        fd.reset();
    }
}

void Payload::restore_numbers(v4l2_buffer& buffer) const {
    const std::lock_guard lock(mutex_);
    restore_numbers_locked(buffer);
}

void Payload::restore_numbers_locked(v4l2_buffer& buffer) const {
    if (held_planes_ == 0 || buffer.memory != V4L2_MEMORY_DMABUF) {
        return;
    }
    if (!is_multiplanar(buffer.type)) {
        buffer.m.fd = copy_.memory_fd(0);
        return;
    }
    for (unsigned plane = 0; plane < std::min(held_planes_, buffer.length); ++plane) {
        buffer.m.planes[plane].m.fd = copy_.memory_fd(plane);
    }
}

void Payload::show_in(v4l2_buffer& buffer) const {
    const std::lock_guard lock(mutex_);
    const v4l2_buffer& program = copy_.buffer;
    buffer.bytesused = program.bytesused;
    buffer.field = program.field;
    buffer.timestamp = program.timestamp;
    buffer.timecode = program.timecode;
    const bool mapped = buffer.memory == V4L2_MEMORY_MMAP;  // Its m and length are the kernel's.
    if (!is_multiplanar(buffer.type)) {
        buffer.m = mapped ? buffer.m : program.m;
        buffer.length = mapped ? buffer.length : program.length;
        return;
    }
    for (unsigned plane = 0; plane < std::min(copy_.plane_count(), buffer.length); ++plane) {
        v4l2_plane& target = buffer.m.planes[plane];
        const v4l2_plane& source = copy_.planes[plane];
        target.bytesused = source.bytesused;
        target.data_offset = source.data_offset;
        target.m = mapped ? target.m : source.m;
        target.length = mapped ? target.length : source.length;
    }
}

}  // namespace v4lfence
