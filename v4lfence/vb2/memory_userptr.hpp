// SPDX-License-Identifier: MIT
//
// USERPTR: memory of the program itself, in this process or in another one.

#pragma once

#include <memory>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/vb2/memory.hpp"
#include "v4lfence/vb2/program_memory.hpp"

namespace v4lfence {

/// The kernel pins such pages; this cannot. Memory that the program unmaps, protects or truncates
/// is noticed when the next access begins, by a look at each page: 2 ms for 33 MB. Done during an
/// access it ends the program by a signal, as in one of its own threads.
class UserptrMemory final : public PlaneMemory {
public:
    /// Any address, aligned or not, of this process. Looks at each page, without changing one.
    /// Errors: EINVAL `length` is 0; EFAULT part of it is not mapped, not for such access, or is a
    /// device's memory that has no pages (what vgem and dma-heaps map); ENOMEM.
    static Result<std::unique_ptr<PlaneMemory>> acquire(std::uintptr_t address, std::size_t length,
                                                        DeviceAccess access);

    Result<> begin_access() override;
    bool is_userptr(std::uintptr_t address, std::size_t length,
                    const ProgramMemory* program) const noexcept override;

private:
    UserptrMemory(std::span<std::byte> bytes, MemoryUse use) noexcept
        : PlaneMemory(bytes), use_(use) {}

    const MemoryUse use_;
};

/// Memory of another process. What a device writes goes to a shadow of it, and from there to the
/// program when the access ends; what it reads comes when the access begins. What the program has
/// unmapped by then is noticed there.
class ProgramPlane final : public PlaneMemory {
public:
    /// `device_size`: so much of `length` a device can write. Errors: EINVAL `length` is 0; EFAULT
    /// it cannot be read; ENOMEM.
    static Result<std::unique_ptr<PlaneMemory>>
    acquire(std::shared_ptr<const ProgramMemory> program, std::uintptr_t address,
            std::size_t length, std::size_t device_size, DeviceAccess access);

    Result<> begin_access() override;
    Result<> end_access() noexcept override;
    bool is_userptr(std::uintptr_t address, std::size_t length,
                    const ProgramMemory* program) const noexcept override;

private:
    ProgramPlane(std::unique_ptr<std::byte[]> shadow, std::size_t length,
                 std::shared_ptr<const ProgramMemory> program, std::uintptr_t address,
                 std::size_t device_size, DeviceAccess access) noexcept
        : PlaneMemory({shadow.get(), length}), shadow_(std::move(shadow)),
          program_(std::move(program)), address_(address), device_size_(device_size),
          access_(access) {}

    const std::unique_ptr<std::byte[]> shadow_;
    const std::shared_ptr<const ProgramMemory> program_;
    const std::uintptr_t address_;
    const std::size_t device_size_;
    const DeviceAccess access_;
};

}  // namespace v4lfence
