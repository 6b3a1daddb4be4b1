// SPDX-License-Identifier: MIT
//
// CameraInputs: a camera, whose sizes and intervals are free; a composite input, where the
// television standard dictates them; an HDMI input, where the timings do. The last two see the
// signal that a control chooses (CameraSignal).

#pragma once

#include <linux/videodev2.h>

#include <optional>

#include "v4lfence/base/result.hpp"
#include "v4lfence/drivers/camera/controls.hpp"

namespace v4lfence {

/// What a source dictates. Seconds, in lowest terms.
struct DictatedFormat {
    v4l2_frmsize_discrete size{};
    v4l2_fract interval{};
};

/// Thread: one at a time. Errors of each: ENODATA the current input has none of it.
class CameraInputs {
public:
    CameraInputs();

    /// Errors: EINVAL no such input.
    Result<> describe(v4l2_input& input) const;
    unsigned current() const { return current_; }
    /// Errors: EINVAL no such input.
    Result<> check(unsigned input) const;
    void select(unsigned input) { current_ = input; }

    v4l2_std_id standards() const;
    Result<v4l2_std_id> standard() const;
    /// Of the signal; V4L2_STD_UNKNOWN: there is none.
    Result<v4l2_std_id> standard_seen() const;
    void set_standard(v4l2_std_id standard) { standard_ = standard; }

    Result<> enum_timings(v4l2_enum_dv_timings& timings) const;
    Result<> describe_timings(v4l2_dv_timings_cap& cap) const;
    Result<v4l2_dv_timings> timings() const;
    /// Of the signal. Errors: ENOLINK there is none; ENOLCK it makes no sense.
    Result<v4l2_dv_timings> timings_seen() const;
    /// Ours that are meant. Errors: EINVAL none are.
    Result<v4l2_dv_timings> match_timings(const v4l2_dv_timings& wanted) const;
    void set_timings(const v4l2_dv_timings& timings) { timings_ = timings; }

    /// Empty for the camera.
    std::optional<DictatedFormat> dictated() const;

    void set_signal(CameraSignal signal) { signal_ = signal; }

private:
    unsigned current_ = 0;
    v4l2_std_id standard_ = V4L2_STD_PAL;
    v4l2_dv_timings timings_;
    CameraSignal signal_ = CameraSignal::Steady;
};

}  // namespace v4lfence
