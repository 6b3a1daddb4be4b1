// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>

#include "v4lfence/v4l2/format_names.hpp"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::DeviceRig;
using testing::OpenFile;

namespace {

constexpr std::uint32_t capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;
constexpr std::uint32_t capture_mplane = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;

/// As a careless program leaves it.
template <class Argument>
Argument garbage() {
    Argument argument;
    std::memset(&argument, 0xff, sizeof argument);
    return argument;
}

template <class Range>
bool is_zero(const Range& range) {
    return std::all_of(std::begin(range), std::end(range), [](auto each) { return each == 0; });
}

std::string description_of(std::uint32_t fourcc) {
    v4l2_fmtdesc format{};
    format.pixelformat = fourcc;
    describe_format(format);
    return reinterpret_cast<const char*>(format.description);
}

}  // namespace

TEST(EnumFmt, names_and_flags_are_the_kernels) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    auto format = garbage<v4l2_fmtdesc>();
    format.type = capture;
    format.index = 0;
    ASSERT_EQ(file(VIDIOC_ENUM_FMT, format), 0);
    EXPECT_EQ(format.pixelformat, std::uint32_t{V4L2_PIX_FMT_YUYV});
    EXPECT_STREQ(reinterpret_cast<const char*>(format.description), "YUYV 4:2:2");
    EXPECT_EQ(format.flags, 0U);
    EXPECT_EQ(format.mbus_code, 0U);
    EXPECT_TRUE(is_zero(format.reserved));
    format.index = 2;
    ASSERT_EQ(file(VIDIOC_ENUM_FMT, format), 0);
    EXPECT_STREQ(reinterpret_cast<const char*>(format.description), "Motion-JPEG");
    EXPECT_EQ(format.flags, std::uint32_t{V4L2_FMT_FLAG_COMPRESSED});
    format.index = 3;
    EXPECT_EQ(file(VIDIOC_ENUM_FMT, format), -EINVAL);
    EXPECT_EQ(description_of(V4L2_PIX_FMT_NV12M), "Y/CbCr 4:2:0 (N-C)");
    EXPECT_EQ(description_of(V4L2_PIX_FMT_XBGR32), "32-bit BGRX 8-8-8-8");
    EXPECT_EQ(description_of(v4l2_fourcc('A', 'B', 'C', 'D')), "ABCD");
}

TEST(Formats, of_another_type_are_refused) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    v4l2_format format{};
    v4l2_fmtdesc description{};
    v4l2_streamparm parm{};
    for (const std::uint32_t type :
         {0U, std::uint32_t{V4L2_BUF_TYPE_VIDEO_OUTPUT}, capture_mplane, UINT32_MAX}) {
        format.type = description.type = parm.type = type;
        EXPECT_EQ(file(VIDIOC_G_FMT, format), -EINVAL);
        EXPECT_EQ(file(VIDIOC_S_FMT, format), -EINVAL);
        EXPECT_EQ(file(VIDIOC_TRY_FMT, format), -EINVAL);
        EXPECT_EQ(file(VIDIOC_ENUM_FMT, description), -EINVAL);
        EXPECT_EQ(file(VIDIOC_G_PARM, parm), -EINVAL);
        EXPECT_EQ(file(VIDIOC_S_PARM, parm), -EINVAL);
    }
}

TEST(Formats, old_programs_need_not_know_the_extended_fields) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    auto format = garbage<v4l2_format>();
    format.type = capture;
    ASSERT_EQ(file(VIDIOC_TRY_FMT, format), 0);
    EXPECT_EQ(format.fmt.pix.quantization, 0U);
    EXPECT_EQ(format.fmt.pix.priv, V4L2_PIX_FMT_PRIV_MAGIC);
    EXPECT_TRUE(is_zero(std::span(format.fmt.raw_data).subspan(sizeof format.fmt.pix)));
    format.fmt.pix.quantization = V4L2_QUANTIZATION_FULL_RANGE;
    ASSERT_EQ(file(VIDIOC_S_FMT, format), 0);
    auto now = garbage<v4l2_format>();
    now.type = capture;
    ASSERT_EQ(file(VIDIOC_G_FMT, now), 0);
    EXPECT_EQ(now.fmt.pix.quantization, std::uint32_t{V4L2_QUANTIZATION_FULL_RANGE});
    EXPECT_EQ(std::memcmp(&now, &format, sizeof now), 0);
}

TEST(Formats, of_several_planes_have_their_reserved_words_zeroed) {
    const DeviceRig rig(capture_mplane);
    const OpenFile file = rig.open();
    auto format = garbage<v4l2_format>();
    format.type = capture_mplane;
    ASSERT_EQ(file(VIDIOC_TRY_FMT, format), 0);
    EXPECT_TRUE(is_zero(format.fmt.pix_mp.reserved));
    for (const v4l2_plane_pix_format& plane : format.fmt.pix_mp.plane_fmt) {
        EXPECT_TRUE(is_zero(plane.reserved));
    }
}

TEST(Formats, enumerations_have_their_reserved_words_zeroed) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    auto size = garbage<v4l2_frmsizeenum>();
    size.index = 0;
    size.pixel_format = V4L2_PIX_FMT_GREY;
    ASSERT_EQ(file(VIDIOC_ENUM_FRAMESIZES, size), 0);
    EXPECT_TRUE(is_zero(size.reserved));
    EXPECT_EQ(size.stepwise.step_height, 8U);
    auto interval = garbage<v4l2_frmivalenum>();
    interval.index = 1;
    interval.pixel_format = V4L2_PIX_FMT_YUYV;
    interval.width = 640;
    interval.height = 480;
    ASSERT_EQ(file(VIDIOC_ENUM_FRAMEINTERVALS, interval), 0);
    EXPECT_TRUE(is_zero(interval.reserved));
    EXPECT_EQ(interval.discrete.denominator, 60U);
}

TEST(Parm, driver_sees_only_what_it_may) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    auto parm = garbage<v4l2_streamparm>();
    parm.type = capture;
    ASSERT_EQ(file(VIDIOC_G_PARM, parm), 0);
    EXPECT_TRUE(is_zero(rig.fake.last_parm.parm.raw_data));
    EXPECT_EQ(parm.parm.capture.capability, std::uint32_t{V4L2_CAP_TIMEPERFRAME});
    parm = garbage<v4l2_streamparm>();
    parm.type = capture;
    ASSERT_EQ(file(VIDIOC_S_PARM, parm), 0);
    const v4l2_captureparm& seen = rig.fake.last_parm.parm.capture;
    EXPECT_TRUE(is_zero(seen.reserved));
    EXPECT_EQ(seen.extendedmode, 0U);
    EXPECT_EQ(seen.capturemode, std::uint32_t{V4L2_MODE_HIGHQUALITY});
    EXPECT_EQ(seen.timeperframe.numerator, UINT32_MAX);
}

}  // namespace v4lfence
