// SPDX-License-Identifier: MIT
//
// The kinds of virtual devices there are, by the names under which programs ask for them. Here is
// wired which driver is behind which kind.

#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/v4l2/device_ops.hpp"

namespace v4lfence {

struct VirtualKind {
    std::string_view name;  ///< Such as "camera-mplane".
    /// `number` tells devices of one program apart. Errors: ENOMEM.
    Result<std::unique_ptr<DeviceOps>> (*make)(unsigned number);
};

std::span<const VirtualKind> virtual_kinds();

/// NULL: there is no such kind.
const VirtualKind* find_virtual_kind(std::string_view name);

}  // namespace v4lfence
