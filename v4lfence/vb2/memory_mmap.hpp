// SPDX-License-Identifier: MIT
//
// MMAP: memory that the queue allocates and the program maps.

#pragma once

#include <atomic>
#include <memory>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/vb2/cpu_access.hpp"
#include "v4lfence/vb2/memory.hpp"

namespace v4lfence {

/// Zeroed and in whole pages, of which bytes() is the length that was asked for.
class MmapMemory final : public PlaneMemory {
public:
    /// What a memfd can become.
    enum class Export : std::uint8_t {
        Never,
        ByUdmabuf,  ///< Up to the module's size_limit_mb: 64 MB unless the machine says otherwise.
    };

    /// What a plane of `length` bytes takes. Errors: EINVAL `length` is 0; ENOMEM no address space
    /// has as much.
    static Result<std::size_t> whole_pages(std::size_t length);

    /// Errors: as above; EMFILE, ENFILE.
    static Result<std::unique_ptr<PlaneMemory>> from_memfd(std::size_t length, DeviceAccess access,
                                                           Export export_way);

    /// Of a dma-buf that is ours alone, in whole pages, open for reading and writing.
    /// Errors: as above; as mmap(2).
    static Result<std::unique_ptr<PlaneMemory>> from_dma_buf(UniqueFd dma_buf, std::size_t length,
                                                             DeviceAccess access);

    Result<> begin_access() override;
    Result<> end_access() noexcept override;
    int map_fd() const noexcept override { return memory_ ? memory_.get() : dma_buf_.get(); }
    Result<UniqueFd> export_dmabuf(int flags) override;
    int shared_dma_buf() const noexcept override {
        return exported_.load(std::memory_order_acquire) ? dma_buf_.get() : -1;
    }

private:
    MmapMemory(MappedMemory mapping, std::size_t length, DeviceAccess access)
        : PlaneMemory(mapping.bytes().first(length)), mapping_(std::move(mapping)),
          cpu_access_(access) {}

    Result<> make_dma_buf();

    const MappedMemory mapping_;
    UniqueFd memory_;  ///< The memfd, if it is made of one.
    Export export_way_ = Export::Never;
    UniqueFd dma_buf_;  ///< A memfd has one from its first export on; set once.
    /// Others may look at the memory by other ways than the CPU's: begin_access() has work.
    std::atomic<bool> exported_{false};
    CpuAccess cpu_access_;
};

}  // namespace v4lfence
