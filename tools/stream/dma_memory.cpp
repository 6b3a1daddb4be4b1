// SPDX-License-Identifier: MIT

#include "tools/stream/dma_memory.hpp"

#include <drm.h>
#include <drm_mode.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <unistd.h>

#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

class HeapMemory final : public DmaMemory {
public:
    explicit HeapMemory(UniqueFd heap) : heap_(std::move(heap)) {}

    Result<UniqueFd> allocate(std::size_t size) override {
        dma_heap_allocation_data request{};
        request.len = size;
        request.fd_flags = O_RDWR | O_CLOEXEC;
        V4LFENCE_TRY(sys::ioctl_retry(heap_.get(), DMA_HEAP_IOCTL_ALLOC, &request));
        return UniqueFd(static_cast<int>(request.fd));
    }

private:
    UniqueFd heap_;
};

class UserMemory final : public DmaMemory {
public:
    explicit UserMemory(UniqueFd device) : device_(std::move(device)) {}

    Result<UniqueFd> allocate(std::size_t size) override {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        const std::size_t whole_pages = (size + page - 1) / page * page;
        const UniqueFd memory = V4LFENCE_TRY(sys::sealed_memory("v4lfence", whole_pages));
        udmabuf_create request{};
        request.memfd = static_cast<__u32>(memory.get());
        request.flags = UDMABUF_FLAGS_CLOEXEC;
        request.size = whole_pages;
        return UniqueFd(V4LFENCE_TRY(sys::ioctl_retry(device_.get(), UDMABUF_CREATE, &request)));
    }

private:
    UniqueFd device_;
};

class DumbMemory final : public DmaMemory {
public:
    explicit DumbMemory(UniqueFd card) : card_(std::move(card)) {}

    Result<UniqueFd> allocate(std::size_t size) override {
        // A dumb buffer is a picture: one of 32 bits a pixel with a row of a page.
        constexpr unsigned row_pixels = 1024;
        constexpr std::size_t row_bytes = row_pixels * 4;
        drm_mode_create_dumb request{};
        request.width = row_pixels;
        request.height = static_cast<__u32>((size + row_bytes - 1) / row_bytes);
        request.bpp = 32;
        V4LFENCE_TRY(sys::ioctl_retry(card_.get(), DRM_IOCTL_MODE_CREATE_DUMB, &request));
        drm_prime_handle prime{};
        prime.handle = request.handle;
        prime.flags = DRM_CLOEXEC | DRM_RDWR;
        const auto exported = sys::ioctl_retry(card_.get(), DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
        // The dma-buf keeps the memory; the handle is not needed any more.
        drm_mode_destroy_dumb destroy{request.handle};
        static_cast<void>(sys::ioctl_retry(card_.get(), DRM_IOCTL_MODE_DESTROY_DUMB, &destroy));
        if (!exported) {
            return tl::unexpected(exported.error());
        }
        return UniqueFd(prime.fd);
    }

private:
    UniqueFd card_;
};

template <class Source>
std::unique_ptr<DmaMemory> try_source(const std::string& path) {
    auto device = sys::open(path.c_str(), O_RDWR);
    if (!device) {
        return nullptr;
    }
    auto source = std::make_unique<Source>(std::move(*device));
    constexpr std::size_t probe_size = 4096;
    return source->allocate(probe_size) ? std::move(source) : nullptr;
}

}  // namespace

Attempt<std::unique_ptr<DmaMemory>> DmaMemory::open() {
    if (auto heap = try_source<HeapMemory>("/dev/dma_heap/system")) {
        return heap;
    }
    if (auto user = try_source<UserMemory>("/dev/udmabuf")) {
        return user;
    }
    constexpr int cards_max = 16;
    for (int card = 0; card < cards_max; ++card) {
        if (auto dumb = try_source<DumbMemory>(fmt::format("/dev/dri/card{}", card))) {
            return dumb;
        }
    }
    return machine_lacks(
        "--memory dmabuf: this machine gives no dma-buf memory: neither /dev/dma_heap/system nor "
        "/dev/udmabuf nor a DRM device under /dev/dri can be used. `modprobe udmabuf` or `modprobe "
        "vgem` provides one.");
}

void sync_dma_buf(int dma_buf, std::uint64_t flags) {
    dma_buf_sync request{flags};
    static_cast<void>(sys::ioctl_retry(dma_buf, DMA_BUF_IOCTL_SYNC, &request));
}

}  // namespace v4lfence
