// SPDX-License-Identifier: MIT
//
// What a display shows of itself on the TraceBoard of its process: what is on screen and what is on
// its way there (head), and each commit and flip (records).

#pragma once

#include <cstdint>

#include "v4lfence/base/trace_board.hpp"

namespace v4lfence {

/// TraceSourceLayout.kind of a display.
inline constexpr std::uint32_t display_trace_kind = 2;

/// TraceEvent.kind. `index` is the picture, `job` the number of the commit from 1.
enum class DisplayEvent : std::uint32_t {
    /// value: 1 with an in-fence. detail: 1 + its descriptor | 1 + that of the out-fence << 32; 0:
    /// none.
    Commit = 1,
    Flip,     ///< time: of the vertical blank; value: the picture before; detail: its sequence.
    Refused,  ///< value: a negative errno.
    ModeSet,  ///< detail: width << 32 | height.
    Closed,
};

/// The head's words. All times are CLOCK_MONOTONIC in nanoseconds, 0: never.
struct DisplayHead {
    std::uint32_t card_major = 0;
    std::uint32_t card_minor = 0;
    std::uint32_t connector_id = 0;
    std::uint32_t crtc_id = 0;
    std::uint32_t plane_id = 0;
    std::int32_t card_fd = -1;
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::uint64_t refresh_mhz = 0;
    std::uint64_t commits = 0;
    std::uint64_t flips = 0;
    std::int64_t committed_at_ns = 0;  ///< The commit under way; 0: none is.
    std::int64_t flipped_at_ns = 0;
    std::int32_t pending_picture = 0;  ///< Of the commit under way.
    std::int32_t shown_picture = 0;
    std::int32_t in_fence_fd = -1;  ///< Of the commit under way, ours; kept while it is.
    std::uint32_t reserved = 0;
};
static_assert(sizeof(DisplayHead) <= sizeof(TraceWords));

}  // namespace v4lfence
