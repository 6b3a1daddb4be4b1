// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/convert.hpp"

#include <cstring>

namespace v4lfence {

namespace {

/// What a program may set of an output buffer, and a driver may want to know.
constexpr std::uint32_t program_flags = V4L2_BUF_FLAG_KEYFRAME | V4L2_BUF_FLAG_PFRAME |
                                        V4L2_BUF_FLAG_BFRAME | V4L2_BUF_FLAG_TIMECODE |
                                        V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF;

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t ns_per_us = 1'000;

/// Whatever a program passes, as the kernel computes it.
std::int64_t to_ns(const timeval& time) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(time.tv_sec) * ns_per_s +
                                     static_cast<std::uint64_t>(time.tv_usec) * ns_per_us);
}

PlaneSettings settings_of_plane(const v4l2_plane& plane, int fd) {
    PlaneSettings settings;
    settings.bytes_used = plane.bytesused;
    settings.data_offset = plane.data_offset;
    settings.length = plane.length;
    settings.address = plane.m.userptr;
    settings.fd = fd;
    settings.program_fd = plane.m.fd;
    return settings;
}

std::uint32_t flags_of(const BufferReport& report, const QueueTraits& traits) {
    std::uint32_t flags = report.flags & program_flags;
    flags |=
        traits.copies_timestamp ? V4L2_BUF_FLAG_TIMESTAMP_COPY : V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    flags |=
        traits.timestamp_is_start ? V4L2_BUF_FLAG_TSTAMP_SRC_SOE : V4L2_BUF_FLAG_TSTAMP_SRC_EOF;
    flags |= report.mapped ? V4L2_BUF_FLAG_MAPPED : 0;
    flags |= report.prepared ? V4L2_BUF_FLAG_PREPARED : 0;
    flags |= report.error ? V4L2_BUF_FLAG_ERROR : 0;
    flags |= report.last ? V4L2_BUF_FLAG_LAST : 0;
    flags |= report.state == BufferReport::State::Queued ? V4L2_BUF_FLAG_QUEUED : 0;
    flags |= report.state == BufferReport::State::Done ? V4L2_BUF_FLAG_DONE : 0;
    flags |= report.in_fence_pending ? V4L2_BUF_FLAG_IN_FENCE : 0;
    flags |= report.out_fence_pending ? V4L2_BUF_FLAG_OUT_FENCE : 0;
    return flags;
}

template <class Memory>
void write_memory(MemoryKind kind, const BufferReport::Plane& plane, Memory& memory) {
    std::memset(&memory, 0, sizeof memory);
    switch (kind) {
    case MemoryKind::Mmap:
        if constexpr (requires { memory.mem_offset; }) {
            memory.mem_offset = plane.offset;
        } else {
            memory.offset = plane.offset;
        }
        break;
    case MemoryKind::Userptr:
        memory.userptr = plane.address;
        break;
    case MemoryKind::Dmabuf:
        memory.fd = plane.fd;
        break;
    }
}

}  // namespace

Result<MemoryKind> memory_kind_of(std::uint32_t memory) {
    switch (memory) {
    case V4L2_MEMORY_MMAP:
    case V4L2_MEMORY_USERPTR:
    case V4L2_MEMORY_DMABUF:
        return static_cast<MemoryKind>(memory);
    default:
        return fail(-EINVAL, "no such memory type");
    }
}

Result<BufferSettings> settings_of(const Call& call, unsigned plane_count) {
    const auto& buffer = call.as<v4l2_buffer>();
    BufferSettings settings;
    settings.memory = V4LFENCE_TRY(memory_kind_of(buffer.memory));
    settings.timestamp_ns = to_ns(buffer.timestamp);
    settings.field = buffer.field;
    settings.flags = V4L2_TYPE_IS_OUTPUT(buffer.type) ? buffer.flags & program_flags : 0;
    if (settings.memory == MemoryKind::Userptr) {
        settings.program = call.program;
    }
    if (!V4L2_TYPE_IS_MULTIPLANAR(buffer.type)) {
        settings.planes[0].bytes_used = buffer.bytesused;
        settings.planes[0].length = buffer.length;
        settings.planes[0].address = buffer.m.userptr;
        settings.planes[0].fd = call.memory_fds[0];
        settings.planes[0].program_fd = buffer.m.fd;
        return settings;
    }
    if (buffer.length < plane_count || buffer.length > planes_max) {
        return fail(-EINVAL, "the planes array is too short");
    }
    settings.plane_count = buffer.length;
    for (unsigned i = 0; i < settings.plane_count; ++i) {
        settings.planes[i] = settings_of_plane(buffer.m.planes[i], call.memory_fds[i]);
    }
    return settings;
}

Result<> write_report(const BufferReport& report, const QueueTraits& traits, v4l2_buffer& buffer) {
    const bool multi_planar = V4L2_TYPE_IS_MULTIPLANAR(buffer.type);
    if (multi_planar && buffer.length < report.plane_count) {
        return fail(-EINVAL, "the planes array is too short");
    }
    buffer.index = report.index;
    buffer.memory = static_cast<std::uint32_t>(report.memory);
    buffer.flags = flags_of(report, traits);
    buffer.field = report.field;
    buffer.sequence = report.sequence;
    buffer.timestamp.tv_sec = report.timestamp_ns / ns_per_s;
    buffer.timestamp.tv_usec = report.timestamp_ns % ns_per_s / ns_per_us;
    buffer.timecode = {};
    buffer.reserved2 = 0;
    buffer.request_fd = 0;
    if (!multi_planar) {
        const BufferReport::Plane& plane = report.planes[0];
        buffer.bytesused = plane.bytes_used;
        buffer.length = plane.length;
        write_memory(report.memory, plane, buffer.m);
        return {};
    }
    buffer.bytesused = 0;
    buffer.length = report.plane_count;
    for (unsigned i = 0; i < report.plane_count; ++i) {
        const BufferReport::Plane& plane = report.planes[i];
        v4l2_plane& written = buffer.m.planes[i];
        written = {};
        written.bytesused = plane.bytes_used;
        written.data_offset = plane.data_offset;
        written.length = plane.length;
        write_memory(report.memory, plane, written.m);
    }
    return {};
}

}  // namespace v4lfence
