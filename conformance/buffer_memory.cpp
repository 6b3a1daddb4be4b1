// SPDX-License-Identifier: MIT

#include "conformance/buffer_memory.hpp"

#include <drm.h>
#include <drm_mode.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr std::size_t page_size = 4096;

std::size_t in_pages(std::size_t length) {
    return (length + page_size - 1) / page_size * page_size;
}

Checked<Region> map(const DeviceCalls& calls, std::size_t length, int flags, int fd) {
    void* address = calls.mmap(nullptr, length, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(address != MAP_FAILED, "mapping {} bytes: {}", length, errno_name(errno));
    return Region(calls, address, length);
}

bool is_vgem(int card) {
    std::array<char, 32> name{};
    drm_version version{};
    version.name = name.data();
    version.name_len = name.size() - 1;
    return sys::ioctl_retry(card, DRM_IOCTL_VERSION, &version) &&
           std::string_view(name.data()) == "vgem";
}

Result<UniqueFd> open_vgem_card() {
    constexpr int cards_max = 16;
    for (int card = 0; card < cards_max; ++card) {
        const std::string path = fmt::format("/dev/dri/card{}", card);
        if (auto fd = sys::open(path.c_str(), O_RDWR); fd && is_vgem(fd->get())) {
            return fd;
        }
    }
    return fail(-ENODEV, "vgem");
}

Result<UniqueFd> from_vgem(std::size_t length) {
    const UniqueFd card = V4LFENCE_TRY(open_vgem_card());
    drm_mode_create_dumb create{};
    create.width = page_size / 4;
    create.bpp = 32;
    create.height = static_cast<std::uint32_t>(length / page_size);
    V4LFENCE_TRY(sys::ioctl_retry(card.get(), DRM_IOCTL_MODE_CREATE_DUMB, &create));
    drm_prime_handle exported{};
    exported.handle = create.handle;
    exported.flags = O_CLOEXEC | O_RDWR;
    V4LFENCE_TRY(sys::ioctl_retry(card.get(), DRM_IOCTL_PRIME_HANDLE_TO_FD, &exported));
    return UniqueFd(exported.fd);
}

Result<UniqueFd> from_system_heap(std::size_t length) {
    const UniqueFd heap = V4LFENCE_TRY(sys::open("/dev/dma_heap/system", O_RDONLY));
    dma_heap_allocation_data allocation{};
    allocation.len = length;
    allocation.fd_flags = O_CLOEXEC | O_RDWR;
    V4LFENCE_TRY(sys::ioctl_retry(heap.get(), DMA_HEAP_IOCTL_ALLOC, &allocation));
    return UniqueFd(static_cast<int>(allocation.fd));
}

}  // namespace

Checked<Region> allocate_pages(const DeviceCalls& calls, std::size_t length) {
    return map(calls, in_pages(length), MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

Checked<MappedPlane> allocate_dma_buf(const DeviceCalls& calls, std::size_t length) {
    const std::size_t size = in_pages(length);
    auto dma_buf = from_vgem(size);
    if (!dma_buf) {
        dma_buf = from_system_heap(size);
    }
    if (!dma_buf) {
        return skipped("no source of dma-bufs: neither vgem nor /dev/dma_heap/system");
    }
    Region region = TRY(map(calls, size, MAP_SHARED, dma_buf->get()));
    return MappedPlane{std::move(region), std::move(*dma_buf)};
}

void paint(std::span<const MappedPlane> planes, std::byte value) {
    for (const MappedPlane& plane : planes) {
        std::memset(plane.region.data(), static_cast<int>(value), plane.region.size());
    }
}

std::size_t count_changed(std::span<const MappedPlane> planes, std::byte value) {
    std::size_t changed = 0;
    for (const MappedPlane& plane : planes) {
        const std::span<const std::byte> bytes(plane.region.data(), plane.region.size());
        changed +=
            bytes.size() - static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), value));
    }
    return changed;
}

}  // namespace v4lfence
