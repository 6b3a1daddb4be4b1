// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <cstring>

#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::DeviceRig;
using testing::OpenFile;

namespace {

constexpr std::uint32_t capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;
constexpr std::uint32_t capture_mplane = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;

}  // namespace

/// Either type for either device; the driver knows one.
class SelectionOf : public ::testing::TestWithParam<std::uint32_t> {
protected:
    const DeviceRig rig{GetParam()};
    const OpenFile file = rig.open();
};

TEST_P(SelectionOf, either_type_is_taken_and_given_back) {
    for (const std::uint32_t type : {capture, capture_mplane}) {
        v4l2_selection selection;
        std::memset(&selection, 0xff, sizeof selection);
        selection.type = type;
        selection.target = V4L2_SEL_TGT_CROP;
        selection.r = {8, 8, 64, 64};
        selection.flags = 0;
        ASSERT_EQ(file(VIDIOC_S_SELECTION, selection), 0);
        EXPECT_EQ(selection.type, type);
        EXPECT_EQ(selection.reserved[8], 0U);
        EXPECT_EQ(rig.fake.last_selection.type, capture);
        EXPECT_EQ(rig.fake.last_selection.reserved[8], 0U);
        selection.r = {};
        ASSERT_EQ(file(VIDIOC_G_SELECTION, selection), 0);
        EXPECT_EQ(selection.r.width, 64U);
    }
}

TEST_P(SelectionOf, cropping_is_made_of_it) {
    v4l2_cropcap cropcap;
    std::memset(&cropcap, 0xff, sizeof cropcap);
    cropcap.type = GetParam();
    ASSERT_EQ(file(VIDIOC_CROPCAP, cropcap), 0);
    EXPECT_EQ(cropcap.type, GetParam());
    EXPECT_EQ(cropcap.bounds.width, 640U);
    EXPECT_EQ(cropcap.defrect.height, 480U);
    EXPECT_EQ(cropcap.pixelaspect.numerator, 11U);
    v4l2_crop crop{};
    crop.type = GetParam();
    crop.c = {16, 0, 32, 24};
    ASSERT_EQ(file(VIDIOC_S_CROP, crop), 0);
    EXPECT_EQ(rig.fake.last_selection.target, std::uint32_t{V4L2_SEL_TGT_CROP});
    crop.c = {};
    ASSERT_EQ(file(VIDIOC_G_CROP, crop), 0);
    EXPECT_EQ(crop.c.left, 16);
    EXPECT_EQ(crop.c.height, 24U);
}

TEST_P(SelectionOf, output_types_are_refused) {
    v4l2_selection selection{};
    v4l2_cropcap cropcap{};
    v4l2_crop crop{};
    for (const std::uint32_t type : {0U, std::uint32_t{V4L2_BUF_TYPE_VIDEO_OUTPUT}, UINT32_MAX}) {
        selection.type = cropcap.type = crop.type = type;
        EXPECT_EQ(file(VIDIOC_G_SELECTION, selection), -EINVAL);
        EXPECT_EQ(file(VIDIOC_S_SELECTION, selection), -EINVAL);
        EXPECT_EQ(file(VIDIOC_CROPCAP, cropcap), -EINVAL);
        EXPECT_EQ(file(VIDIOC_G_CROP, crop), -EINVAL);
        EXPECT_EQ(file(VIDIOC_S_CROP, crop), -EINVAL);
    }
}

INSTANTIATE_TEST_SUITE_P(Devices, SelectionOf, ::testing::Values(capture, capture_mplane));

}  // namespace v4lfence
