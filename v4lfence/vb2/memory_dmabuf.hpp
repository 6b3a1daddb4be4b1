// SPDX-License-Identifier: MIT
//
// DMABUF: memory of another device, or of the program, by its dma-buf.

#pragma once

#include <sys/types.h>

#include <memory>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/vb2/cpu_access.hpp"
#include "v4lfence/vb2/memory.hpp"

namespace v4lfence {

class DmabufMemory final : public PlaneMemory {
public:
    /// `fd` is duplicated: the program may close its own. `length` 0: all of it.
    /// Errors: EINVAL no dma-buf; EFAULT shorter than `length`, or its exporter lets no CPU map it;
    /// EACCES opened read-only, for DeviceAccess::Write; EMFILE, ENFILE, ENOMEM.
    static Result<std::unique_ptr<PlaneMemory>> attach(int fd, std::size_t length,
                                                       DeviceAccess access);

    Result<> begin_access() override;
    Result<> end_access() noexcept override;
    int shared_dma_buf() const noexcept override { return fd_.get(); }
    bool is_dmabuf(int fd, std::size_t length) const noexcept override;

private:
    /// Which dma-buf it is; one number is never used twice while the machine is up.
    struct Identity {
        dev_t device = 0;
        ino_t inode = 0;
        std::size_t size = 0;
    };

    DmabufMemory(UniqueFd fd, MappedMemory mapping, const Identity& identity, DeviceAccess access);

    const UniqueFd fd_;
    const MappedMemory mapping_;
    const Identity identity_;
    CpuAccess cpu_access_;
};

}  // namespace v4lfence
