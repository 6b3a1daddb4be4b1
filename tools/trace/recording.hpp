// SPDX-License-Identifier: MIT
//
// Recording: all that a trace has gathered, of every process and of the kernel, in the order of
// time. Where it came from (board_collector.hpp, kernel_trace.hpp) and what is made of it
// (lanes.hpp, summary.hpp) know nothing of each other.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/trace/kernel_line.hpp"
#include "v4lfence/base/trace_board.hpp"

namespace v4lfence {

struct RecordedProcess {
    pid_t pid = 0;
    std::string name;  ///< As /proc has it (comm).
    std::uint64_t lost = 0;  ///< Overwritten before they could be read.
};

struct RecordedSource {
    std::size_t process = 0;
    std::uint32_t kind = 0;
    std::string name;
    TraceWords head{};  ///< As it was last seen.
};

struct RecordedEvent {
    std::size_t source = 0;
    TraceEvent event;
};

struct Recording {
    std::int64_t begin_ns = 0;  ///< CLOCK_MONOTONIC; earlier events only tell how things stood.
    std::int64_t end_ns = 0;
    std::vector<RecordedProcess> processes;
    std::vector<RecordedSource> sources;
    std::vector<RecordedEvent> events;
    std::vector<KernelEvent> kernel_events;
    std::uint64_t kernel_lost = 0;
    std::string kernel_missing;  ///< Why there are no kernel events; empty if there may be some.
};

/// Both kinds of events by their time; those of the same time stay in the order they came in.
void sort_by_time(Recording& recording);

/// Cuts it to the last frames: begin_ns becomes the time at which the busiest queue, or display,
/// had so many frames to come. A frame is a buffer that was dequeued, or a flip. Shorter ones stay.
void keep_last_frames(Recording& recording, std::size_t frames);

/// Frames of the busiest queue or display from begin_ns on.
std::size_t count_frames(const Recording& recording);

}  // namespace v4lfence
