// SPDX-License-Identifier: MIT
//
// What is known of each descriptor number: one byte. A hint that keeps calls on other files cheap;
// what a number is in truth, the library asks the kernel.

#pragma once

#include <cstdint>

namespace v4lfence::shim {

using Mark = std::uint8_t;

inline constexpr unsigned devices_max = 64;

inline constexpr Mark unknown = 0;
inline constexpr Mark looked_at = 1;  ///< Is not a wrapped node.
inline constexpr Mark internal = 2;   ///< The library's own: never the program's.
inline constexpr Mark wrapped_file = 3;
inline constexpr Mark virtual_file = 4;   ///< Of which device is not known yet.
inline constexpr Mark device_first = 16;  ///< + index of the device
inline constexpr Mark path_only_first = device_first + devices_max;  ///< Opened with O_PATH.
inline constexpr Mark folder_first = path_only_first + devices_max;  ///< + Folder
static_assert(folder_first + devices_max + 8 <= 256);

/// As many as a process can have unless the administrator has raised fs.nr_open.
inline constexpr unsigned numbers_max = 1U << 20;

struct Numbers {
    Mark marks[numbers_max];  ///< Untouched pages cost nothing.
    int highest;              ///< Of those that ever had a mark.
};
extern Numbers numbers;

inline Mark mark_of(int fd) {
    return static_cast<unsigned>(fd) < numbers_max
               ? __atomic_load_n(&numbers.marks[fd], __ATOMIC_RELAXED)
               : unknown;
}

/// The library knows such a number.
inline bool is_file(Mark mark) {
    return mark >= wrapped_file && mark < path_only_first;
}

inline bool is_virtual_file(Mark mark) {
    return mark >= virtual_file && mark < path_only_first;
}

/// Errors: false: the table has no room for this number.
bool set_mark(int fd, Mark mark);

/// The number has come fresh from the kernel: what was known of it is out of date.
int forget_mark(int fd);
inline int fresh(int fd) {
    return mark_of(fd) != unknown ? forget_mark(fd) : fd;
}

}  // namespace v4lfence::shim
