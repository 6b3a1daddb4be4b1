// SPDX-License-Identifier: MIT
//
// A trace in the JSON of Chrome's trace viewer, which ui.perfetto.dev opens.
//
// A process for each traced process, and one for the kernel. In it a thread for each buffer, for
// its in-fences, for its out-fences, and for what a display has on its way and on screen, with
// slices (X) for what is going on, and a flow (s, f) from the end of a fence to what had waited for
// it. Kernel events and marks are instants (i); the kernel's fences, which may overlap, are
// asynchronous slices (b, e). Times are CLOCK_MONOTONIC in microseconds, and rise.

#pragma once

#include <nlohmann/json.hpp>

#include "tools/trace/lanes.hpp"
#include "tools/trace/recording.hpp"

namespace v4lfence {

nlohmann::ordered_json chrome_json(const Recording& recording, const Lanes& lanes);

}  // namespace v4lfence
