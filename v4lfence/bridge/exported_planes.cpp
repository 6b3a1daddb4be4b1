// SPDX-License-Identifier: MIT

#include "v4lfence/bridge/exported_planes.hpp"

#include <algorithm>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

Result<> ExportedPlanes::add(unsigned plane, int dma_buf) {
    if (count(plane) > 0) {
        // Where it cannot be told it is kept.
        const auto is_ours_alone = [](const Exported& exported) {
            return count_holders(exported.dma_buf.get()).value_or(0) == 1;
        };
        exported_.erase(std::remove_if(exported_.begin(), exported_.end(), is_ours_alone),
                        exported_.end());
    }
    if (count(plane) >= per_plane_max) {
        return fail(-EMFILE, "as many dma-bufs of one plane as are kept in step");
    }
    exported_.push_back({plane, V4LFENCE_TRY(sys::dup_high(dma_buf))});
    return {};
}

void ExportedPlanes::collect(DmaBufs& into) const {
    for (const Exported& exported : exported_) {
        into.add(exported.dma_buf.get());
    }
}

std::size_t ExportedPlanes::count(unsigned plane) const {
    return static_cast<std::size_t>(
        std::count_if(exported_.begin(), exported_.end(),
                      [plane](const Exported& exported) { return exported.plane == plane; }));
}

}  // namespace v4lfence
