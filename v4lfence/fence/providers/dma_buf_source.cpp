// SPDX-License-Identifier: MIT

#include "v4lfence/fence/providers/dma_buf_source.hpp"

#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>

#include <string_view>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/shortage.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/drm.hpp"
#include "v4lfence/fence/providers/reason.hpp"

namespace v4lfence {

namespace {

constexpr const char* udmabuf_path = "/dev/udmabuf";
constexpr const char* heap_path = "/dev/dma_heap/system";

Result<UniqueFd> from_card(const std::string& path, std::size_t size) {
    const auto card = V4LFENCE_TRY(sys::open(path.c_str(), O_RDWR));
    return drm::create_dumb_dma_buf(card.get(), size);
}

Result<UniqueFd> from_udmabuf(std::size_t size) {
    const auto memory = V4LFENCE_TRY(sys::sealed_memory("v4lfence", size));
    return wrap_in_udmabuf(memory.get(), size);
}

Result<UniqueFd> from_heap(std::size_t size) {
    const auto heap = V4LFENCE_TRY(sys::open(heap_path, O_RDWR));
    dma_heap_allocation_data request{};
    request.len = size;
    request.fd_flags = O_RDWR | O_CLOEXEC;
    V4LFENCE_TRY(sys::ioctl_retry(heap.get(), DMA_HEAP_IOCTL_ALLOC, &request));
    return UniqueFd(static_cast<int>(request.fd));
}

std::string_view device_of(BufferSource source, std::string_view card) {
    switch (source) {
    case BufferSource::VgemCard:
        return card;
    case BufferSource::Udmabuf:
        return udmabuf_path;
    case BufferSource::SystemHeap:
        return heap_path;
    }
    return {};
}

}  // namespace

FoundBufferSource find_buffer_source(std::span<const BufferSource> order, const std::string& card) {
    FoundBufferSource found{fail(-ENODEV, "no source of dma-bufs"), {}};
    for (const BufferSource candidate : order) {
        const std::string_view device = device_of(candidate, card);
        if (device.empty()) {
            continue;
        }
        const auto buffer = allocate_dma_buf(candidate, card, page_size());
        if (buffer) {
            found.source = candidate;
            return found;
        }
        if (!found.tried.empty()) {
            found.tried += "; ";
        }
        found.tried += cannot("make a buffer with", device, buffer.error().code);
        if (!is_shortage(found.source.error().code)) {
            found.source = tl::unexpected<Error>(buffer.error());
        }
    }
    return found;
}

Result<UniqueFd> allocate_dma_buf(BufferSource source, const std::string& card, std::size_t size) {
    switch (source) {
    case BufferSource::VgemCard:
        return from_card(card, size);
    case BufferSource::Udmabuf:
        return from_udmabuf(size);
    case BufferSource::SystemHeap:
        return from_heap(size);
    }
    return fail(-EINVAL, "no such buffer source");
}

Result<UniqueFd> wrap_in_udmabuf(int memory, std::size_t size) {
    const auto device = V4LFENCE_TRY(sys::open(udmabuf_path, O_RDWR));
    udmabuf_create request{};
    request.memfd = static_cast<std::uint32_t>(memory);
    request.flags = UDMABUF_FLAGS_CLOEXEC;
    request.size = size;
    return UniqueFd(V4LFENCE_TRY(sys::ioctl_retry(device.get(), UDMABUF_CREATE, &request)));
}

}  // namespace v4lfence
