// SPDX-License-Identifier: MIT
//
// The camera's formats, sizes and intervals. What the input dictates nobody chooses.

#include "v4lfence/drivers/camera/camera_device.hpp"

namespace v4lfence {

Result<> CameraDevice::enum_fmt(v4l2_fmtdesc& description) {
    return catalog_.enum_fmt(description);
}

Result<> CameraDevice::g_fmt(v4l2_format& format) {
    describe(format_, multi_planar_, format);
    return {};
}

/// Never fails: the size comes from the catalog, or from an input whose sizes are all possible.
FrameFormat CameraDevice::fitted(const WantedFormat& wanted) const {
    const CatalogFormat& format = catalog_.find_or_first(wanted.fourcc);
    const auto dictated = inputs_.dictated();
    const v4l2_frmsize_discrete size =
        dictated ? dictated->size
                 : FormatCatalog::nearest_size(format, wanted.width, wanted.height);
    return frame_format(format.fourcc, size, wanted.bytesperline).value_or(format_);
}

Result<> CameraDevice::try_fmt(v4l2_format& format) {
    describe(fitted(wanted_format(format, multi_planar_)), multi_planar_, format);
    return {};
}

Result<> CameraDevice::s_fmt(v4l2_format& format) {
    const FrameFormat wanted = fitted(wanted_format(format, multi_planar_));
    describe(wanted, multi_planar_, format);
    if (is_busy()) {
        return fail(-EBUSY, "there are buffers");
    }
    format_ = wanted;
    if (!inputs_.dictated()) {
        camera_size_ = {wanted.shown.width, wanted.shown.height};
        reset_interval();
    }
    return {};
}

void CameraDevice::reset_format() {
    const auto dictated = inputs_.dictated();
    const v4l2_frmsize_discrete size = dictated ? dictated->size : camera_size_;
    format_ = fitted({format_.shown.fourcc, size.width, size.height, {}});
    reset_interval();
}

void CameraDevice::reset_interval() {
    const auto dictated = inputs_.dictated();
    const std::lock_guard lock(wishes_mutex_);
    set_interval(dictated ? dictated->interval : nearest_interval(camera_interval_));
}

v4l2_fract CameraDevice::nearest_interval(const v4l2_fract& wanted) const {
    return FormatCatalog::nearest_interval(catalog_.find_or_first(format_.shown.fourcc),
                                           {format_.shown.width, format_.shown.height}, wanted);
}

// --- enumerations --------------------------------------------------------------------------------

Result<> CameraDevice::enum_framesizes(v4l2_frmsizeenum& size) {
    const auto dictated = inputs_.dictated();
    if (!dictated) {
        return catalog_.enum_framesizes(size);
    }
    if (size.index != 0 || catalog_.find(size.pixel_format) == nullptr) {
        return fail(-EINVAL, "no more sizes, or no such format");
    }
    size.type = V4L2_FRMSIZE_TYPE_DISCRETE;
    size.discrete = dictated->size;
    return {};
}

Result<> CameraDevice::enum_frameintervals(v4l2_frmivalenum& interval) {
    const auto dictated = inputs_.dictated();
    if (!dictated) {
        return catalog_.enum_frameintervals(interval);
    }
    if (interval.index != 0 || catalog_.find(interval.pixel_format) == nullptr ||
        interval.width != dictated->size.width || interval.height != dictated->size.height) {
        return fail(-EINVAL, "no more intervals, or no such format or size");
    }
    interval.type = V4L2_FRMIVAL_TYPE_DISCRETE;
    interval.discrete = dictated->interval;
    return {};
}

// --- intervals -----------------------------------------------------------------------------------

Result<> CameraDevice::g_parm(v4l2_streamparm& parm) {
    v4l2_captureparm& capture = parm.parm.capture;
    capture = {};
    capture.capability = V4L2_CAP_TIMEPERFRAME;
    capture.timeperframe = interval_;
    capture.readbuffers = 1;
    return {};
}

Result<> CameraDevice::s_parm(v4l2_streamparm& parm) {
    if (!inputs_.dictated()) {
        const v4l2_fract wanted = nearest_interval(parm.parm.capture.timeperframe);
        const std::lock_guard lock(wishes_mutex_);
        const v4l2_fract before = interval_;
        set_interval(wanted);
        if (auto done = hand_over(true); !done) {
            set_interval(before);
            return done;
        }
        camera_interval_ = wanted;
    }
    return g_parm(parm);
}

}  // namespace v4lfence
