// SPDX-License-Identifier: MIT

#include "v4lfence/fence/timeline/timeline_nodes.hpp"

#include <utility>

#include "v4lfence/base/shortage.hpp"
#include "v4lfence/fence/providers/drm.hpp"
#include "v4lfence/fence/providers/reason.hpp"

namespace v4lfence {

namespace {

/// "/dev/dri/renderD128 (vgem)"
std::string shown(const std::string& path, const SyncobjDevice& device) {
    const auto driver = drm::driver_name(device.fd());
    return driver ? path + " (" + *driver + ")" : path;
}

/// Reaches a point. Returns why that does not work; empty when it does.
std::string try_out(const std::string& path, const SyncobjDevice& device) {
    auto timeline = DrmSyncobj::create(device);
    if (!timeline) {
        return timeline.error().code == -EOPNOTSUPP
                   ? shown(path, device) + " has no syncobjs"
                   : cannot("make a syncobj with", shown(path, device), timeline.error().code);
    }
    if (const auto signaled = timeline->signal(1); !signaled) {
        return signaled.error().code == -EOPNOTSUPP
                   ? shown(path, device) + " has syncobjs, but no timelines"
                   : cannot("use a timeline of", shown(path, device), signaled.error().code);
    }
    if (timeline->reached().value_or(0) != 1) {
        return "points of " + shown(path, device) + " are not reached";
    }
    return {};
}

FoundTimelineNode look_at(const std::string& path) {
    auto device = SyncobjDevice::open(path);
    if (!device) {
        return {tl::unexpected<Error>(device.error()), cannot("open", path, device.error().code)};
    }
    std::string reason = try_out(path, *device);
    if (!reason.empty()) {
        return {fail(-ENODEV, "a node without timelines"), std::move(reason)};
    }
    return {std::move(*device), {}};
}

}  // namespace

std::vector<std::string> render_nodes() {
    return drm::list_nodes("renderD").value_or(std::vector<std::string>());
}

FoundTimelineNode find_timeline_node(const std::optional<std::string>& path) {
    if (path) {
        return look_at(*path);
    }
    std::string reasons;
    for (const std::string& node : render_nodes()) {
        FoundTimelineNode found = look_at(node);
        if (found.device || is_shortage(found.device.error().code)) {
            return found;
        }
        if (!reasons.empty()) {
            reasons += "; ";
        }
        reasons += found.reason;
    }
    if (reasons.empty()) {
        reasons = "there is no DRM render node (/dev/dri/renderD*)";
    }
    return {fail(-ENODEV, "no node has timelines"), std::move(reasons)};
}

}  // namespace v4lfence
