// SPDX-License-Identifier: MIT
//
// Poison: bytes that no picture has, written before a frame is queued, to see that the device wrote
// it.

#pragma once

#include <cstddef>
#include <span>

namespace v4lfence {

/// At the start and at the end of the image.
void write_poison(std::span<std::byte> image);

/// Whether any of it is left in what the device says it wrote (its first `bytes_used` bytes).
bool finds_poison(std::span<const std::byte> image, std::size_t bytes_used);

}  // namespace v4lfence
