// SPDX-License-Identifier: MIT
//
// FormatCatalog: the pixel formats of a driver with the sizes and intervals of each, as a table;
// what the enumerations say of it, and how a program's wish is made to fit it.

#pragma once

#include <linux/videodev2.h>

#include <cstdint>
#include <span>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

/// The sizes of a format, in the style in which VIDIOC_ENUM_FRAMESIZES tells of them. Pixels.
struct SizeChoice {
    v4l2_frmsizetypes style = V4L2_FRMSIZE_TYPE_DISCRETE;
    std::span<const v4l2_frmsize_discrete> sizes;  ///< DISCRETE; at least one.
    /// STEPWISE: at least one step from each minimum to its maximum. CONTINUOUS: both steps are 1.
    v4l2_frmsize_stepwise range{};
};

/// The frame intervals of a format, in the style in which VIDIOC_ENUM_FRAMEINTERVALS tells of them.
/// Seconds.
struct IntervalChoice {
    v4l2_frmivaltypes style = V4L2_FRMIVAL_TYPE_DISCRETE;
    std::span<const v4l2_fract> intervals;  ///< DISCRETE; at least one.
    /// STEPWISE: all three have one denominator, and there is at least one step. CONTINUOUS: the
    /// step is 1/1, as the interface has it.
    v4l2_frmival_stepwise range{};
    v4l2_fract usual{1, 30};  ///< What there is until a program asks for another.
};

struct CatalogFormat {
    std::uint32_t fourcc = 0;
    SizeChoice sizes;
    IntervalChoice intervals;
    /// Shorter intervals than this allows for a size are not offered for it; the longest (of a
    /// range in steps: the last two) always is. 0: no bound.
    std::uint64_t pixels_per_second_max = 0;
};

/// Thread: any; it never changes.
class FormatCatalog {
public:
    /// `formats` is borrowed, a static table as a rule. Errors: EINVAL it breaks a rule that stands
    /// above, or is empty.
    static Result<FormatCatalog> create(std::span<const CatalogFormat> formats);

    std::span<const CatalogFormat> formats() const noexcept { return formats_; }
    /// NULL: there is none.
    const CatalogFormat* find(std::uint32_t fourcc) const;
    /// The first of the table where there is no such format.
    const CatalogFormat& find_or_first(std::uint32_t fourcc) const;

    // What DeviceOps' members of these names answer. Errors: EINVAL the index is too large, no such
    // format, no such size.
    Result<> enum_fmt(v4l2_fmtdesc& description) const;
    Result<> enum_framesizes(v4l2_frmsizeenum& size) const;
    Result<> enum_frameintervals(v4l2_frmivalenum& interval) const;

    /// The size that differs least, width and height together; the smaller of two.
    static v4l2_frmsize_discrete nearest_size(const CatalogFormat& format, std::uint32_t width,
                                              std::uint32_t height);
    static bool has_size(const CatalogFormat& format, std::uint32_t width, std::uint32_t height);
    /// The interval that differs least of those that `size` has; the shorter of two. `wanted` with
    /// a 0 in it asks for the usual one.
    static v4l2_fract nearest_interval(const CatalogFormat& format,
                                       const v4l2_frmsize_discrete& size, v4l2_fract wanted);

private:
    explicit FormatCatalog(std::span<const CatalogFormat> formats) : formats_(formats) {}

    std::span<const CatalogFormat> formats_;
};

}  // namespace v4lfence
