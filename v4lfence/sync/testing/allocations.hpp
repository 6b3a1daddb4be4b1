// SPDX-License-Identifier: MIT
//
// Counts what a test program takes from the heap with new. Linking it in replaces operator new.

#pragma once

#include <cstdint>

namespace v4lfence::testing {

/// Since the start of the program, by all threads.
std::uint64_t count_allocations();

}  // namespace v4lfence::testing
