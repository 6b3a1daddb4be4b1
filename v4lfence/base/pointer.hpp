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
    // A 64-bit kernel leaves a 32-bit program all but the last two pages.
    constexpr std::uintptr_t last = sizeof(void*) == 8 ? UINTPTR_MAX / 2 : UINTPTR_MAX - 8192;
    const auto address = reinterpret_cast<std::uintptr_t>(pointer);
    return address >= first_page_end && address <= last;
}

}  // namespace v4lfence
