// SPDX-License-Identifier: MIT
//
// The memory of one buffer, whoever allocates it, plane by plane.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "conformance/check.hpp"
#include "conformance/device.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// One plane: mapped, and with a dma-buf where the memory type has one.
struct MappedPlane {
    Region region;
    UniqueFd dma_buf;
};

/// Anonymous pages.
Checked<Region> allocate_pages(const DeviceCalls& calls, std::size_t length);

/// A dma-buf that belongs to none of the device's queues, and its mapping: of vgem, or of the
/// system heap. Skipped where the machine has neither.
Checked<MappedPlane> allocate_dma_buf(const DeviceCalls& calls, std::size_t length);

/// Fills all of it with one byte.
void paint(std::span<const MappedPlane> planes, std::byte value);

/// How many bytes differ from it.
std::size_t count_changed(std::span<const MappedPlane> planes, std::byte value);

}  // namespace v4lfence
