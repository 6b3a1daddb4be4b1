// SPDX-License-Identifier: MIT
//
// What a run saw of its frames, and what that proves: whether each was shown whole, and none
// written while it was on screen. Plain numbers; no device is needed to judge them.

#pragma once

#include <cstdint>
#include <span>

#include "tests/display/crc_tap.hpp"
#include "v4lfence/drivers/picture/stamp.hpp"

namespace v4lfence::display {

/// A frame as it was shown.
struct Shown {
    std::uint32_t sequence = 0;        ///< As the camera tells it.
    std::uint64_t captured_at_ns = 0;  ///< To the microsecond.
    std::uint32_t flip = 0;            ///< The vertical blank at which it came on screen.
    std::int64_t shown_at_ns = 0;      ///< End of KMS's out-fence.
    StampReading seen;                 ///< In what was scanned out.
};

struct Stamps {
    unsigned right = 0;  ///< The frame's own, at its top and bottom.
    unsigned old = 0;    ///< Those of an earlier frame: shown before it existed.
    unsigned torn = 0;   ///< Halves of two.
    unsigned none = 0;   ///< Nothing that a camera painted.

    unsigned wrong() const { return old + torn + none; }
};

Stamps judge_stamps(std::span<const Shown> frames);

struct Steadiness {
    unsigned scan_outs = 0;  ///< Compared: they were over before the next frame was on screen.
    unsigned late = 0;       ///< Told so late that the picture may have been another's by then.
    unsigned twice = 0;      ///< Frames of which at least two scan-outs could be compared.
    unsigned changed = 0;    ///< Frames that were not the same in each: written while shown.
    unsigned stale = 0;      ///< Frames that began as one of the two before them had ended.
};

/// Of scan-outs in the order of their time. The last one before a flip is left out: vkms tells a
/// flip one vertical blank too late when the commit comes while that vertical blank is handled.
Steadiness judge_steadiness(std::span<const Shown> frames, std::span<const ScanOut> scan_outs);

}  // namespace v4lfence::display
