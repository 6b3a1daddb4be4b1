// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/format_catalog.hpp"

#include <algorithm>
#include <cstdlib>

namespace v4lfence {

namespace {

// --- fractions -----------------------------------------------------------------------------------

bool is_fraction(const v4l2_fract& fraction) {
    return fraction.numerator != 0 && fraction.denominator != 0;
}

__extension__ using Wide = unsigned __int128;

bool less(const v4l2_fract& a, const v4l2_fract& b) {
    return std::uint64_t{a.numerator} * b.denominator < std::uint64_t{b.numerator} * a.denominator;
}

/// How far apart they are, in units of the product of both denominators.
std::uint64_t distance(const v4l2_fract& a, const v4l2_fract& b) {
    const std::uint64_t left = std::uint64_t{a.numerator} * b.denominator;
    const std::uint64_t right = std::uint64_t{b.numerator} * a.denominator;
    return left > right ? left - right : right - left;
}

/// Whether `a` is nearer to `wanted` than `b` is; the shorter one wins a draw.
bool nearer(const v4l2_fract& wanted, const v4l2_fract& a, const v4l2_fract& b) {
    const Wide to_a = Wide{distance(wanted, a)} * b.denominator;
    const Wide to_b = Wide{distance(wanted, b)} * a.denominator;
    return to_a != to_b ? to_a < to_b : less(a, b);
}

// --- sizes ---------------------------------------------------------------------------------------

std::uint32_t snapped(std::uint32_t value, std::uint32_t minimum, std::uint32_t maximum,
                      std::uint32_t step) {
    if (value <= minimum) {
        return minimum;
    }
    const std::uint64_t steps =
        (std::uint64_t{std::min(value, maximum)} - minimum + (step - 1) / 2) / step;
    const std::uint64_t steps_max = (maximum - minimum) / step;
    return static_cast<std::uint32_t>(minimum + std::min(steps, steps_max) * step);
}

bool is_on_step(std::uint32_t value, std::uint32_t minimum, std::uint32_t maximum,
                std::uint32_t step) {
    return value >= minimum && value <= maximum && (value - minimum) % step == 0;
}

bool is_range(std::uint32_t minimum, std::uint32_t maximum, std::uint32_t step) {
    return minimum != 0 && minimum < maximum && step != 0 && (maximum - minimum) % step == 0;
}

Result<> check_sizes(const SizeChoice& choice) {
    if (choice.style == V4L2_FRMSIZE_TYPE_DISCRETE) {
        if (choice.sizes.empty()) {
            return fail(-EINVAL, "a format without sizes");
        }
        return {};
    }
    const v4l2_frmsize_stepwise& range = choice.range;
    if (!is_range(range.min_width, range.max_width, range.step_width) ||
        !is_range(range.min_height, range.max_height, range.step_height)) {
        return fail(-EINVAL, "a range of sizes");
    }
    if (choice.style == V4L2_FRMSIZE_TYPE_CONTINUOUS &&
        (range.step_width != 1 || range.step_height != 1)) {
        return fail(-EINVAL, "continuous sizes with a step");
    }
    return {};
}

// --- intervals -----------------------------------------------------------------------------------

Result<> check_intervals(const IntervalChoice& choice) {
    if (!is_fraction(choice.usual)) {
        return fail(-EINVAL, "a usual interval that is no fraction");
    }
    if (choice.style == V4L2_FRMIVAL_TYPE_DISCRETE) {
        const bool all_are =
            std::all_of(choice.intervals.begin(), choice.intervals.end(), is_fraction);
        return !choice.intervals.empty() && all_are
                   ? Result<>{}
                   : fail(-EINVAL, "a list of intervals that is empty, or one that is no fraction");
    }
    const v4l2_frmival_stepwise& range = choice.range;
    if (!is_fraction(range.min) || !is_fraction(range.max) || !is_fraction(range.step) ||
        less(range.max, range.min)) {
        return fail(-EINVAL, "a range of intervals");
    }
    if (choice.style == V4L2_FRMIVAL_TYPE_CONTINUOUS) {
        return range.step.numerator == 1 && range.step.denominator == 1
                   ? Result<>{}
                   : fail(-EINVAL, "continuous intervals have the step 1/1");
    }
    if (range.min.denominator != range.max.denominator ||
        range.min.denominator != range.step.denominator ||
        !is_range(range.min.numerator, range.max.numerator, range.step.numerator)) {
        return fail(-EINVAL, "a range of intervals off its step");
    }
    return {};
}

/// Whether `interval` is too short for so many pixels.
bool too_fast(const CatalogFormat& format, const v4l2_frmsize_discrete& size,
              const v4l2_fract& interval) {
    const Wide pixels = Wide{size.width} * size.height;
    return format.pixels_per_second_max != 0 &&
           pixels * interval.denominator > Wide{format.pixels_per_second_max} * interval.numerator;
}

v4l2_fract longest(std::span<const v4l2_fract> intervals) {
    return *std::max_element(intervals.begin(), intervals.end(), less);
}

bool is_offered(const CatalogFormat& format, const v4l2_frmsize_discrete& size,
                const v4l2_fract& interval) {
    return !too_fast(format, size, interval) ||
           !less(interval, longest(format.intervals.intervals));
}

/// The range of a size: its lower end is where the pixels per second allow it.
v4l2_frmival_stepwise range_for(const CatalogFormat& format, const v4l2_frmsize_discrete& size) {
    v4l2_frmival_stepwise range = format.intervals.range;
    if (!too_fast(format, size, range.min)) {
        return range;
    }
    const std::uint64_t pixels = std::uint64_t{size.width} * size.height;
    const std::uint64_t rate = format.pixels_per_second_max;
    if (format.intervals.style == V4L2_FRMIVAL_TYPE_CONTINUOUS) {
        constexpr std::uint32_t parts = 1000000;
        const Wide least = (Wide{pixels} * parts + rate - 1) / rate;
        if (least > UINT32_MAX || too_fast(format, size, range.max)) {
            range.min = range.max;
        } else {
            range.min = {static_cast<std::uint32_t>(least), parts};
        }
        return range;
    }
    const Wide least = (Wide{pixels} * range.min.denominator + rate - 1) / rate;
    const Wide steps =
        (least - range.min.numerator + range.step.numerator - 1) / range.step.numerator;
    const std::uint32_t last = range.max.numerator - range.step.numerator;
    range.min.numerator = static_cast<std::uint32_t>(
        std::min(Wide{last}, range.min.numerator + steps * range.step.numerator));
    return range;
}

v4l2_fract nearest_in(const v4l2_frmival_stepwise& range, v4l2_frmivaltypes style,
                      const v4l2_fract& wanted) {
    if (!less(range.min, wanted)) {
        return range.min;
    }
    if (!less(wanted, range.max)) {
        return range.max;
    }
    if (style == V4L2_FRMIVAL_TYPE_CONTINUOUS) {
        return wanted;
    }
    const std::uint64_t units =
        (std::uint64_t{wanted.numerator} * range.min.denominator) / wanted.denominator;
    const std::uint64_t below = units - (units - range.min.numerator) % range.step.numerator;
    const v4l2_fract lower{static_cast<std::uint32_t>(below), range.min.denominator};
    const v4l2_fract upper{std::min(lower.numerator + range.step.numerator, range.max.numerator),
                           lower.denominator};
    return nearer(wanted, upper, lower) ? upper : lower;
}

}  // namespace

Result<FormatCatalog> FormatCatalog::create(std::span<const CatalogFormat> formats) {
    if (formats.empty()) {
        return fail(-EINVAL, "a catalog without formats");
    }
    for (const CatalogFormat& format : formats) {
        V4LFENCE_TRY(check_sizes(format.sizes));
        V4LFENCE_TRY(check_intervals(format.intervals));
    }
    return FormatCatalog(formats);
}

const CatalogFormat* FormatCatalog::find(std::uint32_t fourcc) const {
    const auto found =
        std::find_if(formats_.begin(), formats_.end(),
                     [fourcc](const CatalogFormat& format) { return format.fourcc == fourcc; });
    return found == formats_.end() ? nullptr : &*found;
}

const CatalogFormat& FormatCatalog::find_or_first(std::uint32_t fourcc) const {
    const CatalogFormat* const found = find(fourcc);
    return found != nullptr ? *found : formats_.front();
}

Result<> FormatCatalog::enum_fmt(v4l2_fmtdesc& description) const {
    if (description.index >= formats_.size()) {
        return fail(-EINVAL, "no more formats");
    }
    description.pixelformat = formats_[description.index].fourcc;
    return {};
}

Result<> FormatCatalog::enum_framesizes(v4l2_frmsizeenum& size) const {
    const CatalogFormat* const format = find(size.pixel_format);
    if (format == nullptr) {
        return fail(-EINVAL, "no such format");
    }
    const SizeChoice& choice = format->sizes;
    const bool discrete = choice.style == V4L2_FRMSIZE_TYPE_DISCRETE;
    if (size.index >= (discrete ? choice.sizes.size() : 1)) {
        return fail(-EINVAL, "no more sizes");
    }
    size.type = choice.style;
    if (discrete) {
        size.discrete = choice.sizes[size.index];
    } else {
        size.stepwise = choice.range;
    }
    return {};
}

Result<> FormatCatalog::enum_frameintervals(v4l2_frmivalenum& interval) const {
    const CatalogFormat* const format = find(interval.pixel_format);
    if (format == nullptr || !has_size(*format, interval.width, interval.height)) {
        return fail(-EINVAL, "no such format, or no such size of it");
    }
    const IntervalChoice& choice = format->intervals;
    const v4l2_frmsize_discrete size{interval.width, interval.height};
    interval.type = choice.style;
    if (choice.style != V4L2_FRMIVAL_TYPE_DISCRETE) {
        interval.stepwise = range_for(*format, size);
        return interval.index == 0 ? Result<>{} : fail(-EINVAL, "no more intervals");
    }
    std::uint32_t left = interval.index;
    for (const v4l2_fract& offered : choice.intervals) {
        if (!is_offered(*format, size, offered)) {
            continue;
        }
        if (left-- == 0) {
            interval.discrete = offered;
            return {};
        }
    }
    return fail(-EINVAL, "no more intervals");
}

v4l2_frmsize_discrete FormatCatalog::nearest_size(const CatalogFormat& format, std::uint32_t width,
                                                  std::uint32_t height) {
    const SizeChoice& choice = format.sizes;
    if (choice.style != V4L2_FRMSIZE_TYPE_DISCRETE) {
        const v4l2_frmsize_stepwise& range = choice.range;
        return {snapped(width, range.min_width, range.max_width, range.step_width),
                snapped(height, range.min_height, range.max_height, range.step_height)};
    }
    const auto difference = [&](const v4l2_frmsize_discrete& size) {
        return std::llabs(std::int64_t{size.width} - width) +
               std::llabs(std::int64_t{size.height} - height);
    };
    const auto area = [](const v4l2_frmsize_discrete& size) {
        return std::uint64_t{size.width} * size.height;
    };
    return *std::min_element(choice.sizes.begin(), choice.sizes.end(),
                             [&](const auto& a, const auto& b) {
                                 const auto to_a = difference(a);
                                 const auto to_b = difference(b);
                                 return to_a != to_b ? to_a < to_b : area(a) < area(b);
                             });
}

bool FormatCatalog::has_size(const CatalogFormat& format, std::uint32_t width,
                             std::uint32_t height) {
    const SizeChoice& choice = format.sizes;
    if (choice.style != V4L2_FRMSIZE_TYPE_DISCRETE) {
        const v4l2_frmsize_stepwise& range = choice.range;
        return is_on_step(width, range.min_width, range.max_width, range.step_width) &&
               is_on_step(height, range.min_height, range.max_height, range.step_height);
    }
    return std::any_of(choice.sizes.begin(), choice.sizes.end(), [=](const auto& size) {
        return size.width == width && size.height == height;
    });
}

v4l2_fract FormatCatalog::nearest_interval(const CatalogFormat& format,
                                           const v4l2_frmsize_discrete& size, v4l2_fract wanted) {
    const IntervalChoice& choice = format.intervals;
    if (!is_fraction(wanted)) {
        wanted = choice.usual;
    }
    if (choice.style != V4L2_FRMIVAL_TYPE_DISCRETE) {
        return nearest_in(range_for(format, size), choice.style, wanted);
    }
    v4l2_fract best = longest(choice.intervals);
    for (const v4l2_fract& offered : choice.intervals) {
        if (is_offered(format, size, offered) && nearer(wanted, offered, best)) {
            best = offered;
        }
    }
    return best;
}

}  // namespace v4lfence
