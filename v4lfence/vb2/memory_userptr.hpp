// SPDX-License-Identifier: MIT
//
// USERPTR: memory of the program itself.

#pragma once

#include <memory>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/vb2/memory.hpp"

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
    bool is_userptr(std::uintptr_t address, std::size_t length) const noexcept override;

private:
    UserptrMemory(std::span<std::byte> bytes, MemoryUse use) noexcept
        : PlaneMemory(bytes), use_(use) {}

    const MemoryUse use_;
};

}  // namespace v4lfence
