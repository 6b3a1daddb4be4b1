// SPDX-License-Identifier: MIT
//
// Memory by mmap(2): an owned mapping, and questions about mappings of others.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

/// In bytes.
std::size_t page_size();
/// Zero where it would not fit.
std::size_t round_up_to_pages(std::size_t size);

/// What our code does with memory.
enum class MemoryUse : std::uint8_t { ReadOnly, ReadWrite };

/// Owns a shared mapping; empty when default-made. The descriptor may be closed behind it.
class MappedMemory {
public:
    MappedMemory() noexcept = default;
    MappedMemory(MappedMemory&& other) noexcept;
    MappedMemory& operator=(MappedMemory&& other) noexcept;
    MappedMemory(const MappedMemory&) = delete;
    MappedMemory& operator=(const MappedMemory&) = delete;
    ~MappedMemory();

    /// The first `size` bytes of what `fd` is. Errors: as mmap(2); EINVAL `size` is 0, EACCES `fd`
    /// is not open for such use.
    static Result<MappedMemory> create(int fd, std::size_t size, MemoryUse use);

    std::span<std::byte> bytes() const noexcept { return bytes_; }

private:
    explicit MappedMemory(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}

    std::span<std::byte> bytes_;
};

namespace sys {

/// Brings the pages of a range of this process in, as if each were touched, without touching one:
/// the content stays. Takes as long as touching them would. Needs Linux 5.14.
/// Errors: EFAULT a touch would end in a signal, because the range is not mapped, not allowed, or
/// beyond its file, or it has no pages (VM_IO, VM_PFNMAP); ENOMEM.
Result<> fault_in(std::uintptr_t address, std::size_t size, MemoryUse use);

/// Whether each page of the range is mapped, whatever for. One call that visits mappings, not
/// pages: under a microsecond for any size. Errors: EFAULT.
Result<> check_mapped(std::uintptr_t address, std::size_t size);

}  // namespace sys

}  // namespace v4lfence
