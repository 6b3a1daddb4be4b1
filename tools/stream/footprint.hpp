// SPDX-License-Identifier: MIT
//
// What the process holds, and whether a long stream makes it hold more.

#pragma once

#include <cstdint>

namespace v4lfence {

/// By then all memory has been touched, and all threads run.
constexpr std::uint64_t warm_frames = 1000;

struct Footprint {
    std::uint64_t resident_kib = 0;  ///< 0: /proc does not say.
    std::uint64_t descriptors = 0;
};

/// Of now.
Footprint measure_footprint();

}  // namespace v4lfence
