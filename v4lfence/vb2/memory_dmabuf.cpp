// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/memory_dmabuf.hpp"

#include <linux/magic.h>

#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

Result<MappedMemory> map(int fd, std::size_t length, DeviceAccess access) {
    const MemoryUse use =
        access == DeviceAccess::Write ? MemoryUse::ReadWrite : MemoryUse::ReadOnly;
    auto mapping = MappedMemory::create(fd, length, use);
    if (mapping) {
        return mapping;
    }
    switch (mapping.error().code) {
    case -EACCES:
        return fail(-EACCES, "dma-buf that is not open for such access");
    case -ENOMEM:
        return mapping;
    default:  // As videobuf2 says where an exporter gives it no address.
        return fail(-EFAULT, "dma-buf that cannot be mapped");
    }
}

/// First of all, so that what is looked at is what is used. Errors: EINVAL no descriptor.
Result<UniqueFd> hold(int fd) {
    auto own = sys::dup_high(fd);
    if (!own && own.error().code == -EBADF) {
        return fail(-EINVAL, "no descriptor");
    }
    return own;
}

}  // namespace

Result<std::unique_ptr<PlaneMemory>> DmabufMemory::attach(int fd, std::size_t length,
                                                          DeviceAccess access) {
    auto own = V4LFENCE_TRY(hold(fd));
    if (sys::filesystem_magic(own.get()).value_or(0) != DMA_BUF_MAGIC) {
        return fail(-EINVAL, "not a dma-buf");
    }
    const struct stat info = V4LFENCE_TRY(sys::fstat(own.get()));
    const Identity identity{info.st_dev, info.st_ino, static_cast<std::size_t>(info.st_size)};
    const std::size_t used = length == 0 ? identity.size : length;
    if (used > identity.size) {
        return fail(-EFAULT, "dma-buf shorter than the plane");
    }
    auto mapping = V4LFENCE_TRY(map(own.get(), used, access));
    return std::unique_ptr<PlaneMemory>(
        new DmabufMemory(std::move(own), std::move(mapping), identity, access));
}

DmabufMemory::DmabufMemory(UniqueFd fd, MappedMemory mapping, const Identity& identity,
                           DeviceAccess access)
    : PlaneMemory(mapping.bytes()), fd_(std::move(fd)), mapping_(std::move(mapping)),
      identity_(identity), cpu_access_(access) {}

Result<> DmabufMemory::begin_access() {
    return cpu_access_.begin(fd_.get());
}

Result<> DmabufMemory::end_access() noexcept {
    cpu_access_.end(fd_.get());
    return {};
}

bool DmabufMemory::is_dmabuf(int fd, std::size_t length) const noexcept {
    const std::size_t used = length == 0 ? identity_.size : length;
    if (used != bytes().size()) {
        return false;
    }
    const auto info = sys::fstat(fd);
    return info && info->st_dev == identity_.device && info->st_ino == identity_.inode;
}

}  // namespace v4lfence
