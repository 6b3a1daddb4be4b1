// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <cstring>
#include <string>
#include <vector>

#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::DeviceRig;
using testing::OpenFile;

namespace {

class Inputs : public ::testing::Test {
protected:
    const DeviceRig rig;
    const OpenFile file = rig.open();

    void choose(unsigned input) const { ASSERT_EQ(file(VIDIOC_S_INPUT, input), 0); }

    std::vector<std::string> names(v4l2_std_id offered) const {
        rig.fake.offered = offered;
        std::vector<std::string> found;
        v4l2_standard standard;
        std::memset(&standard, 0xff, sizeof standard);
        standard.index = 0;
        while (file(VIDIOC_ENUMSTD, standard) == 0) {
            found.emplace_back(reinterpret_cast<const char*>(standard.name));
            ++standard.index;
        }
        return found;
    }
};

}  // namespace

TEST_F(Inputs, are_enumerated_and_chosen) {
    v4l2_input input;
    std::memset(&input, 0xff, sizeof input);
    input.index = 1;
    ASSERT_EQ(file(VIDIOC_ENUMINPUT, input), 0);
    EXPECT_EQ(input.reserved[0] | input.reserved[1] | input.reserved[2], 0U);
    EXPECT_EQ(input.status, 0U);
    input.index = 2;
    EXPECT_EQ(file(VIDIOC_ENUMINPUT, input), -EINVAL);
    unsigned chosen = 1;
    EXPECT_EQ(file(VIDIOC_S_INPUT, chosen), 0);
    chosen = 7;
    EXPECT_EQ(file(VIDIOC_S_INPUT, chosen), -EINVAL);
    EXPECT_EQ(file(VIDIOC_G_INPUT, chosen), 0);
    EXPECT_EQ(chosen, 1U);
}

TEST_F(Inputs, without_standards_have_no_data_of_them) {
    v4l2_standard standard{};
    v4l2_std_id id = V4L2_STD_PAL;
    EXPECT_EQ(file(VIDIOC_ENUMSTD, standard), -ENODATA);
    EXPECT_EQ(file(VIDIOC_G_STD, id), -ENODATA);
    EXPECT_EQ(file(VIDIOC_S_STD, id), -ENODATA);
    EXPECT_EQ(file(VIDIOC_QUERYSTD, id), -ENODATA);
}

TEST_F(Inputs, standards_are_those_that_are_offered) {
    choose(1);
    v4l2_std_id id = V4L2_STD_SECAM;
    EXPECT_EQ(file(VIDIOC_S_STD, id), -EINVAL);
    id = V4L2_STD_NTSC_M | V4L2_STD_SECAM;
    EXPECT_EQ(file(VIDIOC_S_STD, id), 0);
    EXPECT_EQ(file(VIDIOC_G_STD, id), 0);
    EXPECT_EQ(id, v4l2_std_id{V4L2_STD_NTSC_M});
    EXPECT_EQ(file(VIDIOC_QUERYSTD, id), 0);
    EXPECT_EQ(id, rig.fake.offered);
}

TEST_F(Inputs, standards_are_enumerated_as_the_kernel_does) {
    choose(1);
    using Names = std::vector<std::string>;
    EXPECT_EQ(names(V4L2_STD_PAL_I), Names{"PAL-I"});
    EXPECT_EQ(names(V4L2_STD_NTSC), (Names{"NTSC", "NTSC-M", "NTSC-M-JP", "NTSC-M-KR"}));
    EXPECT_EQ(names(V4L2_STD_PAL), (Names{"PAL", "PAL-BG", "PAL-H", "PAL-I", "PAL-DK"}));
    EXPECT_EQ(names(V4L2_STD_PAL_B | V4L2_STD_PAL_60), (Names{"PAL-B", "PAL-60"}));
    EXPECT_EQ(names(V4L2_STD_SECAM).front(), "SECAM");
    EXPECT_EQ(names(V4L2_STD_ALL).size(), 21U);
}

TEST_F(Inputs, standards_have_their_lines_and_period) {
    choose(1);
    v4l2_standard standard{};
    ASSERT_EQ(file(VIDIOC_ENUMSTD, standard), 0);
    EXPECT_EQ(standard.id, v4l2_std_id{V4L2_STD_NTSC_M});
    EXPECT_EQ(standard.framelines, 525U);
    EXPECT_EQ(standard.frameperiod.denominator, 30000U);
    standard.index = 1;
    ASSERT_EQ(file(VIDIOC_ENUMSTD, standard), 0);
    EXPECT_EQ(standard.framelines, 625U);
    EXPECT_EQ(standard.frameperiod.numerator, 1U);
    EXPECT_EQ(standard.frameperiod.denominator, 25U);
}

TEST_F(Inputs, timings_come_with_an_error_too) {
    v4l2_dv_timings timings{};
    EXPECT_EQ(file(VIDIOC_QUERY_DV_TIMINGS, timings), -ENOLINK);
    EXPECT_EQ(timings.bt.width, 720U);
    EXPECT_EQ(file(VIDIOC_G_DV_TIMINGS, timings), -ENOTTY);
}

TEST_F(Inputs, have_no_pads) {
    v4l2_dv_timings_cap capabilities{};
    v4l2_enum_dv_timings timings{};
    EXPECT_EQ(file(VIDIOC_DV_TIMINGS_CAP, capabilities), -ENOTTY);
    capabilities.pad = timings.pad = 1;
    EXPECT_EQ(file(VIDIOC_DV_TIMINGS_CAP, capabilities), -EINVAL);
    EXPECT_EQ(file(VIDIOC_ENUM_DV_TIMINGS, timings), -EINVAL);
}

}  // namespace v4lfence
