// SPDX-License-Identifier: MIT
//
// What the cases of stock videobuf2 share. Their files never use a fence.

#pragma once

#include <cstdint>
#include <string>

#include "conformance/check.hpp"
#include "conformance/device.hpp"
#include "conformance/rig.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

/// A file with buffers that has never heard of fences.
Checked<Stream> open_plain(Rig& rig, StreamOptions options = {});

/// The same, with every buffer queued and the stream on.
Checked<Stream> stream_plain(Rig& rig, StreamOptions options = {});

v4l2_requestbuffers request_for(const Rig& rig, unsigned count,
                                std::uint32_t memory = V4L2_MEMORY_MMAP);

/// CREATE_BUFS of the format as it is.
Checked<v4l2_create_buffers> creation_for(const Rig& rig, const Device& device, unsigned count,
                                          std::uint32_t memory = V4L2_MEMORY_MMAP);

/// REQBUFS of no buffers. Whoever had any becomes the owner of nothing.
Checked<> release_buffers(const Rig& rig, const Device& device);

/// An argument of this queue for calls on a file that has no buffers.
void address_queue(const Rig& rig, BufferArgument& argument, unsigned index = 0);

/// Fetches frames and queues each again.
Checked<> stream_frames(Stream& stream, unsigned frames);

/// Fetches what comes back while nothing is queued again.
Checked<> run_dry(const Rig& rig, Stream& stream);

/// The status of a REQBUFS, QBUF or the like with an errno that depends on the driver: uvcvideo
/// answers EBUSY to a handle without buffers before it looks at anything else.
Checked<> refuses_without_buffers(int result, int error, std::string_view what);

/// struct v4l2_remove_buffers of Linux 6.10.
struct RemoveBuffers {
    std::uint32_t index;
    std::uint32_t count;
    std::uint32_t type;
    std::uint32_t reserved[13];
};
inline constexpr unsigned long remove_buffers_request = _IOWR('V', 104, RemoveBuffers);

/// Skipped where the kernel does not say that the queue has REMOVE_BUFS.
Checked<> has_remove_buffers(const Rig& rig);

}  // namespace v4lfence
