// SPDX-License-Identifier: MIT
//
// The camera's inputs, and the part of the picture that it shows: the whole, always.

#include "v4lfence/drivers/camera/camera_device.hpp"
#include "v4lfence/drivers/camera/timings.hpp"

namespace v4lfence {

Result<> CameraDevice::s_input(unsigned input) {
    V4LFENCE_TRY(inputs_.check(input));
    if (input == inputs_.current()) {
        return {};
    }
    if (is_busy()) {
        return fail(-EBUSY, "there are buffers");
    }
    inputs_.select(input);
    reset_format();
    return {};
}

// --- standards -----------------------------------------------------------------------------------

Result<> CameraDevice::s_std(v4l2_std_id standard) {
    const v4l2_std_id before = V4LFENCE_TRY(inputs_.standard());
    standard &= inputs_.standards();
    if (standard == 0) {
        return fail(-EINVAL, "no such standard");
    }
    if (standard == before) {
        return {};
    }
    if (is_busy()) {
        return fail(-EBUSY, "there are buffers");
    }
    inputs_.set_standard(standard);
    reset_format();
    return {};
}

// --- DV timings ----------------------------------------------------------------------------------

Result<> CameraDevice::enum_dv_timings(v4l2_enum_dv_timings& timings) {
    return inputs_.enum_timings(timings);
}

Result<> CameraDevice::g_dv_timings(v4l2_dv_timings& timings) {
    timings = V4LFENCE_TRY(inputs_.timings());
    return {};
}

Result<> CameraDevice::s_dv_timings(v4l2_dv_timings& timings) {
    const v4l2_dv_timings before = V4LFENCE_TRY(inputs_.timings());
    const v4l2_dv_timings wanted = V4LFENCE_TRY(inputs_.match_timings(timings));
    timings = wanted;
    if (find_timings(wanted.bt) == find_timings(before.bt) && wanted.bt.flags == before.bt.flags) {
        return {};
    }
    if (is_busy()) {
        return fail(-EBUSY, "there are buffers");
    }
    inputs_.set_timings(wanted);
    reset_format();
    return {};
}

Result<> CameraDevice::query_dv_timings(v4l2_dv_timings& timings) {
    timings = V4LFENCE_TRY(inputs_.timings_seen());
    return {};
}

Result<> CameraDevice::dv_timings_cap(v4l2_dv_timings_cap& cap) {
    return inputs_.describe_timings(cap);
}

// --- selection -----------------------------------------------------------------------------------

/// A sensor whose sizes are a list has no rectangle to choose from.
Result<> CameraDevice::check_selection(const v4l2_selection& selection) const {
    if (!inputs_.dictated()) {
        return fail(-ENODATA, "the input has no selection");
    }
    switch (selection.target) {
    case V4L2_SEL_TGT_CROP:
    case V4L2_SEL_TGT_CROP_DEFAULT:
    case V4L2_SEL_TGT_CROP_BOUNDS:
        return {};
    default:
        return fail(-EINVAL, "no such target");
    }
}

v4l2_rect CameraDevice::source_rect() const {
    return {0, 0, format_.shown.width, format_.shown.height};
}

Result<> CameraDevice::g_selection(v4l2_selection& selection) {
    V4LFENCE_TRY(check_selection(selection));
    selection.r = source_rect();
    return {};
}

Result<> CameraDevice::s_selection(v4l2_selection& selection) {
    V4LFENCE_TRY(check_selection(selection));
    if (selection.target != V4L2_SEL_TGT_CROP) {
        return fail(-EINVAL, "it cannot be set");
    }
    const v4l2_rect whole = source_rect();
    const v4l2_rect& wanted = selection.r;
    const bool too_large = (selection.flags & V4L2_SEL_FLAG_LE) != 0 &&
                           (wanted.width < whole.width || wanted.height < whole.height);
    const bool too_small = (selection.flags & V4L2_SEL_FLAG_GE) != 0 &&
                           (wanted.width > whole.width || wanted.height > whole.height);
    if (too_large || too_small) {
        return fail(-ERANGE, "it is the whole, and nothing else");
    }
    selection.r = whole;
    return {};
}

v4l2_fract CameraDevice::g_pixelaspect() const {
    if (inputs_.standards() == 0) {
        return {1, 1};
    }
    // Of 720 samples across a 4:3 picture, by BT.601.
    return format_.shown.height == 480 ? v4l2_fract{11, 10} : v4l2_fract{54, 59};
}

}  // namespace v4lfence
