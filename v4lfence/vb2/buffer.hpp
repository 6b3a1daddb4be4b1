// SPDX-License-Identifier: MIT
//
// What a program says of a buffer, what it is told of one, and the driver's turn with it.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "v4lfence/base/time.hpp"
#include "v4lfence/sync/line.hpp"
#include "v4lfence/vb2/memory.hpp"

namespace v4lfence {

class Queue;

/// VIDEO_MAX_PLANES
inline constexpr unsigned planes_max = 8;

/// One plane, as PREPARE_BUF and QBUF pass it. Bytes.
struct PlaneSettings {
    std::uint32_t bytes_used = 0;   ///< Output: how much is meant; 0: all.
    std::uint32_t data_offset = 0;  ///< Output.
    std::uint32_t length = 0;       ///< Userptr, Dmabuf; 0 with Dmabuf: all of it.
    std::uintptr_t address = 0;     ///< Userptr.
    int fd = -1;                    ///< Dmabuf; borrowed for the call.
    int program_fd = -1;            ///< Dmabuf: the program's own number of it, to be shown.
};

/// A buffer, as PREPARE_BUF and QBUF pass it.
struct BufferSettings {
    MemoryKind memory = MemoryKind::Mmap;
    unsigned plane_count = 1;
    std::array<PlaneSettings, planes_max> planes{};
    std::int64_t timestamp_ns = 0;  ///< Output queues whose driver copies it to its capture side.
    std::uint32_t field = 0;        ///< enum v4l2_field; output.
    /// Bits that are the program's to set and the driver's to read: key frame, time code, ...
    std::uint32_t flags = 0;
    /// Userptr: whose memory the addresses are of; NULL: this process's.
    std::shared_ptr<const ProgramMemory> program = {};
};

/// What the driver says of a buffer it has finished.
struct FinishedBuffer {
    std::array<std::uint32_t, planes_max> bytes_used{};
    std::uint32_t sequence = 0;
    std::int64_t timestamp_ns = 0;  ///< CLOCK_MONOTONIC
    std::uint32_t field = 0;        ///< enum v4l2_field
    std::uint32_t flags = 0;
    bool last = false;  ///< Nothing follows: DQBUF says EPIPE until the stream is stopped.
};

/// A buffer, as QBUF, QUERYBUF, PREPARE_BUF and DQBUF show it.
struct BufferReport {
    enum class State : std::uint8_t {
        Dequeued,
        Queued,
        Done,  ///< Finished, and not fetched yet.
    };
    struct Plane {
        std::uint32_t bytes_used = 0;
        std::uint32_t data_offset = 0;
        std::uint32_t length = 0;
        std::uint32_t offset = 0;    ///< Mmap: what mmap() wants.
        std::uintptr_t address = 0;  ///< Userptr.
        int fd = -1;                 ///< Dmabuf: the program's own number.
    };

    unsigned index = 0;
    MemoryKind memory = MemoryKind::Mmap;
    State state = State::Dequeued;
    bool prepared = false;
    bool mapped = false;
    bool error = false;
    bool last = false;
    bool in_fence_pending = false;
    bool out_fence_pending = false;
    unsigned plane_count = 1;
    std::array<Plane, planes_max> planes{};
    std::uint32_t sequence = 0;
    std::int64_t timestamp_ns = 0;
    std::uint32_t field = 0;
    std::uint32_t flags = 0;
};

/// The memory of one buffer. Shared, so that it outlives REQBUFS while a driver is still at it.
struct BufferMemory {
    unsigned index = 0;
    unsigned plane_count = 0;
    std::array<std::unique_ptr<PlaneMemory>, planes_max> planes;
    std::atomic<unsigned> mappings{0};  ///< The program's.
};

/// One giving of a job to the driver. A job may be given again, after a start that failed.
struct Handover {
    Job job;
    std::uint64_t number = 0;  ///< Never that of another one; 0: none.
};

/// The driver's turn with a buffer: made by the gate, moved, used up once. Dropping it unfinished
/// ends the buffer as an error (-EIO): a driver can neither forget a buffer nor finish one twice.
/// After the stream was stopped it does nothing, and its memory is still there.
///
/// The Queue must outlive it. Thread: one at a time.
class [[nodiscard]] ActiveBuffer {
public:
    ActiveBuffer(ActiveBuffer&& other) noexcept;
    ActiveBuffer& operator=(ActiveBuffer&& other) noexcept;
    ActiveBuffer(const ActiveBuffer&) = delete;
    ActiveBuffer& operator=(const ActiveBuffer&) = delete;
    ~ActiveBuffer();

    unsigned index() const noexcept { return handover_.job.index; }
    unsigned plane_count() const noexcept { return memory_->plane_count; }

    /// Mapped for the CPU, all of it. Output: settings() say which part is meant.
    std::span<std::byte> plane(unsigned plane) const;

    /// Output: what came with it; no bytes_used is 0.
    BufferSettings settings() const;

    /// Around any access to the planes. Errors: EFAULT the program has unmapped them; what the
    /// dma-buf's exporter says.
    Result<> begin_access();
    /// What is written to memory that the CPU cannot reach goes there now. Where that fails done()
    /// becomes fail().
    void end_access();

    /// It is finished. When this returns its out-fence has ended (on an ordered queue: once the
    /// earlier ones have) and the program may have the buffer.
    void done(const FinishedBuffer& finished) &&;
    /// It is finished, and bad: negative errno, with which its out-fence fails.
    void fail(int error, const FinishedBuffer& finished) &&;
    /// The driver wants it again, unchanged. A promise was made for a buffer with an out-fence, so
    /// that one ends as an error (SEMANTICS 5.3).
    void requeue() &&;

private:
    friend class Queue;
    ActiveBuffer(Queue& queue, Handover handover, std::shared_ptr<BufferMemory> memory) noexcept
        : queue_(&queue), handover_(handover), memory_(std::move(memory)) {}

    Queue* queue_;  ///< NULL once it is used up.
    Handover handover_;
    std::shared_ptr<BufferMemory> memory_;
    bool accessing_ = false;
    int access_error_ = 0;  ///< Of end_access().
};

}  // namespace v4lfence
