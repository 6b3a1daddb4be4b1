// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "v4lfence/shim/paths.hpp"

namespace v4lfence::shim {
namespace {

/// Before the shim reads it: it does so once in a process.
const bool environment_set = [] {
    setenv("V4LFENCE_SERVER", "@nobody", 1);
    setenv("V4LFENCE_VIRTUAL", "/dev/video80 80 camera:/dev/video81 81 camera-mplane", 1);
    return true;
}();

Kind kind_of(const char* path, Follow follow = Follow::Yes) {
    return find_entry(AT_FDCWD, path, follow).kind;
}

TEST(ShimPaths, every_spelling_of_a_node_is_the_node) {
    for (const char* path :
         {"/dev/video80", "//dev//video80", "/dev/./video80", "/dev/../dev/video80",
          "/proc/self/root/dev/video80", "/proc/self/root/../dev/video80", "/dev/char/81:80",
          "/dev/v4l/by-id/usb-v4lfence_camera_80-video-index0",
          "/dev/v4l/by-path/../by-path/platform-v4lfence.80-video-index0"}) {
        EXPECT_EQ(kind_of(path), Kind::Node) << path;
    }
}

TEST(ShimPaths, what_is_near_a_node_is_none) {
    for (const char* path : {"", "/", "video80", "/video80", "/dev/video8", "/dev/video800",
                             "/dev/video80/", "/dev/video80/x", "/dev/char/81:8", "/dev/char/80:80",
                             "/dev/none/../video80", "/sys/class/video4linux/video80/device",
                             "/sys/class/video4linux/video82", "/dev/video80/../video81"}) {
        EXPECT_EQ(kind_of(path), Kind::None) << path;
    }
    EXPECT_EQ(find_entry(AT_FDCWD, nullptr, Follow::Yes).kind, Kind::None);
    EXPECT_EQ(kind_of(("/dev/" + std::string(5000, 'x') + "/video80").c_str()), Kind::None);
}

TEST(ShimPaths, links_are_followed_only_when_asked) {
    EXPECT_EQ(kind_of("/dev/char/81:80", Follow::No), Kind::Link);
    EXPECT_EQ(kind_of("/sys/dev/char/81:80", Follow::No), Kind::Link);
    EXPECT_EQ(kind_of("/sys/dev/char/81:80/uevent", Follow::No), Kind::Text);
    EXPECT_EQ(kind_of("/sys/class/video4linux/video80/subsystem/video81/index"), Kind::Text);
}

TEST(ShimPaths, relative_path_starts_where_the_program_is) {
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path("/dev");
    EXPECT_EQ(kind_of("video80"), Kind::Node);
    EXPECT_EQ(kind_of("./char/../video81"), Kind::Node);
    std::filesystem::current_path("/");
    EXPECT_EQ(kind_of("dev/video80"), Kind::Node);
    EXPECT_EQ(kind_of("video80"), Kind::None);
    const int dev = open("/dev", O_PATH | O_DIRECTORY);
    EXPECT_EQ(find_entry(dev, "video80", Follow::Yes).kind, Kind::Node);
    EXPECT_EQ(find_entry(dev, "../dev/video80", Follow::Yes).kind, Kind::Node);
    close(dev);
    EXPECT_EQ(find_entry(dev, "video80", Follow::Yes).kind, Kind::None);
    std::filesystem::current_path(before);
}

TEST(ShimPaths, link_of_the_file_system_is_looked_at_after_enoent) {
    char folder[] = "shim-paths-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    const std::string link = std::string(folder) + "/camera";
    const std::string loop = std::string(folder) + "/loop";
    ASSERT_EQ(symlink("/dev/v4l/by-path/platform-v4lfence.81-video-index0", link.c_str()), 0);
    ASSERT_EQ(symlink("loop", loop.c_str()), 0);
    EXPECT_EQ(kind_of(link.c_str()), Kind::None);
    EXPECT_EQ(find_missing(EACCES, AT_FDCWD, link.c_str(), Follow::Yes).kind, Kind::None);
    const Entry entry = find_missing(ENOENT, AT_FDCWD, link.c_str(), Follow::Yes);
    EXPECT_EQ(entry.kind, Kind::Node);
    EXPECT_EQ(entry.device, 1);
    EXPECT_EQ(find_missing(ENOENT, AT_FDCWD, loop.c_str(), Follow::Yes).kind, Kind::None);
    std::filesystem::remove_all(folder);
}

TEST(ShimPaths, errno_is_left_alone) {
    errno = EXDEV;
    find_entry(AT_FDCWD, "/nowhere/video80", Follow::Yes);
    find_missing(ENOENT, AT_FDCWD, "/nowhere/video80", Follow::Yes);
    EXPECT_EQ(errno, EXDEV);
}

TEST(ShimPaths, folders_are_the_kernels_until_it_has_none) {
    EXPECT_EQ(kind_of("/dev/v4l"), Kind::None);
    EXPECT_EQ(find_missing(ENOENT, AT_FDCWD, "/dev/v4l", Follow::Yes).kind, Kind::Folder);
    EXPECT_EQ(find_missing(ENOENT, AT_FDCWD, "/sys/dev/char/81:80/", Follow::Yes).kind,
              Kind::Folder);
}

TEST(ShimNames, every_listed_name_can_be_looked_up_and_has_an_inode_of_its_own) {
    std::set<unsigned long> inodes;
    unsigned count = 0;
    for (unsigned i = 0; i < static_cast<unsigned>(Folder::FirstDevice) + 2; ++i) {
        const auto folder = static_cast<Folder>(i);
        Listed listed;
        NameText storage;
        for (unsigned at = 0; list_entry(folder, at, listed, storage); ++at, ++count) {
            Path path;
            folder_path(folder, path);
            path.append("/");
            path.append(listed.name);
            EXPECT_TRUE(look_up(path.view())) << path.c_str();
            inodes.insert(listed.inode);
        }
    }
    EXPECT_EQ(count, 4U + 2 + 2 + 2 + 2 + 2 + 2 + 2 + 5 + 5);
    EXPECT_EQ(inodes.size(), count);
}

TEST(ShimNames, uevent_says_what_udev_would) {
    ItemText text;
    item_text(find_entry(AT_FDCWD, "/sys/dev/char/81:81/uevent", Follow::Yes), text);
    EXPECT_EQ(text.view(), "MAJOR=81\nMINOR=81\nDEVNAME=video81\n");
}

}  // namespace
}  // namespace v4lfence::shim
