// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tools/exec/environment.hpp"

namespace v4lfence {
namespace {

using Text = std::map<std::string, std::string>;

const PreloadLibrary library{"/lib/shim.so", false};

Text set_by(const ShimSettings& settings, const Text& outer = {}) {
    const auto look_up = [&](const char* name) {
        const auto found = outer.find(name);
        return found == outer.end() ? std::string() : found->second;
    };
    Text set;
    for (const Variable& variable : environment_of(settings, library, look_up)) {
        set[variable.name] = variable.value;
    }
    return set;
}

ShimSettings with_camera(const std::string& path) {
    ShimSettings settings;
    settings.server = "@inner";
    settings.devices = {{path, 80, "camera"}};
    return settings;
}

TEST(Environment, names_what_was_chosen_and_no_more) {
    EXPECT_EQ(set_by({}), (Text{{"LD_PRELOAD", "/lib/shim.so"}}));
    ShimSettings all = with_camera("/dev/video80");
    all.wrapped = {"/dev/video0", "/dev/video1"};
    all.provider = "vgem";
    all.rfc_caps = true;
    EXPECT_EQ(set_by(all), (Text{{"LD_PRELOAD", "/lib/shim.so"},
                                 {"V4LFENCE_SERVER", "@inner"},
                                 {"V4LFENCE_VIRTUAL", "/dev/video80 80 camera"},
                                 {"V4LFENCE_WRAP", "/dev/video0:/dev/video1"},
                                 {"V4LFENCE_FENCES", "vgem"},
                                 {"V4LFENCE_RFC_CAPS", "1"}}));
}

TEST(Environment, keeps_what_else_is_preloaded_behind_ours) {
    EXPECT_EQ(set_by({}, {{"LD_PRELOAD", "/a.so /b.so"}}).at("LD_PRELOAD"),
              "/lib/shim.so:/a.so:/b.so");
    EXPECT_EQ(set_by({}, {{"LD_PRELOAD", "/a.so:/lib/shim.so"}}).at("LD_PRELOAD"),
              "/lib/shim.so:/a.so");
}

TEST(Environment, nodes_are_added_to_those_of_an_outer_exec) {
    ShimSettings inner;
    inner.wrapped = {"/dev/video1", "/dev/video2"};
    const Text set = set_by(inner, {{"V4LFENCE_WRAP", "/dev/video0:/dev/video1"},
                                    {"V4LFENCE_VIRTUAL", "/dev/video80 80 camera"},
                                    {"V4LFENCE_SERVER", "@outer"}});
    EXPECT_EQ(set.at("V4LFENCE_WRAP"), "/dev/video0:/dev/video1:/dev/video2");
    EXPECT_FALSE(set.contains("V4LFENCE_VIRTUAL"));
    EXPECT_FALSE(set.contains("V4LFENCE_SERVER"));
}

TEST(Environment, virtual_device_takes_the_place_of_an_outer_execs_node) {
    const Text set = set_by(with_camera("/dev/video0"), {{"V4LFENCE_WRAP", "/dev/video0"},
                                                         {"V4LFENCE_VIRTUAL", "/dev/video9 9 x"},
                                                         {"V4LFENCE_SERVER", "@outer"}});
    EXPECT_EQ(set.at("V4LFENCE_WRAP"), "");
    EXPECT_EQ(set.at("V4LFENCE_VIRTUAL"), "/dev/video0 80 camera");
    EXPECT_EQ(set.at("V4LFENCE_SERVER"), "@inner");
}

TEST(Environment, loader_chooses_where_there_are_two_libraries) {
    const std::string path = "/usr/lib/x86_64-linux-gnu/v4lfence/shim.so";
    for (const char* narrow :
         {"/usr/lib/i386-linux-gnu/v4lfence/shim.so", "/usr/lib32/v4lfence/shim.so"}) {
        const auto both =
            preload_library_at(path, [&](const std::string& other) { return other == narrow; });
        EXPECT_EQ(both.value, "/usr/$LIB/v4lfence/shim.so");
        EXPECT_TRUE(both.has_32bit);
    }
    const auto one = preload_library_at(path, [](const std::string&) { return false; });
    EXPECT_EQ(one.value, path);
    EXPECT_FALSE(one.has_32bit);
}

TEST(Environment, quotes_whatever_a_shell_would_read) {
    EXPECT_EQ(shell_quoted("a b"), "'a b'");
    EXPECT_EQ(shell_quoted("it's $HOME"), "'it'\\''s $HOME'");
    EXPECT_EQ(shell_quoted(""), "''");
}

TEST(Environment, json_has_devices_and_variables) {
    const ShimSettings settings = with_camera("/dev/video80");
    const auto json = settings_json(
        settings, environment_of(settings, library, [](const char*) { return std::string(); }));
    EXPECT_EQ(json["virtual"][0]["path"], "/dev/video80");
    EXPECT_EQ(json["virtual"][0]["minor"], 80);
    EXPECT_EQ(json["environment"]["V4LFENCE_SERVER"], "@inner");
    EXPECT_TRUE(json["wrap"].empty());
}

}  // namespace
}  // namespace v4lfence
