// SPDX-License-Identifier: MIT
//
// Pointers that come from a program.

#pragma once

#include <cstdint>

namespace v4lfence {

/// May `pointer` be looked at? Rules out what a program passes by mistake (NULL, -1, small
/// numbers), for which the kernel would answer EFAULT.
inline bool is_plausible(const void* pointer) {
    constexpr std::uintptr_t first_page_end = 4096;
    const auto address = reinterpret_cast<std::uintptr_t>(pointer);
    return address >= first_page_end && address <= UINTPTR_MAX / 2;
}

}  // namespace v4lfence
