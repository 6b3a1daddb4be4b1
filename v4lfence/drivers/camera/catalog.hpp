// SPDX-License-Identifier: MIT
//
// What formats the camera has, and what a chosen one looks like to a program and to the painter.

#pragma once

#include <linux/videodev2.h>

#include <cstdint>

#include "v4lfence/drivers/picture/layout.hpp"
#include "v4lfence/v4l2/format_catalog.hpp"

namespace v4lfence {

/// All three styles of enumeration occur: lists for YUYV and MJPEG, steps for NV12 and its kin,
/// anything for RGB and grey.
Result<FormatCatalog> camera_catalog(bool multi_planar);

/// What S_FMT settles.
struct FrameFormat {
    PictureLayout shown;  ///< As the program has it. Width and height may be odd.
    /// What is painted: of odd sizes all but the last column and row, which repeat those beside
    /// them.
    PictureLayout painted;
};

/// `size` is one of the catalog's for this format. Errors: EINVAL it is not.
Result<FrameFormat> frame_format(std::uint32_t fourcc, const v4l2_frmsize_discrete& size,
                                 const BytesPerLine& wanted = {});

/// Fills in all of `format.fmt`.
void describe(const FrameFormat& from, bool multi_planar, v4l2_format& format);

/// What a program wants, from either kind of struct.
struct WantedFormat {
    std::uint32_t fourcc = 0;
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    BytesPerLine bytesperline{};
};
WantedFormat wanted_format(const v4l2_format& format, bool multi_planar);

}  // namespace v4lfence
