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

/// A child that was made by vfork(), clone() or _Fork(): the marks and the library's files are, or
/// may be, its parent's. Asks the kernel, where there is a library.
inline bool is_other_process() {
    const v4lfence_shim_calls* calls = library();
    return calls != nullptr && calls->is_this_process() == 0;
}

/// This thread is in a call of the library's that another preload (libv4l2's) behind this one
/// carries out: what that makes of it by syscall() is for the kernel. Never true where there is no
/// such preload, so that who leaves such a call by a jump leaves nothing behind.
bool is_in_next_preload();

/// An unknown number on which the kernel would not do what a device does. True: it is the
/// library's now. Leaves errno alone.
bool take_over(int fd);

/// The same of a number of which the kernel is not asked first: only a wrapped node is taken.
bool take_over_node(int fd);

/// The number's mark, when it still is a virtual device's; otherwise it is forgotten, `unknown`.
Mark virtual_mark(int fd);

}  // namespace v4lfence::shim
