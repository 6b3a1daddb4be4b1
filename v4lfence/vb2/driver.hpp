// SPDX-License-Identifier: MIT
//
// Driver: what a device does with buffers. Names, order and meaning are those of videobuf2's
// struct vb2_ops.

#pragma once

#include <array>
#include <cstdint>

#include "v4lfence/vb2/buffer.hpp"

namespace v4lfence {

/// What the buffers of a queue look like.
struct BufferShape {
    unsigned plane_count = 1;
    std::array<std::uint32_t, planes_max> sizes{};  ///< Bytes of each plane.
};

/// What a queue is, for as long as it exists.
struct QueueTraits {
    DeviceAccess access = DeviceAccess::Write;
    unsigned memory_kinds = 0;     ///< MemoryKind bits, see memory_bit().
    unsigned minimum_queued = 0;   ///< Ready buffers without which the stream does not start.
    unsigned minimum_buffers = 1;  ///< REQBUFS makes at least as many.
    unsigned buffers_max = 64;
    bool copies_timestamp = false;    ///< From the output side, instead of taking the time itself.
    bool timestamp_is_start = false;  ///< Of the exposure; else the end of the frame.
    bool readable = false;            ///< read() or write() too.
};

constexpr unsigned memory_bit(MemoryKind kind) {
    return 1U << static_cast<unsigned>(kind);
}

/// Thread: as said of each; never two of the first group at once, never two of the second. No lock
/// that a completion or QUERYBUF needs is held during any call, and none that DQBUF needs but
/// during buf_finish(). A call of the first group is not to call the queue.
class Driver {
public:
    virtual ~Driver() = default;

    // On the program's thread, serialized with each other.

    /// REQBUFS and CREATE_BUFS: the shape that buffers need now. `wanted` NULL, or what CREATE_BUFS
    /// asks for: larger is fine, and returned; smaller or of another plane count is EINVAL.
    /// `count` may be raised or lowered.
    virtual Result<BufferShape> queue_setup(unsigned& count, const BufferShape* wanted) = 0;

    /// The first time a buffer's memory is seen, and after it changed.
    virtual Result<> buf_init(const BufferMemory& /*memory*/) { return {}; }

    /// PREPARE_BUF, or the QBUF of an unprepared buffer. An error is the ioctl's.
    virtual Result<> buf_prepare(const BufferMemory& /*memory*/, const BufferSettings& /*buffer*/) {
        return {};
    }

    /// The program gets back what was prepared: by DQBUF (then beside the others, for another
    /// buffer), by the end of the stream, or by a QBUF that fails after all.
    virtual void buf_finish(unsigned /*index*/) {}

    // By whoever holds the token: the program's thread or that of the fences.

    /// The driver's from now on; before the start for as many as start_streaming() is told of.
    /// ActiveBuffer::requeue() calls it too, on its own thread, beside the others.
    virtual void buf_queue(ActiveBuffer buffer) = 0;

    /// On an error the buffers given so far go back into line: the driver drops what it has, and
    /// what it has finished was finished when this returns.
    virtual Result<> start_streaming(unsigned count) = 0;

    /// When it returns the driver touches no buffer any more. Those it finishes meanwhile count as
    /// finished; those it drops do not. By the thread that ends the stream or the device; also of a
    /// stream that was not started, if buffers were given for it.
    virtual void stop_streaming() = 0;
};

}  // namespace v4lfence
