// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "v4lfence/shim/config.hpp"

namespace v4lfence::shim {
namespace {

std::unique_ptr<Config> read(const Environment& environment) {
    auto config = std::make_unique<Config>();
    read_config(environment, *config);
    return config;
}

TEST(ShimConfig, nothing_set_asks_for_nothing) {
    const auto config = read({});
    EXPECT_EQ(config->device_count, 0U);
    EXPECT_EQ(config->wrapped_count, 0U);
    EXPECT_EQ(config->server.length(), 0U);
}

TEST(ShimConfig, each_entry_becomes_a_device) {
    const auto config = read({.server = "@s",
                              .virtual_devices = "/dev/video80 80 camera:/run/cam 5 camera-mplane",
                              .provider = "pipe",
                              .rfc_caps = "1"});
    ASSERT_EQ(config->device_count, 2U);
    EXPECT_EQ(config->devices[0].path.view(), "/dev/video80");
    EXPECT_EQ(config->devices[0].node.view(), "video80");
    EXPECT_EQ(config->devices[0].minor, 80U);
    EXPECT_TRUE(config->devices[0].is_in_dev);
    EXPECT_EQ(config->devices[0].id.view(), "usb-v4lfence_camera_80-video-index0");
    EXPECT_EQ(config->devices[1].kind.view(), "camera-mplane");
    EXPECT_EQ(config->devices[1].place.view(), "platform-v4lfence.5-video-index0");
    EXPECT_FALSE(config->devices[1].is_in_dev);
    EXPECT_TRUE(config->has_elsewhere);
    EXPECT_EQ(config->provider.view(), "pipe");
    EXPECT_TRUE(config->rfc_caps);
}

TEST(ShimConfig, devices_without_a_server_are_none) {
    EXPECT_EQ(read({.virtual_devices = "/dev/video80 80 camera"})->device_count, 0U);
}

class Malformed : public testing::TestWithParam<const char*> {};

TEST_P(Malformed, entry_is_ignored_and_the_next_is_read) {
    const std::string devices = std::string(GetParam()) + ":/dev/video9 9 camera";
    const auto config = read({.server = "@s", .virtual_devices = devices.c_str()});
    ASSERT_EQ(config->device_count, 1U);
    EXPECT_EQ(config->devices[0].path.view(), "/dev/video9");
}

INSTANTIATE_TEST_SUITE_P(
    ShimConfig, Malformed,
    testing::Values("", " ", "/dev/video80", "/dev/video80 80", "/dev/video80 80 ", "video80 80 c",
                    "/dev/../video80 80 c", "/dev//video80 80 c", "/dev/video80/ 80 c",
                    "/dev/video80 -1 c", "/dev/video80 8x c", "/dev/video80 1048576 c",
                    "/dev/video80 99999999999999 c", "/dev/video80 80 a b", "/dev/video80 80 a/b",
                    "/dev/v\ni 80 c", "/dev/x 80 a-kind-with-a-name-that-is-too-long",
                    "/dev/a-node-with-a-name-that-is-much-too-long-for-one 80 c"));

TEST(ShimConfig, second_device_of_a_minor_is_ignored) {
    const auto config =
        read({.server = "@s", .virtual_devices = "/dev/video1 1 camera:/dev/video2 1 camera"});
    ASSERT_EQ(config->device_count, 1U);
    EXPECT_EQ(config->devices[0].node.view(), "video1");
}

TEST(ShimConfig, only_absolute_paths_are_wrapped) {
    const auto config = read({.wrapped = "/dev/video0::video1:/dev/video2"});
    ASSERT_EQ(config->wrapped_count, 2U);
    EXPECT_EQ(config->wrapped[1].view(), "/dev/video2");
}

TEST(ShimConfig, more_devices_than_there_is_room_for_are_ignored) {
    std::string devices;
    for (unsigned i = 0; i < devices_max + 5; ++i) {
        const std::string number = std::to_string(i);
        devices += "/dev/video" + number + " " + number + " camera:";
    }
    EXPECT_EQ(read({.server = "@s", .virtual_devices = devices.c_str()})->device_count,
              devices_max);
}

}  // namespace
}  // namespace v4lfence::shim
