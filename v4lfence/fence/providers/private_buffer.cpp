// SPDX-License-Identifier: MIT

#include "v4lfence/fence/providers/private_buffer.hpp"

#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/drm.hpp"
#include "v4lfence/fence/providers/reason.hpp"

namespace v4lfence {

namespace {

constexpr const char* udmabuf_path = "/dev/udmabuf";
constexpr const char* heap_path = "/dev/dma_heap/system";

std::size_t page_size() {
    return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

Result<UniqueFd> from_card(const std::string& path) {
    const auto card = V4LFENCE_TRY(sys::open(path.c_str(), O_RDWR));
    return drm::create_dumb_dma_buf(card.get());
}

Result<UniqueFd> from_udmabuf() {
    const auto device = V4LFENCE_TRY(sys::open(udmabuf_path, O_RDWR));
    const auto memory = V4LFENCE_TRY(sys::sealed_memory("v4lfence", page_size()));
    udmabuf_create request{};
    request.memfd = static_cast<std::uint32_t>(memory.get());
    request.flags = UDMABUF_FLAGS_CLOEXEC;
    request.size = page_size();
    return UniqueFd(V4LFENCE_TRY(sys::ioctl_retry(device.get(), UDMABUF_CREATE, &request)));
}

Result<UniqueFd> from_heap() {
    const auto heap = V4LFENCE_TRY(sys::open(heap_path, O_RDWR));
    dma_heap_allocation_data request{};
    request.len = page_size();
    request.fd_flags = O_RDWR | O_CLOEXEC;
    V4LFENCE_TRY(sys::ioctl_retry(heap.get(), DMA_HEAP_IOCTL_ALLOC, &request));
    return UniqueFd(static_cast<int>(request.fd));
}

}  // namespace

PrivateBuffers::PrivateBuffers(BufferSource source, std::string card)
    : source_(source), card_(std::move(card)) {}

Result<UniqueFd> PrivateBuffers::make() const {
    switch (source_) {
    case BufferSource::VgemCard:
        return from_card(card_).map(sys::move_high);
    case BufferSource::Udmabuf:
        return from_udmabuf().map(sys::move_high);
    case BufferSource::SystemHeap:
        return from_heap().map(sys::move_high);
    }
    return fail(-EINVAL, "no such buffer source");
}

FoundBufferSource PrivateBuffers::find(const std::string& card) {
    struct Candidate {
        BufferSource source;
        std::string_view path;
    };
    const std::array<Candidate, 3> candidates{{
        {BufferSource::VgemCard, card},
        {BufferSource::Udmabuf, udmabuf_path},
        {BufferSource::SystemHeap, heap_path},
    }};
    FoundBufferSource found{fail(-ENODEV, "no source of dma-bufs"), {}};
    for (const Candidate& candidate : candidates) {
        if (candidate.path.empty()) {
            continue;
        }
        const auto buffer = PrivateBuffers(candidate.source, card).make();
        if (buffer) {
            found.source = candidate.source;
            return found;
        }
        if (!found.tried.empty()) {
            found.tried += "; ";
        }
        found.tried += cannot("make a buffer with", candidate.path, buffer.error().code);
        found.source = tl::unexpected<Error>(buffer.error());
    }
    return found;
}

}  // namespace v4lfence
