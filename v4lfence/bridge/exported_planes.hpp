// SPDX-License-Identifier: MIT
//
// ExportedPlanes: the dma-bufs that VIDIOC_EXPBUF has made of one MMAP buffer. Each is a dma-buf of
// its own with fences of its own, and the kernel does not know them by the buffer: who wants to put
// a fence where all consumers look has to keep a descriptor of each.

#pragma once

#include <cstddef>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/fence/dma_buf_fences.hpp"

namespace v4lfence {

/// Thread: one at a time.
class ExportedPlanes {
public:
    /// Of one plane, and in use by others, at a time.
    static constexpr std::size_t per_plane_max = 16;

    /// Keeps a duplicate, of ours alone: the memory lives until clear(). Those that nobody else has
    /// any more are given back first, so a program that exports each frame and closes it again does
    /// not make us grow. Errors: EMFILE no descriptor, or `per_plane_max` are in use.
    Result<> add(unsigned plane, int dma_buf);

    void collect(DmaBufs& into) const;

    void clear() noexcept { exported_.clear(); }

private:
    struct Exported {
        unsigned plane = 0;
        UniqueFd dma_buf;
    };
    std::size_t count(unsigned plane) const;

    std::vector<Exported> exported_;
};

}  // namespace v4lfence
