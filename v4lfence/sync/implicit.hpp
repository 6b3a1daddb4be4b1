// SPDX-License-Identifier: MIT
//
// ImplicitFences: what implicit synchronization adds to one QBUF: the fences that lie in the
// buffer's dma-bufs are waited for, and the out-fence is put there for others to find. Made anew
// for each QBUF, by whoever knows which dma-bufs the buffer has.

#pragma once

#include <optional>

#include "v4lfence/fence/dma_buf_fences.hpp"
#include "v4lfence/sync/out_fences.hpp"

namespace v4lfence {

/// What FileOptions::implicit may be. Errors: EINVAL no such flags; ENODEV no fences can be made
/// that go into a dma-buf; ENOTTY the kernel's dma-bufs take and give none.
Result<> check_implicit(unsigned flags, Core& core);

/// Thread: one.
class ImplicitFences {
public:
    /// `access`: what the device does with the memory.
    ImplicitFences(const FileOptions& options, DmaBufAccess access) noexcept
        : flags_(options.implicit.load()), access_(access) {}

    /// Somebody wants to know the dma-bufs.
    bool wanted() const noexcept { return flags_ != 0; }
    /// A buffer that has none takes no part.
    DmaBufs& dma_bufs() noexcept { return dma_bufs_; }

    /// System calls: 1 for each. Errors: EINVAL one is none.
    Result<> check_dma_bufs() const { return v4lfence::check_dma_bufs(dma_bufs_); }

    /// Who is not finished with the memory; for Submission::busy. Errors: as pending_fences().
    Result<std::optional<Fence>> take() const;

    /// Is an out-fence put into the dma-bufs? Not once a bound has expired in this generation: the
    /// fences that are made from then on are no kernel's (SEMANTICS 5.7).
    bool puts_out_fence(const QueueView& queue) const noexcept;

    /// The out-fence of the buffer `index`, already put where it belongs. `asked`: the program gets
    /// a descriptor of it. On error nobody waits. Errors: as OutFences::mint() and put_fence().
    Result<OutFence> mint(OutFences& fences, const FileOptions& options, unsigned index,
                          const QueueView& queue, bool asked) const;

private:
    const unsigned flags_;
    const DmaBufAccess access_;
    DmaBufs dma_bufs_;
};

}  // namespace v4lfence
