// SPDX-License-Identifier: MIT

#include "tools/stream/buffers.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/dma-buf.h>
#include <unistd.h>

#include <algorithm>
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
    return machine_lacks(fmt::format("the driver {} takes no buffers of the memory {}: {}.",
                                     camera.driver(), memory_name(memory), errno_text(code)));
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

DataOffsets IoctlBuffer::data_offsets() const {
    DataOffsets offsets{};
    if (buffer_.type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE) {
        std::transform(planes_.begin(), planes_.end(), offsets.begin(),
                       [](const v4l2_plane& plane) { return plane.data_offset; });
    }
    return offsets;
}

std::int64_t IoctlBuffer::timestamp_ns() const {
    return std::int64_t{buffer_.timestamp.tv_sec} * 1'000'000'000 +
           std::int64_t{buffer_.timestamp.tv_usec} * 1'000;
}

Attempt<BufferPool> BufferPool::request(const Camera& camera, std::uint32_t memory,
                                        unsigned count) {
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
    return pool;
}

Attempt<BufferPool> BufferPool::create(const Camera& camera, std::uint32_t memory, unsigned count) {
    auto pool = request(camera, memory, count);
    if (!pool) {
        return pool;
    }
    Attempt<> done;
    if (memory == V4L2_MEMORY_USERPTR) {
        done = pool->allocate_pages();
    } else if (memory == V4L2_MEMORY_DMABUF) {
        done = pool->allocate_dma_bufs();
    } else {
        for (unsigned index = 0; index < pool->count() && done; ++index) {
            done = pool->map_buffer(index);
        }
    }
    if (!done) {
        return tl::unexpected(done.error());
    }
    return pool;
}

Attempt<BufferPool> BufferPool::adopt(const Camera& camera,
                                      std::vector<std::vector<UniqueFd>> dma_bufs) {
    auto pool = request(camera, V4L2_MEMORY_DMABUF, static_cast<unsigned>(dma_bufs.size()));
    if (!pool) {
        return pool;
    }
    if (pool->count() > dma_bufs.size()) {
        return machine_lacks(fmt::format("the driver {} wants {} buffers and there are {}.",
                                         camera.driver(), pool->count(), dma_bufs.size()));
    }
    for (unsigned index = 0; index < pool->count(); ++index) {
        for (std::size_t at = 0; at < pool->buffers_[index].size(); ++at) {
            Plane& plane = pool->buffers_[index][at];
            plane.dma_buf = std::move(dma_bufs[index][at]);
            const auto status = sys::fstat(plane.dma_buf.get());
            plane.size = status ? static_cast<std::size_t>(status->st_size) : 0;
            if (plane.size < camera.format().planes[at].size) {
                return machine_lacks(fmt::format(
                    "a frame of {} bytes does not fit into the {} bytes of a foreign buffer.",
                    camera.format().planes[at].size, plane.size));
            }
            if (auto mapping = Mapping::create(plane.dma_buf.get(), plane.size, 0)) {
                plane.mapping = std::move(*mapping);
            }
        }
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
            planes[plane].size = size;
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
        auto& length = multiplanar ? argument.plane(plane).length : argument->length;
        length = static_cast<std::uint32_t>(planes[plane].size);
        if (memory_ == V4L2_MEMORY_DMABUF) {
            (multiplanar ? argument.plane(plane).m.fd : argument->m.fd) =
                planes[plane].dma_buf.get();
        } else {
            (multiplanar ? argument.plane(plane).m.userptr : argument->m.userptr) =
                reinterpret_cast<unsigned long>(planes[plane].bytes().data());
        }
    }
}

Result<UniqueFd> BufferPool::export_plane(unsigned index, unsigned plane) const {
    v4l2_exportbuffer request{};
    request.type = camera_->format().type;
    request.index = index;
    request.plane = plane;
    request.flags = O_CLOEXEC | O_RDWR;
    V4LFENCE_TRY(camera_->file().ioctl(VIDIOC_EXPBUF, &request));
    return UniqueFd(request.fd);
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
        sync_dma_buf(plane.dma_buf.get(), flags);
    }
}

void BufferPool::FreeMemory::operator()(std::byte* memory) const {
    std::free(memory);
}

}  // namespace v4lfence
