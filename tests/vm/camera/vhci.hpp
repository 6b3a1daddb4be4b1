// SPDX-License-Identifier: MIT
//
// The kernel's virtual USB host controller (module vhci-hcd), through its files in sysfs.

#pragma once

#include <string>
#include <vector>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

constexpr const char* default_vhci = "/sys/devices/platform/vhci_hcd.0";

/// The free high-speed ports in the text of the controller's file `status`.
std::vector<int> free_ports(const std::string& status);

/// Plugs a device in whose end of the connection is the other end of `socket`; the caller closes
/// `socket` afterwards, because the device is unplugged when its own end closes and no other hold
/// is left. Returns the port. Errors: ENOENT without the module, EACCES or EPERM without root,
/// EBUSY with no free port.
Result<int> vhci_attach(const std::string& controller, int socket);

}  // namespace v4lfence
