// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "tools/exec/command_line.hpp"

namespace v4lfence {
namespace {

using Words = std::vector<std::string>;

/// Both halves, as words.
struct Halves {
    Words options;
    Words command;
    bool operator==(const Halves&) const = default;
};

Halves split(Words words) {
    std::vector<char*> pointers;
    for (std::string& word : words) {
        pointers.push_back(word.data());
    }
    const SplitLine line = split_command_line(pointers);
    return {{line.options.begin(), line.options.end()}, {line.command.begin(), line.command.end()}};
}

TEST(CommandLine, command_begins_after_two_dashes) {
    EXPECT_EQ(split({"--json", "--", "ls", "-l", "--", "--json"}),
              (Halves{{"--json"}, {"ls", "-l", "--", "--json"}}));
    EXPECT_EQ(split({"--", "-x"}), (Halves{{}, {"-x"}}));
}

TEST(CommandLine, command_begins_with_the_first_word_that_is_no_option) {
    EXPECT_EQ(split({"--virtual", "camera", "--json", "ls", "--all"}),
              (Halves{{"--virtual", "camera", "--json"}, {"ls", "--all"}}));
    EXPECT_EQ(split({"--virtual=camera", "ls"}), (Halves{{"--virtual=camera"}, {"ls"}}));
    EXPECT_EQ(split({"--wrap", "/dev/video0", "--fences", "vgem", "exec", "-h"}),
              (Halves{{"--wrap", "/dev/video0", "--fences", "vgem"}, {"exec", "-h"}}));
}

TEST(CommandLine, without_a_command_all_are_options) {
    EXPECT_EQ(split({}), (Halves{}));
    EXPECT_EQ(split({"--help"}), (Halves{{"--help"}, {}}));
    EXPECT_EQ(split({"--json", "--"}), (Halves{{"--json"}, {}}));
    EXPECT_EQ(split({"--wrap"}), (Halves{{"--wrap"}, {}}));
    EXPECT_EQ(split({"--wrap", "--"}), (Halves{{"--wrap", "--"}, {}}));
}

}  // namespace
}  // namespace v4lfence
