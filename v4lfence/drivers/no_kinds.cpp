// SPDX-License-Identifier: MIT
//
// In place of kinds.cpp, for a library that is built without drivers.

#include "v4lfence/drivers/kinds.hpp"

namespace v4lfence {

std::span<const VirtualKind> virtual_kinds() {
    return {};
}

const VirtualKind* find_virtual_kind(std::string_view /*name*/) {
    return nullptr;
}

}  // namespace v4lfence
