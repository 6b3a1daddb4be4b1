// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/memory_mmap.hpp"

#include <fcntl.h>

#include <limits>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/dma_buf_source.hpp"

namespace v4lfence {

namespace {

bool is_lack(int error) {
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

}  // namespace

Result<std::size_t> MmapMemory::whole_pages(std::size_t length) {
    if (length == 0) {
        return fail(-EINVAL, "MMAP memory without a length");
    }
    const std::size_t size = round_up_to_pages(length);
    if (size == 0 || size > std::numeric_limits<std::ptrdiff_t>::max()) {
        return fail(-ENOMEM, "MMAP memory larger than all memory");
    }
    return size;
}

Result<std::unique_ptr<PlaneMemory>> MmapMemory::from_memfd(std::size_t length, DeviceAccess access,
                                                            Export export_way) {
    const std::size_t size = V4LFENCE_TRY(whole_pages(length));
    auto memory = sys::move_high(V4LFENCE_TRY(sys::sealed_memory("v4lfence-buffer", size)));
    // Every program that maps it has the descriptor.
    V4LFENCE_TRY(sys::seal_size(memory.get()));
    auto mapping = V4LFENCE_TRY(MappedMemory::create(memory.get(), size, MemoryUse::ReadWrite));
    std::unique_ptr<MmapMemory> made(new MmapMemory(std::move(mapping), length, access));
    made->memory_ = std::move(memory);
    made->export_way_ = export_way;
    return made;
}

Result<std::unique_ptr<PlaneMemory>> MmapMemory::from_dma_buf(UniqueFd dma_buf, std::size_t length,
                                                              DeviceAccess access) {
    const std::size_t size = V4LFENCE_TRY(whole_pages(length));
    auto mapping = V4LFENCE_TRY(MappedMemory::create(dma_buf.get(), size, MemoryUse::ReadWrite));
    std::unique_ptr<MmapMemory> made(new MmapMemory(std::move(mapping), length, access));
    made->dma_buf_ = sys::move_high(std::move(dma_buf));
    return made;
}

Result<> MmapMemory::begin_access() {
    if (!exported_.load(std::memory_order_acquire)) {
        return {};
    }
    return cpu_access_.begin(dma_buf_.get());
}

Result<> MmapMemory::end_access() noexcept {
    if (exported_.load(std::memory_order_acquire)) {
        cpu_access_.end(dma_buf_.get());
    }
    return {};
}

Result<> MmapMemory::make_dma_buf() {
    if (dma_buf_) {
        return {};
    }
    if (export_way_ == Export::Never) {
        return fail(-EINVAL, "no dma-bufs on this machine: needs /dev/udmabuf, "
                             "/dev/dma_heap/system or the module vgem");
    }
    auto made = wrap_in_udmabuf(memory_.get(), mapping_.bytes().size());
    if (!made) {
        // videobuf2 says EINVAL whatever its exporter said.
        return fail(is_lack(made.error().code) ? made.error().code : -EINVAL,
                    "/dev/udmabuf refuses: larger than its size_limit_mb, or closed to us");
    }
    dma_buf_ = sys::move_high(std::move(*made));
    return {};
}

Result<UniqueFd> MmapMemory::export_dmabuf(int flags) {
    if ((flags & ~(O_CLOEXEC | O_ACCMODE)) != 0) {
        return fail(-EINVAL, "export flags other than O_CLOEXEC and an access mode");
    }
    V4LFENCE_TRY(make_dma_buf());
    auto copy = V4LFENCE_TRY((flags & O_CLOEXEC) != 0 ? sys::dup(dma_buf_.get())
                                                      : sys::dup_inherited(dma_buf_.get()));
    exported_.store(true, std::memory_order_release);
    return copy;
}

}  // namespace v4lfence
