// SPDX-License-Identifier: MIT
//
// Fills a Snapshot: from the trace boards of all programs that show one and may be looked at, and
// from /proc and sysfs for what the boards cannot know: what a descriptor is, who else has it,
// which state a process is in, whether a display is on. Nothing is stopped, written to or waited
// for: it works on programs that hang or are stopped, and takes as long as one walk over
// /proc/*/fd.

#pragma once

#include <sys/types.h>

#include <vector>

#include "tools/doctor/snapshot.hpp"
#include "tools/failure.hpp"

namespace v4lfence {

/// `pids`: those that somebody asks about, which must be there and have something to look at;
/// empty: all with a board. The others are there too, for they may be the ones who are waited for.
/// Fails with a sentence and MachineLacks where there is nothing to be seen.
Attempt<Snapshot> collect(const std::vector<pid_t>& pids);

}  // namespace v4lfence
