// SPDX-License-Identifier: MIT
//
// The DV timings that the HDMI input knows, progressive ones of CEA-861 and DMT.

#pragma once

#include <linux/videodev2.h>

#include <span>

namespace v4lfence {

std::span<const v4l2_dv_timings> camera_timings();

/// Those of 1280x720 at 60 a second.
const v4l2_dv_timings& usual_timings();

/// NULL: not one of ours. Pixel clocks 250 kHz apart are the same.
const v4l2_dv_timings* find_timings(const v4l2_bt_timings& wanted);

v4l2_dv_timings_cap timings_limits();

/// In lowest terms.
v4l2_fract interval_of(const v4l2_bt_timings& timings);

}  // namespace v4lfence
