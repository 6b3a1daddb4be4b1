// SPDX-License-Identifier: MIT
//
// The fences that lie in dma-bufs, where those put and find them who exchange no descriptors of
// fences (implicit synchronization): taken out of several as one fence, and one put into several.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "v4lfence/base/result.hpp"
#include "v4lfence/fence/fence.hpp"

namespace v4lfence {

/// Borrowed descriptors of dma-bufs, as many as one call takes.
class DmaBufs {
public:
    static constexpr std::size_t size_max = 128;

    /// Beyond size_max they are left out.
    void add(int dma_buf) noexcept {
        if (size_ < size_max) {
            descriptors_[size_++] = dma_buf;
        }
    }
    bool empty() const noexcept { return size_ == 0; }
    std::span<const int> all() const noexcept { return std::span(descriptors_).first(size_); }

private:
    std::array<int, size_max> descriptors_;
    std::size_t size_ = 0;
};

/// Are they what they are said to be? System calls: 1 for each. Errors: EINVAL one is not.
Result<> check_dma_bufs(const DmaBufs& dma_bufs);

/// One fence that ends when all have that are in these now; empty when none is pending. `access` as
/// for Fence::import(). How they end says nothing to whoever wants the memory alone.
/// System calls: 1 when none is pending; else 4 or 5 more for each dma-buf that has one.
/// What is no dma-buf but looks idle to poll() counts as idle: see check_dma_bufs().
/// Errors: EINVAL another that is no dma-buf; ENOTTY the kernel gives none out (before 6.0);
/// EMFILE, ENFILE, ENOMEM.
Result<std::optional<Fence>> pending_fences(const DmaBufs& dma_bufs, DmaBufAccess access);

/// Whoever looks at one of these waits for `sync_file`: for DmaBufAccess::Write everybody, for Read
/// those who want to write. It cannot be taken out again, only end. Where it fails some may have
/// it. Errors: EINVAL one is no dma-buf, or that no sync_file; ENOTTY as above; ENOMEM.
Result<> put_fence(int sync_file, const DmaBufs& dma_bufs, DmaBufAccess access);

/// Tries it on memory of our own. Errors: ENOTTY as above. A machine that makes no dma-bufs cannot
/// be asked: there it succeeds.
Result<> check_dma_buf_fences();

/// Descriptors, mappings and devices that have the dma-buf, this one included. Errors: ENODATA it
/// is no dma-buf; what /proc says.
Result<std::uint64_t> count_holders(int dma_buf);

}  // namespace v4lfence
