// SPDX-License-Identifier: MIT
//
// Which DRM nodes have timelines: found out by using one, never by a version or a driver's name.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "v4lfence/fence/timeline/syncobj.hpp"

namespace v4lfence {

struct FoundTimelineNode {
    Result<SyncobjDevice> device;
    std::string reason;  ///< Why there is none, in words for a person; empty when there is.
};

/// `path` empty: the first of the machine's render nodes, in the order of their names. Card nodes
/// are not looked at: opening one may make the process the display's master.
/// Errors: ENODEV no timelines; EMFILE, ENFILE, ENOMEM; of a `path` also ENOENT, EACCES.
FoundTimelineNode find_timeline_node(const std::optional<std::string>& path);

/// The machine's render nodes, sorted.
std::vector<std::string> render_nodes();

}  // namespace v4lfence
