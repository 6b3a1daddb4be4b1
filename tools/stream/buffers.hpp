// SPDX-License-Identifier: MIT
//
// The buffers of a capture queue: their memory, and how they are named in an ioctl.

#pragma once

#include <linux/videodev2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tools/failure.hpp"
#include "tools/stream/camera.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// A v4l2_buffer with room for its planes. Stays where it is: the one points to the other.
class IoctlBuffer {
public:
    IoctlBuffer(const CaptureFormat& format, std::uint32_t memory, unsigned index = 0);
    IoctlBuffer(const IoctlBuffer&) = delete;
    IoctlBuffer& operator=(const IoctlBuffer&) = delete;

    v4l2_buffer* operator->() { return &buffer_; }
    v4l2_buffer* get() { return &buffer_; }
    v4l2_plane& plane(unsigned index) { return planes_[index]; }

    /// Bytes of image data in one plane, as the driver filled it in: from its offset on.
    std::size_t bytes_used(unsigned plane) const;
    /// Zeros where buffers have no planes of their own.
    DataOffsets data_offsets() const;
    std::int64_t timestamp_ns() const;

private:
    v4l2_buffer buffer_{};
    std::array<v4l2_plane, VIDEO_MAX_PLANES> planes_{};
};

/// Owns the memory of all buffers; frees them in the driver too. The Camera must outlive it.
class BufferPool {
public:
    /// Fails with a sentence: the memory type is not there, another program streams.
    static Attempt<BufferPool> create(const Camera& camera, std::uint32_t memory, unsigned count);

    /// Memory of another device, a dma-buf for each plane of each buffer. Where one cannot be
    /// mapped its plane() is empty. Fails with a sentence.
    static Attempt<BufferPool> adopt(const Camera& camera,
                                     std::vector<std::vector<UniqueFd>> dma_bufs);

    BufferPool(BufferPool&&) noexcept = default;
    BufferPool& operator=(BufferPool&&) = delete;
    ~BufferPool();

    unsigned count() const { return static_cast<unsigned>(buffers_.size()); }
    std::uint32_t memory() const { return memory_; }

    /// Fills in what QBUF needs of the buffer's memory.
    void attach(unsigned index, IoctlBuffer& argument) const;

    std::span<std::byte> plane(unsigned index, unsigned plane) const {
        return buffers_[index][plane].bytes();
    }

    /// A dma-buf of a buffer that the driver allocated (mmap), the caller's. Errors: as
    /// VIDIOC_EXPBUF.
    Result<UniqueFd> export_plane(unsigned index, unsigned plane) const;

    /// The dma-buf that a buffer was queued with (dmabuf); borrowed.
    int dma_buf(unsigned index, unsigned plane) const {
        return buffers_[index][plane].dma_buf.get();
    }

    /// The CPU reads the buffer between these; only dma-bufs need to know.
    void begin_read(unsigned index) const;
    void end_read(unsigned index) const;

private:
    struct FreeMemory {
        void operator()(std::byte* memory) const;
    };
    struct Plane {
        Mapping mapping;  ///< mmap, dmabuf; empty where memory of others cannot be mapped
        std::unique_ptr<std::byte, FreeMemory> pages;  ///< userptr
        std::size_t size = 0;                          ///< userptr, dmabuf
        UniqueFd dma_buf;

        std::span<std::byte> bytes() const {
            return pages ? std::span(pages.get(), size) : mapping.bytes();
        }
    };

    BufferPool(const Camera& camera, std::uint32_t memory) : camera_(&camera), memory_(memory) {}

    /// Asks the driver for them; their planes are empty. Fails with a sentence.
    static Attempt<BufferPool> request(const Camera& camera, std::uint32_t memory, unsigned count);
    Attempt<> map_buffer(unsigned index);
    Attempt<> allocate_pages();
    Attempt<> allocate_dma_bufs();
    void sync_dma_bufs(unsigned index, std::uint64_t flags) const;

    const Camera* camera_;
    std::uint32_t memory_;
    std::vector<std::vector<Plane>> buffers_;
};

}  // namespace v4lfence
