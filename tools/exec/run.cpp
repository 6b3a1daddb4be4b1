// SPDX-License-Identifier: MIT

#include "tools/exec/run.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr int shell_signal_base = 128;  ///< What a shell adds to the number of a signal.

/// The caller's, which the program gets.
struct SignalState {
    sigset_t mask{};
    struct sigaction child_ended {};
};

/// All that can wait; not those that tell of a fault in this program.
sigset_t waiting_signals() {
    sigset_t set{};
    sigfillset(&set);
    for (const int fault : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP}) {
        sigdelset(&set, fault);
    }
    return set;
}

/// From here on signals wait, also those of threads that are started afterwards.
SignalState hold_signals() {
    SignalState before;
    const sigset_t waiting = waiting_signals();
    pthread_sigmask(SIG_SETMASK, &waiting, &before.mask);
    // Where it is ignored children leave no status.
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &plain, &before.child_ended);
    return before;
}

void restore_signals(const SignalState& state) {
    ::sigaction(SIGCHLD, &state.child_ended, nullptr);
    pthread_sigmask(SIG_SETMASK, &state.mask, nullptr);
}

/// Returns the errno of the failure.
int execute(const ProgramToRun& program) {
    for (const Variable& variable : program.environment) {
        ::setenv(variable.name.c_str(), variable.value.c_str(), 1);
    }
    ::execvp(program.path.c_str(), program.arguments.data());
    return errno;
}

Failure not_executed(const ProgramToRun& program, int error) {
    return {error == ENOENT ? ExitStatus::NotFound : ExitStatus::CannotExecute,
            fmt::format("{}: {}.", program.arguments.front(), std::strerror(error))};
}

template <class T>
std::span<std::byte> bytes_of(T& value) {
    return std::as_writable_bytes(std::span(&value, 1));
}

/// The child's life until it is another program. It begins when a byte says so; the parent reads
/// the end of the stream once it has become it.
[[noreturn]] void be_child(UniqueFd line, const SignalState& signals, const ProgramToRun& program) {
    char go = 0;
    const auto told = sys::read(line.get(), bytes_of(go));
    if (told && *told == sizeof(go)) {
        restore_signals(signals);
        int error = execute(program);
        static_cast<void>(sys::write(line.get(), bytes_of(error)));
    }
    ::_exit(static_cast<int>(ExitStatus::CannotExecute));
}

int wait_for_end(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

ExitStatus exit_status(int status) {
    const int code =
        WIFSIGNALED(status) ? shell_signal_base + WTERMSIG(status) : WEXITSTATUS(status);
    return static_cast<ExitStatus>(code);
}

/// Until somebody continues this process, and so the child.
void stop_as_well(pid_t child, int signal) {
    sigset_t one{};
    sigemptyset(&one);
    sigaddset(&one, signal);
    pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
    ::raise(signal);
    pthread_sigmask(SIG_BLOCK, &one, nullptr);
    ::kill(child, SIGCONT);
}

/// A wait status once it has ended.
std::optional<int> look_after(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, WNOHANG | WUNTRACED) == child) {
        if (!WIFSTOPPED(status)) {
            return status;
        }
        // Whoever says SIGSTOP means that process alone.
        if (WSTOPSIG(status) != SIGSTOP) {
            stop_as_well(child, WSTOPSIG(status));
        }
    }
    return std::nullopt;
}

/// The terminal tells a whole process group, the child among them. What the child sends is meant
/// for its parent, or for its group.
bool is_to_be_passed_on(const siginfo_t& signal, pid_t child) {
    const bool from_kernel = signal.si_code > 0;
    if (from_kernel) {
        return ::getpgid(child) != ::getpgrp();
    }
    return signal.si_pid != child;
}

ExitStatus supervise(pid_t child) {
    const sigset_t waiting = waiting_signals();
    for (;;) {
        siginfo_t signal{};
        if (::sigwaitinfo(&waiting, &signal) < 0) {
            continue;
        }
        if (signal.si_signo == SIGCHLD) {
            if (const auto ended = look_after(child)) {
                return exit_status(*ended);
            }
        } else if (signal.si_signo != SIGPIPE && is_to_be_passed_on(signal, child)) {
            ::kill(child, signal.si_signo);
        }
    }
}

/// So that whoever is at their other end sees them end with the program.
void leave_standard_streams() {
    static_cast<void>(std::freopen("/dev/null", "r", stdin));
    static_cast<void>(std::freopen("/dev/null", "w", stdout));
}

Attempt<ExitStatus> run_child(DeviceHost& host, const ProgramToRun& program,
                              const SignalState& signals) {
    auto line = sys::socketpair(0);
    const pid_t child = line ? ::fork() : -1;
    if (child < 0) {
        return job_failed(fmt::format("no process for {}: {}.", program.arguments.front(),
                                      std::strerror(line ? errno : -line.error().code)));
    }
    if (child == 0) {
        line->first.reset();
        be_child(std::move(line->second), signals, program);
    }
    line->second.reset();
    const auto started = host.start();
    if (!started) {
        line->first.reset();
        wait_for_end(child);
        return job_failed(
            fmt::format("no threads for the devices: {}.", std::strerror(-started.error().code)));
    }
    char go = 1;
    static_cast<void>(sys::write(line->first.get(), bytes_of(go)));
    int error = 0;
    const auto told = sys::read(line->first.get(), bytes_of(error));
    if (told && *told == sizeof(error)) {
        wait_for_end(child);
        return tl::unexpected<Failure>(not_executed(program, error));
    }
    leave_standard_streams();
    return supervise(child);
}

}  // namespace

Failure become(const ProgramToRun& program) {
    return not_executed(program, execute(program));
}

Attempt<ExitStatus> run_beside(DeviceHost& host, const ProgramToRun& program) {
    const SignalState signals = hold_signals();
    // Not restored: what is still to come is the end.
    return run_child(host, program, signals);
}

}  // namespace v4lfence
