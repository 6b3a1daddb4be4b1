// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/timings.hpp"

#include <linux/v4l2-dv-timings.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>

namespace v4lfence {

namespace {

// The header's macros leave members out that are 0, and name some that they do not leave out.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Wc99-designator"
#endif
constexpr v4l2_dv_timings known_timings[] = {
    V4L2_DV_BT_CEA_1280X720P60,   V4L2_DV_BT_CEA_1280X720P24,  V4L2_DV_BT_CEA_1280X720P25,
    V4L2_DV_BT_CEA_1280X720P30,   V4L2_DV_BT_CEA_1280X720P50,  V4L2_DV_BT_CEA_640X480P59_94,
    V4L2_DV_BT_CEA_720X480P59_94, V4L2_DV_BT_CEA_720X576P50,   V4L2_DV_BT_CEA_1920X1080P24,
    V4L2_DV_BT_CEA_1920X1080P25,  V4L2_DV_BT_CEA_1920X1080P30, V4L2_DV_BT_CEA_1920X1080P50,
    V4L2_DV_BT_CEA_1920X1080P60,  V4L2_DV_BT_CEA_3840X2160P24, V4L2_DV_BT_CEA_3840X2160P25,
    V4L2_DV_BT_CEA_3840X2160P30,  V4L2_DV_BT_CEA_3840X2160P50, V4L2_DV_BT_CEA_3840X2160P60,
    V4L2_DV_BT_DMT_800X600P60,    V4L2_DV_BT_DMT_1024X768P60,  V4L2_DV_BT_DMT_1280X1024P60,
    V4L2_DV_BT_DMT_1600X1200P60,  V4L2_DV_BT_DMT_1920X1200P60,
};
#pragma GCC diagnostic pop

constexpr std::uint64_t clock_tolerance_hz = 250000;

bool same(const v4l2_bt_timings& a, const v4l2_bt_timings& b) {
    // Copies: the struct is packed, and its members have no place that a reference could have.
    const std::uint64_t clock = a.pixelclock;
    const std::uint64_t other_clock = b.pixelclock;
    const std::uint64_t clocks_apart = std::max(clock, other_clock) - std::min(clock, other_clock);
    return a.width == b.width && a.height == b.height && a.interlaced == b.interlaced &&
           clocks_apart <= clock_tolerance_hz &&
           V4L2_DV_BT_FRAME_WIDTH(&a) == V4L2_DV_BT_FRAME_WIDTH(&b) &&
           V4L2_DV_BT_FRAME_HEIGHT(&a) == V4L2_DV_BT_FRAME_HEIGHT(&b);
}

}  // namespace

std::span<const v4l2_dv_timings> camera_timings() {
    return known_timings;
}

const v4l2_dv_timings& usual_timings() {
    return known_timings[0];
}

const v4l2_dv_timings* find_timings(const v4l2_bt_timings& wanted) {
    const auto* found = std::find_if(std::begin(known_timings), std::end(known_timings),
                                     [&](const auto& known) { return same(known.bt, wanted); });
    return found == std::end(known_timings) ? nullptr : found;
}

v4l2_dv_timings_cap timings_limits() {
    v4l2_dv_timings_cap cap{};
    cap.type = V4L2_DV_BT_656_1120;
    v4l2_bt_timings_cap& bt = cap.bt;
    const v4l2_bt_timings& first = known_timings[0].bt;
    bt.min_width = first.width;
    bt.min_height = first.height;
    bt.min_pixelclock = first.pixelclock;
    bt.capabilities = V4L2_DV_BT_CAP_PROGRESSIVE;
    for (const v4l2_dv_timings& known : known_timings) {
        const v4l2_bt_timings& each = known.bt;
        bt.min_width = std::min(bt.min_width, each.width);
        bt.max_width = std::max(bt.max_width, each.width);
        bt.min_height = std::min(bt.min_height, each.height);
        bt.max_height = std::max(bt.max_height, each.height);
        bt.min_pixelclock =
            std::min(std::uint64_t{bt.min_pixelclock}, std::uint64_t{each.pixelclock});
        bt.max_pixelclock =
            std::max(std::uint64_t{bt.max_pixelclock}, std::uint64_t{each.pixelclock});
        bt.standards |= each.standards;
    }
    return cap;
}

v4l2_fract interval_of(const v4l2_bt_timings& timings) {
    // Reduced, a rate of 60 is one of 60/1.001.
    const bool reduced = (timings.flags & V4L2_DV_FL_REDUCED_FPS) != 0;
    const std::uint64_t pixels =
        std::uint64_t{V4L2_DV_BT_FRAME_WIDTH(&timings)} * V4L2_DV_BT_FRAME_HEIGHT(&timings);
    const std::uint64_t numerator = pixels * (reduced ? 1001 : 1);
    const std::uint64_t denominator = timings.pixelclock * (reduced ? 1000 : 1);
    const std::uint64_t common = std::gcd(numerator, denominator);
    return {static_cast<std::uint32_t>(numerator / common),
            static_cast<std::uint32_t>(denominator / common)};
}

}  // namespace v4lfence
