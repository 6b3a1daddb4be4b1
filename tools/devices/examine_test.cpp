// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include "tools/devices/examine.hpp"
#include "tools/devices/find.hpp"

namespace v4lfence {
namespace {

TEST(Examine, kind_names_what_a_node_does) {
    EXPECT_EQ(node_kind(V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING), "capture");
    EXPECT_EQ(node_kind(V4L2_CAP_VIDEO_CAPTURE_MPLANE), "capture-mplane");
    EXPECT_EQ(node_kind(V4L2_CAP_VIDEO_OUTPUT), "output");
    EXPECT_EQ(node_kind(V4L2_CAP_VIDEO_M2M), "m2m");
    EXPECT_EQ(node_kind(V4L2_CAP_VIDEO_M2M_MPLANE), "m2m-mplane");
    EXPECT_EQ(node_kind(V4L2_CAP_META_CAPTURE), "metadata");
    EXPECT_EQ(node_kind(V4L2_CAP_TOUCH | V4L2_CAP_VIDEO_CAPTURE), "touch");
    EXPECT_EQ(node_kind(V4L2_CAP_STREAMING), "other");
}

TEST(Examine, node_that_is_missing_is_reported_not_fatal) {
    const NodeFacts facts = examine_node("/dev/video-that-is-not-there");
    EXPECT_EQ(facts.kind, "unknown");
    EXPECT_EQ(facts.error, "No such file or directory (ENOENT)");
    EXPECT_TRUE(facts.queues.empty());
}

TEST(Examine, file_that_is_no_device_is_reported) {
    const NodeFacts facts = examine_node("/dev/null");
    EXPECT_NE(facts.error.find("not a V4L2 device"), std::string::npos) << facts.error;
}

TEST(Find, numbers_sort_by_value) {
    EXPECT_TRUE(natural_less("/dev/video2", "/dev/video10"));
    EXPECT_FALSE(natural_less("/dev/video10", "/dev/video2"));
    EXPECT_TRUE(natural_less("/dev/radio9", "/dev/video0"));
    EXPECT_FALSE(natural_less("/dev/video0", "/dev/video0"));
}

}  // namespace
}  // namespace v4lfence
