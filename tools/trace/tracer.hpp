// SPDX-License-Identifier: MIT
//
// The time of a trace: whom it looks at, when it ends, and what it has then.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tools/exec/child.hpp"
#include "tools/failure.hpp"
#include "tools/trace/recording.hpp"
#include "v4lfence/base/time.hpp"

namespace v4lfence {

enum class KernelUse : std::uint8_t { Auto, Yes, No };

struct TraceWishes {
    /// Started, and traced with all that it starts. Empty path: nothing is started.
    ProgramToRun program;
    std::vector<pid_t> pids;  ///< Without these and `program`: every process that has a board.
    KernelUse kernel = KernelUse::Auto;
    /// Empty: until the program ends, or a signal says so. 0: what the rings have.
    std::optional<Nanoseconds> duration;
    std::size_t frames = 0;               ///< Without `program` it ends after so many; 0: never.
};

struct Traced {
    Recording recording;            ///< In the order of time.
    std::vector<std::string> notes;  ///< Sentences about what could not be looked at.
    std::optional<ExitStatus> program_ended;
    pid_t running = 0;    ///< The program, if it goes on; signals are held.
    bool abandoned = false;  ///< By a second signal: nobody waits for the program.
};

/// Until the end of the trace. SIGINT, SIGTERM or SIGHUP ends it; with a program it is passed on,
/// and the end of the program is the end of the trace; a second one ends it at once.
/// Failures: the program (126, 127), a process that is not there or may not be looked at, kernel
/// events that are wanted and cannot be had.
Attempt<Traced> trace(const TraceWishes& wishes);

}  // namespace v4lfence
