// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/kinds.hpp"

#include <algorithm>
#include <array>

#include "v4lfence/drivers/camera/camera.hpp"

namespace v4lfence {

namespace {

constexpr std::array<VirtualKind, 2> kinds{{
    {"camera", [](unsigned number) { return make_camera({.number = number}); }},
    {"camera-mplane",
     [](unsigned number) { return make_camera({.multi_planar = true, .number = number}); }},
}};

}  // namespace

std::span<const VirtualKind> virtual_kinds() {
    return kinds;
}

const VirtualKind* find_virtual_kind(std::string_view name) {
    const auto* found = std::find_if(kinds.begin(), kinds.end(),
                                     [&](const VirtualKind& each) { return each.name == name; });
    return found == kinds.end() ? nullptr : found;
}

}  // namespace v4lfence
