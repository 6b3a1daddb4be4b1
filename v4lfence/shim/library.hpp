// SPDX-License-Identifier: MIT
//
// The library behind the shim: loaded when a device is first opened, or found to be one.

#pragma once

#include "v4lfence/shim/abi.h"
#include "v4lfence/shim/numbers.hpp"

namespace v4lfence::shim {

extern const v4lfence_shim_calls* loaded_calls;

/// NULL until it is loaded. Never NULL where a number has a file's mark.
inline const v4lfence_shim_calls* library() {
    return __atomic_load_n(&loaded_calls, __ATOMIC_ACQUIRE);
}

/// Loads it if need be. NULL: there is none of this version, or this thread is loading it.
const v4lfence_shim_calls* load_library();

/// True while this thread is loading the library: its calls are not the program's then.
bool is_loading();

/// While it lives, this thread is in a call of the library's, on the program's behalf: what a later
/// preload (libv4l2's) makes of it by syscall() is for the kernel.
class Inside {
public:
    Inside() : before_(inside) { inside = true; }
    ~Inside() { inside = before_; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

    static bool any() { return inside; }

private:
    static thread_local bool inside __attribute__((tls_model("initial-exec")));
    const bool before_;
};

/// An unknown number on which the kernel would not do what a device does. True: it is the
/// library's now. Leaves errno alone.
bool take_over(int fd);

/// The number's mark, when it still is a virtual device's; otherwise it is forgotten, `unknown`.
Mark virtual_mark(int fd);

}  // namespace v4lfence::shim
