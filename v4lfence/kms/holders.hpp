// SPDX-License-Identifier: MIT
//
// Which programs have a device node open, as far as /proc shows it to this one.

#pragma once

#include <sys/types.h>

#include <string>

namespace v4lfence {

/// "Xorg (pid 812), systemd-logind (pid 401)": others than this process, at most a few; empty where
/// none can be seen. `device` as st_rdev.
std::string programs_with(dev_t device);

}  // namespace v4lfence
