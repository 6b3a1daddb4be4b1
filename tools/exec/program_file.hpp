// SPDX-License-Identifier: MIT
//
// The file of a command: where it is, and whether a preloaded library reaches it.

#pragma once

#include <cstdint>
#include <string>

#include "tools/failure.hpp"

namespace v4lfence {

/// Where execvp() would find it. Failures: NotFound, CannotExecute.
Attempt<std::string> find_program(const std::string& name);

/// What the loader makes of a library that is to be preloaded.
enum class PreloadReach : std::uint8_t {
    Reached,
    Reached32,     ///< By one for 32-bit x86 programs.
    Static,        ///< No loader runs.
    OtherLibc,     ///< Its loader is another C library's.
    OtherMachine,  ///< Made for another processor.
    Privileged,    ///< Runs with other rights than the caller's: the loader ignores it.
};

/// Of a file that can be executed; of a script, that of its interpreter. What cannot be read
/// counts as reached: it is the kernel's to judge.
PreloadReach preload_reach(const std::string& path);

}  // namespace v4lfence
