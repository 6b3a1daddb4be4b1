// SPDX-License-Identifier: MIT

#include "tests/display/evidence.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace v4lfence::display {

namespace {

bool is_of(const std::optional<FrameStamp>& stamp, const Shown& frame) {
    return stamp && stamp->sequence == frame.sequence &&
           stamp->captured_at_ns / 1000 == frame.captured_at_ns / 1000;
}

/// Sequence numbers wrap.
bool is_before(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace

Stamps judge_stamps(std::span<const Shown> frames) {
    Stamps stamps;
    for (const Shown& frame : frames) {
        if (is_of(frame.seen.top, frame) && is_of(frame.seen.bottom, frame)) {
            ++stamps.right;
        } else if (frame.seen.torn()) {
            ++stamps.torn;
        } else if (frame.seen.whole()) {
            ++stamps.old;
        } else {
            ++stamps.none;
        }
    }
    return stamps;
}

Steadiness judge_steadiness(std::span<const Shown> frames, std::span<const ScanOut> scan_outs) {
    Steadiness result;
    std::array<std::optional<std::uint32_t>, 2> ended_as;  // The two frames before.
    auto next = scan_outs.begin();
    // When the last frame went nobody knows.
    for (std::size_t i = 0; i + 1 < frames.size(); ++i) {
        std::optional<std::uint32_t> first;
        std::optional<std::uint32_t> last;
        unsigned compared = 0;
        bool changed = false;
        for (; next != scan_outs.end() && is_before(next->sequence, frames[i + 1].flip); ++next) {
            if (is_before(next->sequence, frames[i].flip) ||
                next->sequence + 1 == frames[i + 1].flip) {
                continue;
            }
            if (next->read_at_ns >= frames[i + 1].shown_at_ns) {
                ++result.late;
                continue;
            }
            ++compared;
            changed = changed || (last && *last != next->checksum);
            last = next->checksum;
            first = first.value_or(next->checksum);
        }
        result.scan_outs += compared;
        result.twice += compared >= 2 ? 1 : 0;
        result.changed += changed ? 1 : 0;
        result.stale +=
            first && std::find(ended_as.begin(), ended_as.end(), first) != ended_as.end() ? 1 : 0;
        ended_as = {last, ended_as[0]};
    }
    return result;
}

}  // namespace v4lfence::display
