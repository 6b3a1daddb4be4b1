// SPDX-License-Identifier: MIT
//
// The memory of planes: what a queue and a driver may ask of it, wherever it comes from.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

class ProgramMemory;

/// The values are those of enum v4l2_memory.
enum class MemoryKind : std::uint8_t { Mmap = 1, Userptr = 2, Dmabuf = 4 };

/// What the device does with the memory: capture writes, output reads.
enum class DeviceAccess : std::uint8_t { Write, Read };

/// One plane of one buffer, mapped for the CPU, which is our device's only way to memory.
/// Thread: begin_access() and end_access() from the device's, one at a time; all else from one at a
/// time of the queue's, also while the device is at it.
class PlaneMemory {
public:
    PlaneMemory(const PlaneMemory&) = delete;
    PlaneMemory& operator=(const PlaneMemory&) = delete;
    virtual ~PlaneMemory() = default;

    /// As long as was asked for. Readable; writable for DeviceAccess::Write. Where it is does not
    /// change.
    std::span<std::byte> bytes() const noexcept { return bytes_; }

    /// Right before the device's access. Never waits for a fence. Errors: EFAULT the memory is gone
    /// (Userptr); what the exporter of a dma-buf says.
    virtual Result<> begin_access() { return {}; }
    /// Right after it, if begin_access() succeeded. Errors: EFAULT the memory is gone (Userptr of
    /// another process).
    virtual Result<> end_access() noexcept { return {}; }

    /// What the program's mmap() of this plane maps, from map_offset() on, in whole pages. Borrowed
    /// as long as this lives; what is mapped stays. -1 for memory that is the program's already.
    virtual int map_fd() const noexcept { return -1; }
    std::int64_t map_offset() const noexcept { return 0; }

    /// A dma-buf of this memory, for the program; it keeps the memory when this goes. All of one
    /// plane are one dma-buf. `flags`: O_CLOEXEC and an access mode, as open(); the descriptor can
    /// always be read and written, for user space has no way to make one that cannot.
    /// Errors: EINVAL other flags, not Mmap, or the machine cannot make dma-bufs of it; EMFILE,
    /// ENFILE, ENOMEM.
    virtual Result<UniqueFd> export_dmabuf(int /*flags*/) {
        return fail(-EINVAL, "only MMAP memory can be exported");
    }

    /// The dma-buf by which others have this memory too; borrowed as long as this lives. -1: nobody
    /// has, as far as is known here.
    virtual int shared_dma_buf() const noexcept { return -1; }

    /// Whether acquiring this again would give the same: then there is no need to. `program` as
    /// BufferSettings has it.
    virtual bool is_userptr(std::uintptr_t /*address*/, std::size_t /*length*/,
                            const ProgramMemory* /*program*/) const noexcept {
        return false;
    }
    /// As above; any descriptor of the same dma-buf is the same.
    virtual bool is_dmabuf(int /*fd*/, std::size_t /*length*/) const noexcept { return false; }

protected:
    explicit PlaneMemory(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}

private:
    const std::span<std::byte> bytes_;
};

}  // namespace v4lfence
