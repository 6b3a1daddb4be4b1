// SPDX-License-Identifier: MIT
//
// What a device is like, found out by using it without fences, before the first case.

#pragma once

#include <string>

#include "conformance/check.hpp"
#include "conformance/device.hpp"
#include "conformance/rig.hpp"

namespace v4lfence {

/// Sets a small picture and a fast rate, which the device keeps, and streams without fences to
/// learn the driver's minimum. Whether there are fences is what VIDIOC_QUERY_FENCES says, and where
/// nobody answers it, what QBUF with an invalid in-fence does (SEMANTICS 1.4). Skipped where the
/// machine lacks the device, or the provider of a device with fences.
Checked<Facts> probe_device(const DeviceCalls& calls, const std::string& path,
                            const std::string& provider);

/// The capture type of a node, 0 if it has none.
std::uint32_t capture_type(std::uint32_t device_caps);

}  // namespace v4lfence
