// SPDX-License-Identifier: MIT
//
// The small programs that preload_test.cpp runs under the shim: shim_probe NAME [ARGUMENT]. They
// say what they see on standard output, without a buffer, so that it stands in order with what the
// fake library says.

#pragma once

#include <cstdio>

namespace v4lfence::shim {

inline constexpr const char* camera = "/dev/video80";

struct ProbeCase {
    const char* name;
    void (*run)(const char* argument);
};

/// The C library's own function: what the shim does not see.
void* unseen(const char* name);

bool is_library_loaded();

// Each ended by one without a name.
const ProbeCase* file_cases();
const ProbeCase* closing_cases();

}  // namespace v4lfence::shim
