// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <cerrno>

#include "tools/video/names.hpp"

namespace v4lfence {
namespace {

TEST(Names, fourcc_goes_both_ways) {
    for (const std::uint32_t fourcc :
         {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_NV12M, V4L2_PIX_FMT_Y16_BE, V4L2_PIX_FMT_Y10}) {
        EXPECT_EQ(fourcc_from_text(fourcc_text(fourcc)), fourcc) << fourcc_text(fourcc);
    }
    EXPECT_EQ(fourcc_text(V4L2_PIX_FMT_Y16_BE), "Y16-BE");
    EXPECT_EQ(fourcc_text(V4L2_PIX_FMT_Y10), "Y10");
}

TEST(Names, fourcc_text_shows_no_control_characters) {
    EXPECT_EQ(fourcc_text(0x1b5b4a00), "?J[?");
}

TEST(Names, what_is_no_fourcc_is_refused) {
    EXPECT_FALSE(fourcc_from_text(""));
    EXPECT_FALSE(fourcc_from_text("YUYV2"));
    EXPECT_FALSE(fourcc_from_text("\x01UYV"));
}

TEST(Names, errno_text_takes_either_sign) {
    EXPECT_EQ(errno_text(EBUSY), "Device or resource busy (EBUSY)");
    EXPECT_EQ(errno_text(-EBUSY), errno_text(EBUSY));
    EXPECT_EQ(errno_text(99999), "error 99999");
}

TEST(Names, buffer_type_beyond_the_known_is_unknown) {
    EXPECT_STREQ(buffer_type_name(V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE), "capture-mplane");
    EXPECT_STREQ(buffer_type_name(V4L2_BUF_TYPE_META_OUTPUT), "meta-output");
    EXPECT_STREQ(buffer_type_name(1000), "unknown");
}

TEST(Names, field_text_ends_at_the_field) {
    const std::uint8_t full[4] = {'a', 'b', 'c', 'd'};
    const std::uint8_t padded[4] = {'a', 'b', 0, 'd'};
    EXPECT_EQ(field_text(full), "abcd");
    EXPECT_EQ(field_text(padded), "ab");
}

}  // namespace
}  // namespace v4lfence
