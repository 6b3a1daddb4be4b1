// SPDX-License-Identifier: MIT

#include "v4lfence/fence/timeline/kernel_timeline.hpp"

namespace v4lfence {

Result<std::unique_ptr<DrmTimeline>> DrmTimeline::create(SyncobjDevice device,
                                                         std::optional<int> syncobj) {
    std::unique_ptr<DrmTimeline> made(new DrmTimeline(std::move(device)));
    made->carrier_ = V4LFENCE_TRY(DrmSyncobj::create(made->device_));
    made->points_ = V4LFENCE_TRY(syncobj ? DrmSyncobj::import(made->device_, *syncobj)
                                         : DrmSyncobj::create(made->device_));
    return made;
}

Result<> DrmTimeline::carry(std::uint64_t point, int sync_file) {
    V4LFENCE_TRY(carrier_->put_sync_file(sync_file));
    return points_->take_fence(*carrier_, point);
}

void DrmTimeline::abandon() noexcept {
    points_->abandon();
    carrier_->abandon();
    device_.abandon();
}

}  // namespace v4lfence
