// SPDX-License-Identifier: MIT

#include "tools/exec/child.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr int shell_signal_base = 128;  ///< What a shell adds to the number of a signal.

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

void wait_for_end(pid_t child) {
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {}
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

}  // namespace

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

// --- signals -------------------------------------------------------------------------------------

sigset_t waiting_signals() {
    sigset_t set{};
    sigfillset(&set);
    for (const int fault : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP}) {
        sigdelset(&set, fault);
    }
    return set;
}

sigset_t ending_signals() {
    sigset_t set{};
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction now {};
        ::sigaction(signal, nullptr, &now);
        if (now.sa_handler != SIG_IGN) {
            sigaddset(&set, signal);
        }
    }
    return set;
}

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

// --- the child -----------------------------------------------------------------------------------

Attempt<WaitingChild> WaitingChild::fork(const ProgramToRun& program, const SignalState& signals) {
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
    return WaitingChild(child, std::move(line->first));
}

Attempt<> WaitingChild::go(const ProgramToRun& program) && {
    char go = 1;
    static_cast<void>(sys::write(line_.get(), bytes_of(go)));
    int error = 0;
    const auto told = sys::read(line_.get(), bytes_of(error));
    if (told && *told == sizeof(error)) {
        wait_for_end(pid_);
        return tl::unexpected<Failure>(not_executed(program, error));
    }
    return {};
}

void WaitingChild::end() && {
    line_.reset();
    wait_for_end(pid_);
}

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

ExitStatus exit_status(int wait_status) {
    const int code = WIFSIGNALED(wait_status) ? shell_signal_base + WTERMSIG(wait_status)
                                              : WEXITSTATUS(wait_status);
    return static_cast<ExitStatus>(code);
}

void pass_on(const siginfo_t& signal, pid_t child) {
    const bool from_kernel = signal.si_code > 0;
    const bool is_meant = from_kernel ? ::getpgid(child) != ::getpgrp() : signal.si_pid != child;
    if (signal.si_signo != SIGPIPE && is_meant) {
        ::kill(child, signal.si_signo);
    }
}

ExitStatus supervise(pid_t child) {
    const sigset_t waiting = waiting_signals();
    for (;;) {
        siginfo_t signal{};
        if (::sigwaitinfo(&waiting, &signal) < 0) {
            continue;
        }
        if (signal.si_signo != SIGCHLD) {
            pass_on(signal, child);
        } else if (const auto ended = look_after(child)) {
            return exit_status(*ended);
        }
    }
}

}  // namespace v4lfence
