// SPDX-License-Identifier: MIT
//
// Lanes: a recording as what happened when, side by side: for each queue a lane for each buffer and
// for the fences of it, for each display what is on its way and what is on screen. The JSON and the
// picture are drawn from this.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/trace/recording.hpp"

namespace v4lfence {

enum class SliceKind : std::uint8_t {
    Held,      ///< Queued, and not given: it waits for a fence, for others, for the start.
    Given,     ///< The driver's, or the kernel's.
    Done,      ///< Finished, or failed: it waits to be dequeued.
    InFence,   ///< From QBUF to the end of its in-fence.
    OutFence,  ///< From QBUF to the end of its out-fence.
    Commit,    ///< From the commit of a picture to its flip.
    OnScreen,  ///< From its flip to the next.
};
const char* slice_name(SliceKind kind);

struct LaneSlice {
    SliceKind kind = SliceKind::Held;
    std::int64_t begin_ns = 0;
    std::int64_t end_ns = 0;
    std::uint64_t job = 0;  ///< Position in line; number of the commit.
    std::uint64_t sequence = 0;  ///< Of the frame, once Done; 0: not known.
    std::uint32_t picture = 0;   ///< Of a display.
    std::int32_t error = 0;     ///< Negative errno with which it ended, or of the buffer.
    bool begun_before = false;  ///< It began before the trace, or that is not known.
    bool still_open = false;    ///< It went on when the trace ended.
};

struct LaneMark {
    std::int64_t time_ns = 0;
    std::string text;
    bool bad = false;
};

enum class LaneKind : std::uint8_t { Buffer, InFences, OutFences, Commits, Screen };

/// Its slices do not overlap and are in order.
struct Lane {
    LaneKind kind = LaneKind::Buffer;
    unsigned index = 0;  ///< Of the buffer.
    std::string name;
    std::vector<LaneSlice> slices;
    std::vector<LaneMark> marks;
};

/// Of one queue or display.
struct LaneGroup {
    std::size_t source = 0;
    std::string name;
    std::vector<Lane> lanes;
    std::vector<LaneMark> marks;  ///< What befell the whole: a start, a stop.
};

struct LanePoint {
    std::size_t group = 0;
    std::size_t lane = 0;
    std::uint64_t job = 0;
    std::int64_t time_ns = 0;
};

/// From the end of a fence to what had waited for it.
struct LaneArrow {
    LanePoint from;
    LanePoint to;
};

struct Lanes {
    std::int64_t begin_ns = 0;
    std::int64_t end_ns = 0;
    std::vector<LaneGroup> groups;  ///< In the order of processes; none without lanes.
    std::vector<LaneArrow> arrows;
};

/// `recording` is in the order of time.
Lanes make_lanes(const Recording& recording);

/// "video0 capture 2 #17", as the fence of that buffer and job.
std::string fence_name(const LaneGroup& group, const Lane& lane, std::uint64_t job);

}  // namespace v4lfence
