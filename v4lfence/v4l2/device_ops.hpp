// SPDX-License-Identifier: MIT
//
// DeviceOps: what sets one virtual device apart from another, beside what it does with buffers
// (vb2/driver.hpp). Names and meaning are those of struct v4l2_ioctl_ops.

#pragma once

#include <linux/videodev2.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/v4l2/controls.hpp"
#include "v4lfence/v4l2/events.hpp"
#include "v4lfence/vb2/driver.hpp"

namespace v4lfence {

class VideoDevice;

/// What a device is, for as long as it exists.
struct DeviceIdentity {
    const char* driver = "v4lfence";
    const char* card = "";
    std::string bus_info;  ///< "platform:..." as v4l2-compliance knows it.
    /// V4L2_CAP_*; DEVICE_CAPS and EXT_PIX_FORMAT are added.
    std::uint32_t device_caps = 0;
    std::uint32_t buffer_type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    bool ordered = true;  ///< Gives buffers back in the order it gets them, in every format.
};

/// Each call is serialized with the others of the device, and comes with a checked type, an index
/// that is the program's, reserved fields that are zero, and the right to change things. What a
/// device lacks stays ENOTTY. Errors are those of the ioctl.
class DeviceOps {
public:
    virtual ~DeviceOps() = default;

    virtual const DeviceIdentity& identity() const = 0;
    virtual QueueTraits queue_traits() const = 0;
    virtual Driver& driver() = 0;
    virtual std::span<const ControlSpec> controls() const { return {}; }

    /// The device is complete; it outlives what is done through it.
    virtual void attach(VideoDevice& /*device*/) {}

    // Formats. The description and flags of known formats are filled in afterwards.
    virtual Result<> enum_fmt(v4l2_fmtdesc& description) = 0;
    virtual Result<> g_fmt(v4l2_format& format) = 0;
    /// Adjusts what it cannot do; never refuses.
    virtual Result<> try_fmt(v4l2_format& format) = 0;
    /// Errors: EBUSY there are buffers.
    virtual Result<> s_fmt(v4l2_format& format) = 0;
    virtual Result<> enum_framesizes(v4l2_frmsizeenum&) { return lacking(); }
    virtual Result<> enum_frameintervals(v4l2_frmivalenum&) { return lacking(); }
    virtual Result<> g_parm(v4l2_streamparm&) { return lacking(); }
    virtual Result<> s_parm(v4l2_streamparm&) { return lacking(); }

    // Inputs, and what comes with one.
    virtual Result<> enum_input(v4l2_input&) { return lacking(); }
    virtual Result<unsigned> g_input() { return lacking(); }
    virtual Result<> s_input(unsigned /*input*/) { return lacking(); }
    /// Those of the current input; 0: it has none, and the ioctls about standards say ENODATA.
    virtual v4l2_std_id standards() const { return 0; }
    virtual Result<v4l2_std_id> g_std() { return lacking(); }
    virtual Result<> s_std(v4l2_std_id /*standard*/) { return lacking(); }
    virtual Result<v4l2_std_id> querystd() { return lacking(); }
    virtual Result<> enum_dv_timings(v4l2_enum_dv_timings&) { return lacking(); }
    virtual Result<> g_dv_timings(v4l2_dv_timings&) { return lacking(); }
    virtual Result<> s_dv_timings(v4l2_dv_timings&) { return lacking(); }
    virtual Result<> query_dv_timings(v4l2_dv_timings&) { return lacking(); }
    virtual Result<> dv_timings_cap(v4l2_dv_timings_cap&) { return lacking(); }

    // Selection; CROPCAP, G_CROP and S_CROP are made of it. The type is the single-planar one of
    // the device's direction.
    virtual Result<> g_selection(v4l2_selection&) { return lacking(); }
    virtual Result<> s_selection(v4l2_selection&) { return lacking(); }
    /// Height of a pixel by its width, as CROPCAP has it.
    virtual v4l2_fract g_pixelaspect() const { return {1, 1}; }

    // Controls: a value is about to change, or is asked for (V4L2_CTRL_FLAG_VOLATILE). Calls of
    // g_volatile_ctrl() may come at once.
    virtual Result<> s_ctrl(std::uint32_t /*id*/, const ControlValue& /*value*/) { return {}; }
    virtual Result<std::int64_t> g_volatile_ctrl(std::uint32_t /*id*/) { return lacking(); }

    /// What it raises beside V4L2_EVENT_CTRL: VideoDevice::send_event().
    virtual std::vector<EventType> events() const { return {}; }

    /// Lines for the curious; those of the controls are added.
    virtual std::vector<std::string> log_status() { return {}; }

protected:
    static tl::unexpected<Error> lacking() { return fail(-ENOTTY, "the device has none"); }
};

}  // namespace v4lfence
