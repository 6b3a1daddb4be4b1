// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <cstring>
#include <string_view>

#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::DeviceRig;
using testing::OpenFile;

TEST(Querycap, tells_who_it_is) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    v4l2_capability caps;
    std::memset(&caps, 0xff, sizeof caps);
    ASSERT_EQ(file(VIDIOC_QUERYCAP, caps), 0);
    EXPECT_STREQ(reinterpret_cast<const char*>(caps.driver), "fake");
    EXPECT_STREQ(reinterpret_cast<const char*>(caps.bus_info), "platform:fake-000");
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(caps.card)).size(),
              sizeof caps.card - 1)
        << "cut, and with an end";
    EXPECT_GE(caps.version >> 16, 3U);
    constexpr std::uint32_t device =
        V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_EXT_PIX_FORMAT;
    EXPECT_EQ(caps.device_caps, device);
    EXPECT_EQ(caps.capabilities, device | V4L2_CAP_DEVICE_CAPS);
    EXPECT_EQ(caps.reserved[0] | caps.reserved[1] | caps.reserved[2], 0U);
}

// Pins: 1.3
TEST(Querycap, rfc_bit_shows_only_when_asked_for) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    const OpenFile other = rig.open();
    constexpr std::uint32_t ordered = 0x20000000;
    v4l2_capability caps{};
    ASSERT_EQ(file(VIDIOC_QUERYCAP, caps), 0);
    EXPECT_EQ(caps.device_caps & ordered, 0U);
    file.handle().set_rfc_caps(true);
    ASSERT_EQ(file(VIDIOC_QUERYCAP, caps), 0);
    EXPECT_NE(caps.device_caps & caps.capabilities & ordered, 0U);
    ASSERT_EQ(other(VIDIOC_QUERYCAP, caps), 0);
    EXPECT_EQ(caps.capabilities & ordered, 0U);
}

}  // namespace v4lfence
