// SPDX-License-Identifier: MIT
//
// The descriptors of a high-speed UVC 1.1 camera with one bulk video endpoint and no controls.

#pragma once

#include <string_view>

#include "tests/vm/camera/bytes.hpp"

namespace v4lfence {

Bytes device_descriptor();
Bytes configuration_descriptor();

/// Empty where there is no such string. `serial` holds at most serial_length_max characters of
/// ASCII.
Bytes string_descriptor(unsigned index, std::string_view serial);

/// What fits into a descriptor's length byte as UTF-16.
constexpr std::size_t serial_length_max = 126;

}  // namespace v4lfence
