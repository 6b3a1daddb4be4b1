// SPDX-License-Identifier: MIT
//
// Formats, sizes and intervals: ENUM_FMT to S_PARM.

#include <cstddef>
#include <cstring>

#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/format_names.hpp"
#include "v4lfence/v4l2/handlers.hpp"

namespace v4lfence::ioctls {

namespace {

bool multi_planar(const v4l2_format& format) {
    return V4L2_TYPE_IS_MULTIPLANAR(format.type);
}

/// Zeroes the union from the end of a member of `size` bytes on.
void clear_after(v4l2_format& format, std::size_t size) {
    std::memset(format.fmt.raw_data + size, 0, sizeof format.fmt.raw_data - size);
}

/// A program from before the extended fields leaves them undefined, and says so by not setting
/// `priv`.
void make_defined(v4l2_format& format) {
    if (!multi_planar(format)) {
        v4l2_pix_format& pix = format.fmt.pix;
        const std::size_t plain = offsetof(v4l2_pix_format, priv) + sizeof pix.priv;
        clear_after(format, pix.priv == V4L2_PIX_FMT_PRIV_MAGIC ? sizeof pix : plain);
        pix.priv = V4L2_PIX_FMT_PRIV_MAGIC;
        return;
    }
    v4l2_pix_format_mplane& pix = format.fmt.pix_mp;
    clear_after(format, offsetof(v4l2_pix_format_mplane, reserved));
    if (pix.num_planes > VIDEO_MAX_PLANES) {
        pix.num_planes = VIDEO_MAX_PLANES;
    }
    for (v4l2_plane_pix_format& plane : pix.plane_fmt) {
        std::memset(plane.reserved, 0, sizeof plane.reserved);
    }
}

/// A driver that fills in all of a v4l2_pix_format need not know of this.
Result<> answered(Result<> result, v4l2_format& format) {
    if (!multi_planar(format)) {
        format.fmt.pix.priv = V4L2_PIX_FMT_PRIV_MAGIC;
    }
    return result;
}

}  // namespace

Result<> enum_fmt(FileHandle& file, Call& call) {
    auto& format = call.as<v4l2_fmtdesc>();
    V4LFENCE_TRY(check_type(file, format.type));
    constexpr std::size_t given = offsetof(v4l2_fmtdesc, type) + sizeof format.type;
    std::memset(static_cast<std::byte*>(call.argument) + given, 0, sizeof format - given);
    V4LFENCE_TRY(file.device().ops().enum_fmt(format));
    describe_format(format);
    return {};
}

Result<> g_fmt(FileHandle& file, Call& call) {
    auto& format = call.as<v4l2_format>();
    V4LFENCE_TRY(check_type(file, format.type));
    clear_after(format, 0);
    return answered(file.device().ops().g_fmt(format), format);
}

Result<> s_fmt(FileHandle& file, Call& call) {
    auto& format = call.as<v4l2_format>();
    V4LFENCE_TRY(check_type(file, format.type));
    make_defined(format);
    return answered(file.device().ops().s_fmt(format), format);
}

Result<> try_fmt(FileHandle& file, Call& call) {
    auto& format = call.as<v4l2_format>();
    V4LFENCE_TRY(check_type(file, format.type));
    make_defined(format);
    return answered(file.device().ops().try_fmt(format), format);
}

Result<> enum_framesizes(FileHandle& file, Call& call) {
    return file.device().ops().enum_framesizes(call.as<v4l2_frmsizeenum>());
}

Result<> enum_frameintervals(FileHandle& file, Call& call) {
    return file.device().ops().enum_frameintervals(call.as<v4l2_frmivalenum>());
}

Result<> g_parm(FileHandle& file, Call& call) {
    auto& parm = call.as<v4l2_streamparm>();
    V4LFENCE_TRY(check_type(file, parm.type));
    return file.device().ops().g_parm(parm);
}

Result<> s_parm(FileHandle& file, Call& call) {
    auto& parm = call.as<v4l2_streamparm>();
    V4LFENCE_TRY(check_type(file, parm.type));
    // Both directions have the same layout.
    v4l2_captureparm& capture = parm.parm.capture;
    const std::size_t used = sizeof capture;
    std::memset(parm.parm.raw_data + used, 0, sizeof parm.parm.raw_data - used);
    std::memset(capture.reserved, 0, sizeof capture.reserved);
    capture.extendedmode = 0;
    capture.capturemode &= V4L2_MODE_HIGHQUALITY;
    return file.device().ops().s_parm(parm);
}

}  // namespace v4lfence::ioctls
