// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/memory_userptr.hpp"

#include <algorithm>
#include <new>
#include <utility>

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

bool UserptrMemory::is_userptr(std::uintptr_t address, std::size_t length,
                               const ProgramMemory* program) const noexcept {
    return program == nullptr && address == address_of(bytes()) && length == bytes().size();
}

// --- of another process --------------------------------------------------------------------------

Result<std::unique_ptr<PlaneMemory>>
ProgramPlane::acquire(std::shared_ptr<const ProgramMemory> program, std::uintptr_t address,
                      std::size_t length, std::size_t device_size, DeviceAccess access) {
    if (length == 0) {
        return fail(-EINVAL, "USERPTR memory without a length");
    }
    std::unique_ptr<std::byte[]> shadow(new (std::nothrow) std::byte[length]);
    if (!shadow) {
        return fail(-ENOMEM, "the shadow of a program's memory");
    }
    // Also for capture: what a device leaves out stays as the program had it.
    const std::size_t used = std::min(length, device_size);
    V4LFENCE_TRY(program->read(address, {shadow.get(), used}));
    return std::unique_ptr<PlaneMemory>(
        new ProgramPlane(std::move(shadow), length, std::move(program), address, used, access));
}

Result<> ProgramPlane::begin_access() {
    return access_ == DeviceAccess::Read ? program_->read(address_, bytes()) : Result<>();
}

Result<> ProgramPlane::end_access() noexcept {
    return access_ == DeviceAccess::Write ? program_->write(address_, bytes().first(device_size_))
                                          : Result<>();
}

bool ProgramPlane::is_userptr(std::uintptr_t address, std::size_t length,
                              const ProgramMemory* program) const noexcept {
    return program != nullptr && program->is_same(*program_) && address == address_ &&
           length == bytes().size();
}

}  // namespace v4lfence
