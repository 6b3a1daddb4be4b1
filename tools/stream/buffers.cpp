// SPDX-License-Identifier: MIT

#include "tools/stream/buffers.hpp"

#include <fmt/format.h>
#include <linux/dma-buf.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "tools/stream/dma_memory.hpp"
#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

tl::unexpected<Failure> no_memory_type(const Camera& camera, std::uint32_t memory, int code) {
    if (code == -EBUSY) {
        return job_failed("the device's buffers are in use: another program is streaming from it.");
    }
    return machine_lacks(fmt::format("--memory {}: the driver {} gives no such buffers: {}.",
                                     memory_name(memory), camera.driver(), errno_text(code)));
}

}  // namespace

IoctlBuffer::IoctlBuffer(const CaptureFormat& format, std::uint32_t memory, unsigned index) {
    buffer_.type = format.type;
    buffer_.memory = memory;
    buffer_.index = index;
    if (format.multiplanar()) {
        buffer_.m.planes = planes_.data();
        buffer_.length = static_cast<std::uint32_t>(planes_.size());
    }
}

std::size_t IoctlBuffer::bytes_used(unsigned plane) const {
    if (buffer_.type != V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE) {
        return buffer_.bytesused;
    }
    const v4l2_plane& filled = planes_[plane];
    return filled.bytesused - std::min(filled.data_offset, filled.bytesused);
}

Attempt<BufferPool> BufferPool::create(const Camera& camera, std::uint32_t memory, unsigned count) {
    v4l2_requestbuffers request{};
    request.count = count;
    request.type = camera.format().type;
    request.memory = memory;
    if (const auto asked = camera.file().ioctl(VIDIOC_REQBUFS, &request); !asked) {
        return no_memory_type(camera, memory, asked.error().code);
    }
    BufferPool pool(camera, memory);
    pool.buffers_.resize(request.count);
    for (auto& planes : pool.buffers_) {
        planes.resize(camera.format().planes.size());
    }
    Attempt<> done;
    if (memory == V4L2_MEMORY_USERPTR) {
        done = pool.allocate_pages();
    } else if (memory == V4L2_MEMORY_DMABUF) {
        done = pool.allocate_dma_bufs();
    } else {
        for (unsigned index = 0; index < request.count && done; ++index) {
            done = pool.map_buffer(index);
        }
    }
    if (!done) {
        return tl::unexpected(done.error());
    }
    return pool;
}

BufferPool::~BufferPool() {
    if (buffers_.empty()) {
        return;
    }
    buffers_.clear();
    v4l2_requestbuffers request{};
    request.type = camera_->format().type;
    request.memory = memory_;
    // A device that went away has freed them itself.
    static_cast<void>(camera_->file().ioctl(VIDIOC_REQBUFS, &request));
}

Attempt<> BufferPool::map_buffer(unsigned index) {
    IoctlBuffer argument(camera_->format(), memory_, index);
    const auto asked = camera_->file().ioctl(VIDIOC_QUERYBUF, argument.get());
    if (!asked) {
        return job_failed(fmt::format("buffer {}: {}.", index, errno_text(asked.error().code)));
    }
    for (unsigned plane = 0; plane < buffers_[index].size(); ++plane) {
        const bool multiplanar = camera_->format().multiplanar();
        const auto size = multiplanar ? argument.plane(plane).length : argument->length;
        const auto offset = multiplanar ? argument.plane(plane).m.mem_offset : argument->m.offset;
        auto mapping = Mapping::create(camera_->file().fd(), size, offset);
        if (!mapping) {
            return job_failed(fmt::format("buffer {} cannot be mapped: {}.", index,
                                          errno_text(mapping.error().code)));
        }
        buffers_[index][plane].mapping = std::move(*mapping);
    }
    return {};
}

Attempt<> BufferPool::allocate_pages() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    for (auto& planes : buffers_) {
        for (std::size_t plane = 0; plane < planes.size(); ++plane) {
            const std::size_t size = camera_->format().planes[plane].size;
            const std::size_t whole_pages = (size + page - 1) / page * page;
            planes[plane].pages.reset(
                static_cast<std::byte*>(std::aligned_alloc(page, whole_pages)));
            planes[plane].size = size;
            if (!planes[plane].pages) {
                return job_failed("there is not enough memory for the buffers.");
            }
        }
    }
    return {};
}

Attempt<> BufferPool::allocate_dma_bufs() {
    auto source = DmaMemory::open();
    if (!source) {
        return tl::unexpected(source.error());
    }
    for (auto& planes : buffers_) {
        for (std::size_t plane = 0; plane < planes.size(); ++plane) {
            const std::size_t size = camera_->format().planes[plane].size;
            auto memory = (*source)->allocate(size);
            if (!memory) {
                return job_failed(fmt::format("no dma-buf of {} bytes: {}.", size,
                                              errno_text(memory.error().code)));
            }
            auto mapping = Mapping::create(memory->get(), size, 0);
            if (!mapping) {
                return job_failed(fmt::format("a dma-buf cannot be mapped: {}.",
                                              errno_text(mapping.error().code)));
            }
            planes[plane].mapping = std::move(*mapping);
            planes[plane].dma_buf = std::move(*memory);
        }
    }
    return {};
}

void BufferPool::attach(unsigned index, IoctlBuffer& argument) const {
    if (memory_ == V4L2_MEMORY_MMAP) {
        return;
    }
    const std::vector<Plane>& planes = buffers_[index];
    const bool multiplanar = camera_->format().multiplanar();
    if (multiplanar) {
        argument->length = static_cast<std::uint32_t>(planes.size());
    }
    for (unsigned plane = 0; plane < planes.size(); ++plane) {
        const std::span<std::byte> bytes = planes[plane].bytes();
        auto& length = multiplanar ? argument.plane(plane).length : argument->length;
        length = static_cast<std::uint32_t>(bytes.size());
        if (memory_ == V4L2_MEMORY_DMABUF) {
            (multiplanar ? argument.plane(plane).m.fd : argument->m.fd) =
                planes[plane].dma_buf.get();
        } else {
            (multiplanar ? argument.plane(plane).m.userptr : argument->m.userptr) =
                reinterpret_cast<unsigned long>(bytes.data());
        }
    }
}

void BufferPool::begin_read(unsigned index) const {
    sync_dma_bufs(index, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
}

void BufferPool::end_read(unsigned index) const {
    sync_dma_bufs(index, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
}

void BufferPool::sync_dma_bufs(unsigned index, std::uint64_t flags) const {
    if (memory_ != V4L2_MEMORY_DMABUF) {
        return;
    }
    for (const Plane& plane : buffers_[index]) {
        dma_buf_sync request{flags};
        // Not every exporter has caches to look after.
        static_cast<void>(sys::ioctl_retry(plane.dma_buf.get(), DMA_BUF_IOCTL_SYNC, &request));
    }
}

void BufferPool::FreeMemory::operator()(std::byte* memory) const {
    std::free(memory);
}

}  // namespace v4lfence
