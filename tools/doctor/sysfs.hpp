// SPDX-License-Identifier: MIT
//
// What sysfs tells of devices. Nothing here takes a lock of a driver: the card of a display that
// hangs in a commit answers no ioctl.

#pragma once

#include <optional>
#include <string>
#include <vector>

namespace v4lfence {

/// Nodes of the driver vgem, such as "/dev/dri/renderD128".
std::vector<std::string> read_vgem_nodes();

/// The node of a character device: "/dev/video0". Empty: sysfs knows none.
std::string read_device_name(unsigned major, unsigned minor);

/// Whether a connector of a DRM card is on: "HDMI-A-1" of "/dev/dri/card0". Empty: there is none.
std::optional<bool> read_connector_on(const std::string& card_node, const std::string& connector);

}  // namespace v4lfence
