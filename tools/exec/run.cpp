// SPDX-License-Identifier: MIT

#include "tools/exec/run.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <utility>

namespace v4lfence {

namespace {

/// So that whoever is at their other end sees them end with the program.
void leave_standard_streams() {
    static_cast<void>(std::freopen("/dev/null", "r", stdin));
    static_cast<void>(std::freopen("/dev/null", "w", stdout));
}

}  // namespace

Failure become(const ProgramToRun& program) {
    return not_executed(program, execute(program));
}

Attempt<ExitStatus> run_beside(DeviceHost& host, const ProgramToRun& program) {
    // Not restored: what is still to come is the end.
    const SignalState signals = hold_signals();
    auto child = WaitingChild::fork(program, signals);
    if (!child) {
        return tl::unexpected<Failure>(child.error());
    }
    const pid_t pid = child->pid();
    if (const auto started = host.start(); !started) {
        std::move(*child).end();
        return job_failed(
            fmt::format("no threads for the devices: {}.", std::strerror(-started.error().code)));
    }
    if (const auto gone = std::move(*child).go(program); !gone) {
        return tl::unexpected<Failure>(gone.error());
    }
    leave_standard_streams();
    return supervise(pid);
}

}  // namespace v4lfence
