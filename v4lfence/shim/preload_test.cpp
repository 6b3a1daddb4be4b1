// SPDX-License-Identifier: MIT
//
// Small programs (testing/probe.hpp) under the shim as it is built, with a library behind it that
// says what it is asked.

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "v4lfence/shim/built_paths.hpp"

namespace v4lfence::shim {
namespace {

std::string output_of(const std::string& command) {
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) {
        return "popen() failed";
    }
    std::string text;
    char part[512];
    while (const std::size_t count = std::fread(part, 1, sizeof part, pipe)) {
        text.append(part, count);
    }
    if (const int status = pclose(pipe); status != 0) {
        text += "exit status " + std::to_string(status) + "\n";
    }
    return text;
}

std::string quoted(const std::string& text) {
    return "'" + text + "'";
}

constexpr const char* devices =
    "V4LFENCE_SERVER=@nobody "
    "V4LFENCE_VIRTUAL='/dev/video80 80 camera:/dev/video81 81 camera-mplane' ";
constexpr const char* attached = "attach server=@nobody provider=- rfc=0 wrapped=0\n";

/// `front`: of another preload before the shim, "PATH:".
std::string run_with(const std::string& environment, const std::string& arguments,
                     const std::string& front = {}) {
    const std::filesystem::path fake = fake_library_path;
    return output_of("env -u LD_PRELOAD " + environment + "LD_LIBRARY_PATH=" +
                     quoted(fake.parent_path()) + " LD_PRELOAD=" + quoted(front + preload_path) +
                     " " + quoted(probe_path) + " " + arguments + " 2>&1");
}

std::string run(const std::string& arguments) {
    return run_with(devices, arguments);
}

std::string after_attach(const std::string& arguments) {
    std::string text = run(arguments);
    const std::string first = attached;
    EXPECT_TRUE(text.starts_with(first)) << text;
    return text.substr(std::min(first.size(), text.size()));
}

std::string hex(unsigned long request) {
    std::ostringstream text;
    text << std::hex << request;
    return text.str();
}

TEST(ShimPreload, every_call_on_a_device_reaches_the_library_and_no_other) {
    EXPECT_EQ(run("each_call"), std::string("loaded before: 0\n") + attached +
                                    "open_virtual /dev/video80 rw nonblock\n"
                                    "ioctl 80685600\nquery 0\n"
                                    "ioctl " +
                                    hex(VIDIOC_DQBUF) +
                                    "\ndqbuf 0\n"
                                    "fionread 0 0\n"
                                    "mmap 4096 2000\nmunmap 0\n"
                                    "read 4\nread 3\nread 5\nread 2\nread 4 readv 8 pread 2\n"
                                    "write 1\nwrite -1\n"
                                    "poll 1 0\npoll 1 2\npoll 0 ppoll 0\n"
                                    "select 7\nselect 0\n"
                                    "epoll_ctl 1\nepoll 0\n"
                                    "close\nclose 0, again -1\n");
}

TEST(ShimPreload, duplicates_are_the_same_file) {
    EXPECT_EQ(after_attach("each_duplicate"),
              "open_virtual /dev/video80 rw nonblock\n"
              "same_file\nsame_file\nsame_file\nsame_file\nsame_file\n"
              "ioctl 80685600\nioctl 80685600\nioctl 80685600\nioctl 80685600\nioctl 80685600\n"
              "41 is 81:80\n"
              "leave itself\nleft\n"
              "41 is ours: 0\n");
}

TEST(ShimPreload, number_that_dup2_would_not_change_is_not_left) {
    EXPECT_EQ(after_attach("refused_duplicates"), "open_virtual /dev/video80 rw\n"
                                                  "-1 -1 -1\nsame 1\n"
                                                  "leave itself\nleft\nsyscall 1\n");
}

TEST(ShimPreload, vfork_child_closes_numbers_of_its_own) {
    EXPECT_EQ(after_attach("in_vfork_child"), "open_virtual /dev/video80 rw\n"
                                              "child 0\nioctl 80685600\nquery 0\n");
}

TEST(ShimPreload, forked_child_closes_by_the_library) {
    EXPECT_EQ(after_attach("in_fork_child"), "open_virtual /dev/video80 rw\n"
                                             "close\nchild 0\nioctl 80685600\nquery 0\n");
}

TEST(ShimPreload, duplicate_that_is_not_seen_is_taken_over_when_used) {
    EXPECT_EQ(after_attach("unseen_duplicate"), "open_virtual /dev/video80 rw nonblock\n"
                                                "take_over 1\nioctl 80685600\nquery 0\n"
                                                "ioctl 80685600\nis 81:81\n"
                                                "take_over 1\nmmap 4096 0\nmapped 1\n");
}

TEST(ShimPreload, close_that_is_not_seen_leaves_the_number_to_the_next_file) {
    EXPECT_EQ(after_attach("unseen_close"), "open_virtual /dev/video80 rw nonblock\n"
                                            "same number 1\na pipe 1\n"
                                            "same number 1, query -1\n");
}

TEST(ShimPreload, descriptor_that_comes_by_exec_is_taken_over) {
    EXPECT_EQ(after_attach("inherited"), std::string("open_virtual /dev/video80 rw nonblock\n"
                                                     "same_file\n") +
                                             attached + "take_over 1\nioctl 80685600\nquery 0\n");
}

TEST(ShimPreload, closing_everything_spares_the_librarys_own) {
    const std::string spared = "ours 0, the library's 1\ndup2 -1 Device or resource busy\n";
    const std::string opened = "open_virtual /dev/video80 rw nonblock\nclose\n";
    EXPECT_EQ(after_attach("close_all from"), opened + spared);
    EXPECT_EQ(after_attach("close_all range"), opened + "close_range 0\n" + spared);
    EXPECT_EQ(after_attach("close_all syscall"), opened + "close_range 0\n" + spared);
    const std::string loop = after_attach("close_all loop");
    EXPECT_TRUE(loop.starts_with(opened + "closed ")) << loop;
    EXPECT_TRUE(loop.ends_with(spared)) << loop;
}

TEST(ShimPreload, range_of_a_table_of_its_own_is_no_other_threads) {
    EXPECT_EQ(after_attach("unsharing"), "open_virtual /dev/video80 rw\n"
                                         "close_range 0\nours 1\n");
}

TEST(ShimPreload, closing_everything_without_ranges_spares_the_librarys_own) {
    EXPECT_EQ(after_attach("without_ranges"), "open_virtual /dev/video80 rw\nclose\n"
                                              "ours 0 0 0, the library's 1\n");
}

TEST(ShimPreload, librarys_own_among_few_numbers_are_spared) {
    EXPECT_EQ(after_attach("few_numbers"), "open_virtual /dev/video80 rw\nclose\n"
                                           "library's 1 1, ours 0\nclose -1\n");
}

TEST(ShimPreload, calls_by_number_go_the_same_way) {
    EXPECT_EQ(after_attach("by_number"), "open_virtual /dev/video80 rw\n"
                                         "ioctl 80685600\nquery 0\n"
                                         "read 1\nread 1\n"
                                         "close\nclose 0\n"
                                         "pid 1\n"
                                         "error -1 Bad file descriptor\n");
}

TEST(ShimPreload, preload_in_front_gets_no_call_back) {
    EXPECT_EQ(run_with(devices, "open_path /dev/video80", std::string(front_path) + ":"),
              std::string(attached) + "open_virtual /dev/video80 ro\n"
                                      "/dev/video80: 20660 81:80\nclose\n");
}

TEST(ShimPreload, sync_file_request_is_the_librarys_after_enotty) {
    EXPECT_EQ(after_attach("sync_files"),
              "sync_ioctl c0383e04\ninfo -1 Inappropriate ioctl for device\n");
}

TEST(ShimPreload, wrapped_node_is_known_before_the_kernel_is_asked) {
    EXPECT_EQ(run_with("V4LFENCE_WRAP=/dev/null V4LFENCE_FENCES=pipe V4LFENCE_RFC_CAPS=1 ",
                       "wrapped /dev/null"),
              "fionread -1\n"
              "attach server=- provider=pipe rfc=1 wrapped=1\n"
              "take_over 1\nioctl 80685600\nquery 0\nioctl 80685600\nquery 0\nloaded 1\n");
}

constexpr const char* attached_to_null = "attach server=- provider=- rfc=0 wrapped=1\n";

// Pins: 6.4
TEST(ShimPreload, wrapped_node_is_known_before_it_is_registered) {
    EXPECT_EQ(run_with("V4LFENCE_WRAP=/dev/null ", "registered /dev/null"),
              std::string(attached_to_null) + "take_over 1\nepoll_ctl 1\nloaded 1\n");
    EXPECT_EQ(run_with("V4LFENCE_WRAP=/dev/null ", "registered /dev/zero"), "loaded 0\n");
}

TEST(ShimPreload, jump_out_of_a_wait_leaves_nothing_behind) {
    EXPECT_EQ(run_with("V4LFENCE_WRAP=/dev/null ", "jumps_out /dev/null"),
              std::string(attached_to_null) + "take_over 1\nioctl 80685600\nioctl " +
                  hex(VIDIOC_DQBUF) + "\nioctl 80685600\nquery 0\n");
}

TEST(ShimPreload, other_node_beside_a_wrapped_one_loads_nothing) {
    EXPECT_EQ(run_with("V4LFENCE_WRAP=/dev/null ", "wrapped /dev/zero"),
              "fionread -1\nquery -1\nquery -1\nloaded 0\n");
}

TEST(ShimPreload, without_an_environment_nothing_is_there) {
    EXPECT_EQ(run_with("", "open_path /dev/video80"), "/dev/video80: No such file or directory\n");
}

TEST(ShimPreload, call_of_the_thread_that_loads_passes_through) {
    EXPECT_EQ(
        run_with(std::string(devices) + "FAKE_OPENS_WHILE_LOADING=1 ", "open_path /dev/video80"),
        std::string("while loading: not there\n") + attached +
            "open_virtual /dev/video80 ro\n/dev/video80: 20660 81:80\nclose\n");
}

TEST(ShimPreload, flags_of_open_mean_what_they_mean_for_a_node) {
    const std::string opened = std::string("open_virtual /dev/video80 rw\n");
    const std::string is_node = "20660 81:80\nclose\n";
    EXPECT_EQ(run("open_flags"), std::string("O_CREAT|O_EXCL: File exists\n"
                                             "O_DIRECTORY: Not a directory\n"
                                             "O_PATH: 20660 81:80\n") +
                                     attached + opened + "O_TRUNC: " + is_node + opened +
                                     "O_NOFOLLOW: " + is_node +
                                     "O_NOFOLLOW of a link: Too many levels of symbolic links\n" +
                                     opened + "a link: " + is_node +
                                     "a text, writable: Permission denied\n"
                                     "a folder: 40755 0:0\n"
                                     "a node with a slash: Not a directory\n"
                                     "stat -1 Not a directory\n"
                                     "none: No such file or directory\n" +
                                     opened + opened + "again: " + is_node +
                                     "take_over 1\nioctl 80685600\n"
                                     "open_virtual /dev/video81 rw\n"
                                     "unknown: 20660 81:81\nclose\n");
}

TEST(ShimPreload, path_is_found_from_wherever_it_starts) {
    char folder[] = "shim-preload-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    const std::string opened = std::string("open_virtual /dev/video80 rw\n");
    const std::string is_node = "20660 81:80\nclose\n";
    EXPECT_EQ(after_attach(std::string("relative_paths ") + folder),
              opened + "by a link: " + is_node + "link itself 1\n" + opened + "here: " + is_node +
                  opened + "dots: " + is_node + opened + "at: " + is_node +
                  "not here: No such file or directory\n"
                  "a dot after none: No such file or directory\n" +
                  opened + "in ours: " + is_node);
    std::filesystem::remove_all(folder);
}

TEST(ShimPreload, texts_of_sysfs_can_be_read) {
    EXPECT_EQ(run("all_texts"), "MAJOR=81\nMINOR=81\nDEVNAME=video81\n"
                                "81:81\n"
                                "v4lfence camera-mplane\n"
                                "0\n"
                                "-1\n");
}

TEST(ShimPreload, links_lead_to_the_nodes) {
    EXPECT_EQ(run("all_links"), "5 ../..\n"
                                "/sys/devices/virtual/video4linux/video81\n"
                                "/dev/video81\n"
                                "0 -1 Permission denied\n");
}

TEST(ShimPreload, listings_show_the_devices) {
    const std::string listed = run("all_listings");
    for (const char* line : {"video80 1\nvideo81 1\n", "again 1, after the end 0\n",
                             "scandir video80\nscandir video81\n",
                             "glob /dev/v4l/by-id/usb-v4lfence_camera_80-video-index0\n",
                             "glob /dev/v4l/by-path/platform-v4lfence.81-video-index0\n"}) {
        EXPECT_NE(listed.find(line), std::string::npos) << line << "is not in\n" << listed;
    }
}

TEST(ShimPreload, a_node_is_one_file_for_every_stat) {
    EXPECT_EQ(run("all_stats"), std::string(attached) + "open_virtual /dev/video80 rw\n"
                                                        "20660 81:80 owned 1\nsame 1\n");
}

std::set<std::string> words_of(std::istream& text) {
    return {std::istream_iterator<std::string>(text), {}};
}

TEST(ShimBinary, exports_what_the_map_lists_and_nothing_else) {
    std::ifstream file(map_path);
    std::string map(std::istreambuf_iterator<char>(file), {});
    map.erase(0, map.find("global:") + 7);
    map.erase(map.find("local:"));
    for (auto from = map.find("/*"); from != std::string::npos; from = map.find("/*")) {
        map.erase(from, map.find("*/") + 2 - from);
    }
    std::replace(map.begin(), map.end(), ';', ' ');
    std::istringstream listed_text(map);
    std::set<std::string> listed = words_of(listed_text);
    if (sizeof(void*) == 8) {
        std::erase_if(listed, [](const std::string& name) {
            return name.ends_with("_time64") || name == "__select64" || name == "__pselect64" ||
                   name == "__ppoll64";
        });
    }
    std::istringstream exported_text(
        output_of("nm -D --defined-only " + quoted(preload_path) + " | cut -d' ' -f3"));
    EXPECT_EQ(words_of(exported_text), listed);
}

TEST(ShimBinary, needs_libc_alone_and_runs_nothing_at_start) {
    const std::string dynamic = output_of("LC_ALL=C readelf -d " + quoted(preload_path));
    std::size_t needed = 0;
    for (auto at = dynamic.find("(NEEDED)"); at != std::string::npos;
         at = dynamic.find("(NEEDED)", at + 1)) {
        ++needed;
    }
    EXPECT_EQ(needed, 1U) << dynamic;
    EXPECT_NE(dynamic.find("[libc.so.6]"), std::string::npos) << dynamic;
    for (const char* entry : {"(INIT)", "(INIT_ARRAY)", "(FINI)", "(FINI_ARRAY)", "(TEXTREL)"}) {
        EXPECT_EQ(dynamic.find(entry), std::string::npos) << dynamic;
    }
}

}  // namespace
}  // namespace v4lfence::shim
