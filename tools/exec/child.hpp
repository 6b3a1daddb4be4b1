// SPDX-License-Identifier: MIT
//
// A program as a child of this process, with the signals and stops of a terminal as if it were
// alone. Thread: of a process with one thread, until the child has been forked.

#pragma once

#include <signal.h>
#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tools/exec/environment.hpp"
#include "tools/failure.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

struct ProgramToRun {
    std::string path;
    std::span<char*> arguments;  ///< With the name as it was called; NULL behind the last.
    std::vector<Variable> environment;
};

/// Becomes the program, in the place of this process. Returns the errno of the failure.
int execute(const ProgramToRun& program);
Failure not_executed(const ProgramToRun& program, int error);

/// The caller's, which the program gets.
struct SignalState {
    sigset_t mask{};
    struct sigaction child_ended {};
};

/// All that can wait; not those that tell of a fault in this program.
sigset_t waiting_signals();
/// Those that ask a program to end; not those that it was told to ignore.
sigset_t ending_signals();
/// From here on signals wait, also those of threads that are started afterwards.
SignalState hold_signals();
void restore_signals(const SignalState& state);

/// A process that becomes the program when it is told to; dropped before, it ends.
class WaitingChild {
public:
    /// The program gets `signals`. Fails: no process to be had.
    static Attempt<WaitingChild> fork(const ProgramToRun& program, const SignalState& signals);

    pid_t pid() const { return pid_; }

    /// Returns when it is the program. Failures: NotFound, CannotExecute; the process is gone.
    Attempt<> go(const ProgramToRun& program) &&;
    /// Without ever having been the program.
    void end() &&;

private:
    WaitingChild(pid_t pid, UniqueFd line) noexcept : pid_(pid), line_(std::move(line)) {}

    pid_t pid_;
    UniqueFd line_;
};

/// For SIGCHLD: a wait status once the child has ended. When the terminal has stopped it, this
/// process stops as well, until somebody continues it, and so the child.
std::optional<int> look_after(pid_t child);

/// Its own, or 128 + N when the signal N has killed it.
ExitStatus exit_status(int wait_status);

/// Sends the child what was meant for it and has not reached it: not what a terminal has sent to
/// the whole process group, nor what the child itself sent.
void pass_on(const siginfo_t& signal, pid_t child);

/// All this until the child has ended. Signals are held.
ExitStatus supervise(pid_t child);

}  // namespace v4lfence
