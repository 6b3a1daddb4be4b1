// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/memory_userptr.hpp"

#include "v4lfence/base/mapped_memory.hpp"

namespace v4lfence {

namespace {

std::uintptr_t address_of(std::span<std::byte> bytes) {
    return reinterpret_cast<std::uintptr_t>(bytes.data());
}

}  // namespace

Result<std::unique_ptr<PlaneMemory>>
UserptrMemory::acquire(std::uintptr_t address, std::size_t length, DeviceAccess access) {
    if (length == 0) {
        return fail(-EINVAL, "USERPTR memory without a length");
    }
    const std::span bytes(reinterpret_cast<std::byte*>(address), length);
    std::unique_ptr<UserptrMemory> memory(new UserptrMemory(
        bytes, access == DeviceAccess::Write ? MemoryUse::ReadWrite : MemoryUse::ReadOnly));
    V4LFENCE_TRY(memory->begin_access());
    return memory;
}

Result<> UserptrMemory::begin_access() {
    return sys::fault_in(address_of(bytes()), bytes().size(), use_);
}

bool UserptrMemory::is_userptr(std::uintptr_t address, std::size_t length) const noexcept {
    return address == address_of(bytes()) && length == bytes().size();
}

}  // namespace v4lfence
