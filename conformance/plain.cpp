// SPDX-License-Identifier: MIT

#include "conformance/plain.hpp"

namespace v4lfence {

Checked<Stream> open_plain(Rig& rig, StreamOptions options) {
    options.fenced = false;
    return Stream::open(rig, options);
}

Checked<Stream> stream_plain(Rig& rig, StreamOptions options) {
    Stream stream = TRY(open_plain(rig, options));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    return stream;
}

v4l2_requestbuffers request_for(const Rig& rig, unsigned count, std::uint32_t memory) {
    v4l2_requestbuffers request{};
    request.count = count;
    request.type = rig.facts().type;
    request.memory = memory;
    return request;
}

Checked<v4l2_create_buffers> creation_for(const Rig& rig, const Device& device, unsigned count,
                                          std::uint32_t memory) {
    v4l2_create_buffers create{};
    create.count = count;
    create.memory = memory;
    create.format.type = rig.facts().type;
    TRY(answers(device.ioctl(VIDIOC_G_FMT, &create.format), 0, "G_FMT"));
    return create;
}

Checked<> release_buffers(const Rig& rig, const Device& device) {
    v4l2_requestbuffers request = request_for(rig, 0);
    return answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS of no buffers");
}

void address_queue(const Rig& rig, BufferArgument& argument, unsigned index) {
    argument.buffer.type = rig.facts().type;
    argument.buffer.memory = V4L2_MEMORY_MMAP;
    argument.buffer.index = index;
    if (rig.facts().multi_planar) {
        argument.buffer.m.planes = argument.planes.data();
        argument.buffer.length = VIDEO_MAX_PLANES;
    }
}

Checked<> stream_frames(Stream& stream, unsigned frames) {
    for (unsigned frame = 0; frame < frames; ++frame) {
        const unsigned index = TRY(stream.dequeue()).index;
        TRY(stream.queue(index));
    }
    return {};
}

Checked<> run_dry(const Rig& rig, Stream& stream) {
    if (rig.facts().keeps > 0) {
        return skipped("the driver keeps its last buffers");
    }
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.dequeue());
    }
    return {};
}

Checked<> refuses_without_buffers(int result, int error, std::string_view what) {
    return result == -EBUSY ? Checked<>() : answers(result, error, what);
}

Checked<> has_remove_buffers(const Rig& rig) {
    constexpr std::uint32_t supports_remove_buffers = 1U << 8;
    if ((rig.facts().memory & supports_remove_buffers) == 0) {
        return skipped("the kernel has no REMOVE_BUFS for this queue");
    }
    return {};
}

}  // namespace v4lfence
