// SPDX-License-Identifier: MIT
//
// Buffers: REQBUFS, CREATE_BUFS, REMOVE_BUFS, QUERYBUF, PREPARE_BUF, QBUF, DQBUF, EXPBUF.

#include <fcntl.h>

#include <cstring>
#include <utility>

#include "v4lfence/uapi/remove_bufs.hpp"
#include "v4lfence/v4l2/convert.hpp"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/handlers.hpp"

namespace v4lfence::ioctls {

namespace {

/// V4L2_BUF_CAP_SUPPORTS_REMOVE_BUFS, which headers before 6.10 lack.
constexpr std::uint32_t cap_remove_bufs = 1U << 8;

std::uint32_t capabilities(FileHandle& file) {
    const Queue& queue = file.device().queue();
    const unsigned kinds = queue.traits().memory_kinds;
    const auto has = [kinds](MemoryKind kind) { return (kinds & memory_bit(kind)) != 0; };
    std::uint32_t caps = V4L2_BUF_CAP_SUPPORTS_ORPHANED_BUFS | cap_remove_bufs;
    caps |= has(MemoryKind::Mmap) ? V4L2_BUF_CAP_SUPPORTS_MMAP : 0;
    caps |= has(MemoryKind::Userptr) ? V4L2_BUF_CAP_SUPPORTS_USERPTR : 0;
    caps |= has(MemoryKind::Dmabuf) ? V4L2_BUF_CAP_SUPPORTS_DMABUF : 0;
    if (file.fenced()) {
        caps |= V4L2_BUF_CAP_SUPPORTS_FENCES;
        caps |= queue.view().ordered ? V4L2_BUF_CAP_IS_ORDERED : 0;
    }
    return caps;
}

/// The sizes that CREATE_BUFS asks for. Errors: EINVAL no such type, no planes.
Result<BufferShape> shape_of(const v4l2_format& format) {
    BufferShape shape;
    if (!V4L2_TYPE_IS_MULTIPLANAR(format.type)) {
        shape.sizes[0] = format.fmt.pix.sizeimage;
        return shape;
    }
    shape.plane_count = format.fmt.pix_mp.num_planes;
    if (shape.plane_count == 0 || shape.plane_count > planes_max) {
        return fail(-EINVAL, "the number of planes");
    }
    for (unsigned i = 0; i < shape.plane_count; ++i) {
        shape.sizes[i] = format.fmt.pix_mp.plane_fmt[i].sizeimage;
    }
    return shape;
}

/// What SEMANTICS 2 says of the field and the flags, before anything else is looked at.
Result<> check_fence_fields(FileHandle& file, const v4l2_buffer& buffer) {
    if (buffer.flags & V4L2_BUF_FLAG_REQUEST_FD) {
        // There are no requests; videobuf2's answer, unless a fence comes with it.
        return buffer.flags & fence_flags ? fail(-EINVAL, "a request and a fence on one buffer")
                                          : fail(-EBADR, "the queue takes no requests");
    }
    const auto fence_fd = static_cast<std::int32_t>(buffer.reserved2);
    const bool stray = !(buffer.flags & V4L2_BUF_FLAG_IN_FENCE) && fence_fd != 0 && fence_fd != -1;
    if (file.fenced() && stray) {
        return fail(-EINVAL, "fence_fd without IN_FENCE");
    }
    return {};
}

}  // namespace

Result<> check_type(const FileHandle& file, std::uint32_t type) {
    if (type != file.device().buffer_type()) {
        return fail(-EINVAL, "the device has no queue of this type");
    }
    return {};
}

Result<> check_queue_call(FileHandle& file, std::uint32_t type) {
    V4LFENCE_TRY(check_type(file, type));
    if (file.device().file_io().active()) {
        return fail(-EBUSY, "the queue is being read");
    }
    return {};
}

Result<> reqbufs(FileHandle& file, Call& call) {
    auto& request = call.as<v4l2_requestbuffers>();
    VideoDevice& device = file.device();
    request.capabilities = capabilities(file);
    request.flags = 0;
    std::memset(request.reserved, 0, sizeof request.reserved);
    V4LFENCE_TRY(check_queue_call(file, request.type));
    const MemoryKind memory = V4LFENCE_TRY(memory_kind_of(request.memory));
    request.count = V4LFENCE_TRY(device.queue().request_buffers(memory, request.count));
    device.set_owner(request.count > 0 ? &file : nullptr);
    return {};
}

Result<> create_bufs(FileHandle& file, Call& call) {
    auto& request = call.as<v4l2_create_buffers>();
    VideoDevice& device = file.device();
    request.capabilities = capabilities(file);
    request.flags = 0;
    std::memset(request.reserved, 0, sizeof request.reserved);
    V4LFENCE_TRY(check_queue_call(file, request.format.type));
    BufferShape shape;
    // None at all only asks what there is: that is anybody's.
    if (request.count > 0) {
        V4LFENCE_TRY(device.check_owner(file));
        shape = V4LFENCE_TRY(shape_of(request.format));
    }
    const MemoryKind memory = V4LFENCE_TRY(memory_kind_of(request.memory));
    const auto created = V4LFENCE_TRY(device.queue().create_buffers(memory, request.count, shape));
    request.index = created.index;
    request.count = created.count;
    if (created.count > 0) {
        device.set_owner(&file);
    }
    return {};
}

Result<> remove_bufs(FileHandle& file, Call& call) {
    const auto& range = call.as<RemoveBuffers>();
    VideoDevice& device = file.device();
    V4LFENCE_TRY(check_queue_call(file, range.type));
    return device.queue().remove_buffers(range.index, range.count);
}

Result<> querybuf(FileHandle& file, Call& call) {
    auto& buffer = call.as<v4l2_buffer>();
    Queue& queue = file.device().queue();
    V4LFENCE_TRY(check_type(file, buffer.type));
    const BufferReport report = V4LFENCE_TRY(queue.query(buffer.index));
    V4LFENCE_TRY(write_report(report, queue.traits(), buffer));
    v4l2_buffer_fence_fd(&buffer) = buffer.flags & fence_flags ? -1 : 0;
    return {};
}

Result<> prepare_buf(FileHandle& file, Call& call) {
    auto& buffer = call.as<v4l2_buffer>();
    Queue& queue = file.device().queue();
    V4LFENCE_TRY(check_queue_call(file, buffer.type));
    if (buffer.flags & fence_flags) {
        file.become_fenced();
    }
    V4LFENCE_TRY(check_fence_fields(file, buffer));
    const BufferSettings settings = V4LFENCE_TRY(settings_of(call, queue.plane_count()));
    const BufferReport report = V4LFENCE_TRY(queue.prepare(buffer.index, settings));
    return write_report(report, queue.traits(), buffer);
}

/// Step 1, finding the file, was the way in's; the rest is Queue::queue().
Result<> qbuf(FileHandle& file, Call& call) {
    auto& buffer = call.as<v4l2_buffer>();
    Queue& queue = file.device().queue();
    V4LFENCE_TRY(check_queue_call(file, buffer.type));
    const std::uint32_t asked = buffer.flags & fence_flags;
    if (asked != 0) {
        file.become_fenced();
    }
    V4LFENCE_TRY(check_fence_fields(file, buffer));
    const BufferSettings settings = V4LFENCE_TRY(settings_of(call, queue.plane_count()));
    BufferFences fences;
    fences.out = (asked & V4L2_BUF_FLAG_OUT_FENCE) != 0;
    if (asked & V4L2_BUF_FLAG_IN_FENCE) {
        fences.in = call.in_fence;
    }
    auto queued = V4LFENCE_TRY(queue.queue(buffer.index, settings, fences, file.options()));
    V4LFENCE_TRY(write_report(queued.report, queue.traits(), buffer));
    v4l2_buffer_fence_fd(&buffer) = asked != 0 ? -1 : 0;
    call.fd_out = std::move(queued.out_fence);
    return {};
}

Result<> dqbuf(FileHandle& file, Call& call) {
    auto& buffer = call.as<v4l2_buffer>();
    Queue& queue = file.device().queue();
    V4LFENCE_TRY(check_queue_call(file, buffer.type));
    if (V4L2_TYPE_IS_MULTIPLANAR(buffer.type) && queue.has_buffers() &&
        buffer.length < queue.plane_count()) {
        return fail(-EINVAL, "the planes array is too short");
    }
    const BufferReport report = V4LFENCE_TRY(queue.dequeue(call.caller));
    return write_report(report, queue.traits(), buffer);
}

Result<> expbuf(FileHandle& file, Call& call) {
    auto& request = call.as<v4l2_exportbuffer>();
    if (!file.device().queue().can_export()) {
        return fail(-ENOTTY, "this machine cannot make dma-bufs: no udmabuf, dma-heap or vgem");
    }
    V4LFENCE_TRY(check_queue_call(file, request.type));
    if (request.flags & ~static_cast<std::uint32_t>(O_CLOEXEC | O_ACCMODE)) {
        return fail(-EINVAL, "flags of VIDIOC_EXPBUF");
    }
    call.fd_out = V4LFENCE_TRY(file.device().queue().export_plane(request.index, request.plane,
                                                                  static_cast<int>(request.flags)));
    return {};
}

}  // namespace v4lfence::ioctls
