// SPDX-License-Identifier: MIT
//
// How `exec` runs its command: in its own place, or as a child beside the devices.

#pragma once

#include "tools/exec/child.hpp"
#include "tools/exec/device_host.hpp"
#include "tools/failure.hpp"

namespace v4lfence {

/// Returns only if it could not. Failures: NotFound, CannotExecute.
Failure become(const ProgramToRun& program);

/// Starts `host` and the program, and ends when that ends; the status is its own, or 128 + N when
/// the signal N has killed it. Signals of other processes are passed on to it; those of the
/// terminal reach it without us. When it stops for the terminal's sake so does this process, and
/// its devices with it. The program gets the caller's signal mask and dispositions.
///
/// The process has one thread, and ends soon afterwards: its standard input and output are no
/// longer there. Failures: NotFound, CannotExecute; JobFailed no process or thread to be had.
Attempt<ExitStatus> run_beside(DeviceHost& host, const ProgramToRun& program);

}  // namespace v4lfence
