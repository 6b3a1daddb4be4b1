// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tools/exec/choice.hpp"

namespace v4lfence {
namespace {

using Words = std::vector<std::string>;

/// A machine with these numbers taken.
NodeNumbers taken(std::set<unsigned> names, std::set<unsigned> minors) {
    return {[names](unsigned number) { return names.contains(number); },
            [minors](unsigned minor) { return minors.contains(minor); }};
}

std::string chosen(const Words& words, const NodeNumbers& numbers = taken({}, {})) {
    const auto devices = choose_virtual(words, numbers);
    return devices ? virtual_text(*devices) : devices.error().message;
}

TEST(Choice, device_has_the_name_asked_for) {
    EXPECT_EQ(chosen({"camera=/dev/video0", "camera-mplane=/dev/video255"}),
              "/dev/video0 0 camera:/dev/video255 255 camera-mplane");
    EXPECT_EQ(chosen({}), "");
}

TEST(Choice, device_without_a_name_takes_the_first_that_is_free) {
    EXPECT_EQ(chosen({"camera"}), "/dev/video80 80 camera");
    EXPECT_EQ(chosen({"camera", "camera", "camera=/dev/video81"}, taken({80, 82}, {})),
              "/dev/video83 83 camera:/dev/video84 84 camera:/dev/video81 81 camera");
}

TEST(Choice, minor_is_none_of_a_node_of_the_kernels) {
    EXPECT_EQ(chosen({"camera=/dev/video0", "camera=/dev/video1"}, taken({0}, {0, 80})),
              "/dev/video0 256 camera:/dev/video1 1 camera");
}

TEST(Choice, no_name_left_is_the_machines_fault) {
    const NodeNumbers all{[](unsigned) { return true; }, [](unsigned) { return true; }};
    const auto devices = choose_virtual({"camera"}, all);
    ASSERT_FALSE(devices);
    EXPECT_EQ(devices.error().status, ExitStatus::MachineLacks);
}

TEST(Choice, no_more_devices_than_a_program_can_have) {
    EXPECT_TRUE(choose_virtual(Words(64, "camera"), taken({}, {})));
    const auto devices = choose_virtual(Words(65, "camera"), taken({}, {}));
    ASSERT_FALSE(devices);
    EXPECT_EQ(devices.error().status, ExitStatus::WrongUsage);
}

TEST(Choice, wrong_words_are_refused_with_a_sentence) {
    for (const char* word :
         {"", "toaster", "camera=", "camera=video0", "camera=/dev/video", "camera=/dev/video01",
          "camera=/dev/video256", "camera=/dev/video1x", "camera=/dev/video-1", "camera=/dev/vbi0",
          "camera=/dev/video99999999999", "Camera=/dev/video0", "output=/dev/video0", "m2m"}) {
        const auto devices = choose_virtual({word}, taken({}, {}));
        ASSERT_FALSE(devices) << word;
        EXPECT_EQ(devices.error().status, ExitStatus::WrongUsage) << word;
        EXPECT_TRUE(devices.error().message.ends_with(".")) << devices.error().message;
    }
    EXPECT_NE(chosen({"toaster"}).find("camera, camera-mplane"), std::string::npos);
    EXPECT_NE(chosen({"m2m"}).find("this version"), std::string::npos);
    EXPECT_NE(chosen({"camera=/dev/video7", "camera-mplane=/dev/video7"}).find("twice"),
              std::string::npos);
}

TEST(Choice, paths_of_a_text_are_those_put_in) {
    EXPECT_EQ(virtual_paths(chosen({"camera=/dev/video3", "camera"})),
              (Words{"/dev/video3", "/dev/video80"}));
    EXPECT_EQ(virtual_paths(""), Words{});
}

TEST(Choice, what_is_no_node_is_not_wrapped) {
    const auto status = [](const Words& paths, const Words& names) {
        const auto wrapped = choose_wrapped(paths, names);
        return wrapped ? ExitStatus::Success : wrapped.error().status;
    };
    EXPECT_EQ(status({}, {"/dev/video0"}), ExitStatus::Success);
    EXPECT_EQ(status({"/dev/video-none"}, {}), ExitStatus::MachineLacks);
    EXPECT_EQ(status({"/dev/null"}, {}), ExitStatus::WrongUsage);
    EXPECT_EQ(status({"/dev/null"}, {"/dev/null"}), ExitStatus::WrongUsage);
}

TEST(Choice, provider_is_known_and_there) {
    EXPECT_TRUE(check_provider(""));
    EXPECT_TRUE(check_provider("auto"));
    EXPECT_TRUE(check_provider("user"));
    const auto unknown = check_provider("magic");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().status, ExitStatus::WrongUsage);
}

}  // namespace
}  // namespace v4lfence
