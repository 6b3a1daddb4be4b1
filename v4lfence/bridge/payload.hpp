// SPDX-License-Identifier: MIT
//
// Payload: what one QBUF carries, kept until the kernel may have it: the v4l2_buffer, its planes,
// and for DMABUF a hold on each plane's memory, so that the program may close its own descriptors
// (SEMANTICS 6.5).

#pragma once

#include <linux/videodev2.h>

#include <array>
#include <cstdint>
#include <mutex>

#include "v4lfence/base/pointer.hpp"
#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/uapi/fence_query.hpp"

namespace v4lfence {

bool is_multiplanar(std::uint32_t buffer_type);

/// A v4l2_buffer together with the planes it points to.
struct BufferCopy {
    BufferCopy() = default;
    explicit BufferCopy(const v4l2_buffer& source) { *this = source; }
    BufferCopy(const BufferCopy& other) { *this = other.buffer; }
    BufferCopy& operator=(const BufferCopy& other) { return *this = other.buffer; }
    BufferCopy& operator=(const v4l2_buffer& source);

    /// An empty one to ask the kernel with.
    static BufferCopy query(std::uint32_t type, std::uint32_t index);

    /// Writes all of it over `target`, whose planes are the caller's.
    void write_to(v4l2_buffer& target) const;

    /// Planes of memory: 1 for single-planar types.
    unsigned plane_count() const;
    int memory_fd(unsigned plane) const;
    void set_memory_fd(unsigned plane, int fd);

    v4l2_buffer buffer{};
    std::array<v4l2_plane, VIDEO_MAX_PLANES> planes{};
};

/// Thread: every member may be called from any thread.
class Payload {
public:
    /// Copies what the program passed, without our flags and field. `buffer` was checked. `hold`:
    /// the memory of each DMABUF plane is held by descriptors of our own. The queue's buffers have
    /// `planes`; what a program passes beyond means nothing, as to the kernel. Errors: EINVAL one
    /// is no descriptor; EMFILE.
    Result<> assign(const v4l2_buffer& buffer, unsigned planes, bool hold);

    /// For the kernel.
    BufferCopy for_kernel() const;

    /// The kernel has its own hold now, or nobody wants it any more.
    void drop_memory();

    /// Puts the program's own descriptor numbers where the kernel reports ours.
    void restore_numbers(v4l2_buffer& buffer) const;

    /// Writes the program's fields over those of a buffer that the kernel has not seen.
    void show_in(v4l2_buffer& buffer) const;

private:
    void restore_numbers_locked(v4l2_buffer& buffer) const;

    mutable std::mutex mutex_;
    BufferCopy copy_;  ///< As the program passed it.
    std::array<UniqueFd, VIDEO_MAX_PLANES> memory_;
    unsigned held_planes_ = 0;
};

}  // namespace v4lfence
