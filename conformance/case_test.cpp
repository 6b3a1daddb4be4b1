// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <cstddef>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "conformance/case.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {
namespace {

// The patchset renumbered a flag of the kernel's once (#80); ours collide with none.
constexpr std::uint32_t fence_flags = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;
static_assert(V4L2_BUF_FLAG_LAST == 0x00100000 && V4L2_BUF_FLAG_REQUEST_FD == 0x00800000);
static_assert((fence_flags & (V4L2_BUF_FLAG_LAST | V4L2_BUF_FLAG_REQUEST_FD |
                              V4L2_BUF_FLAG_TSTAMP_SRC_MASK | V4L2_BUF_FLAG_TIMESTAMP_MASK)) == 0);
static_assert(offsetof(v4l2_buffer, reserved2) == 76 || sizeof(void*) != 8);

TEST(CaseName, pattern_without_glob_matches_itself_only) {
    EXPECT_TRUE(matches("order@any-mix", "order@any-mix"));
    EXPECT_FALSE(matches("order@any-mix", "order@any-mixture"));
    EXPECT_FALSE(matches("order@any-mix", "order@any-mi"));
    EXPECT_FALSE(matches("", "order@any-mix"));
}

TEST(CaseName, star_matches_any_run) {
    EXPECT_TRUE(matches("order@*", "order@any-mix"));
    EXPECT_TRUE(matches("*", "order@any-mix"));
    EXPECT_TRUE(matches("*@*mix", "order@any-mix"));
    EXPECT_TRUE(matches("order@any-mix**", "order@any-mix"));
    EXPECT_TRUE(matches("*a*a*b", "aaaab"));
    EXPECT_FALSE(matches("*a*a*b", "aaaabc"));
    EXPECT_FALSE(matches("order@*x-", "order@any-mix"));
}

TEST(CaseName, question_mark_matches_one) {
    EXPECT_TRUE(matches("order@any?mix", "order@any-mix"));
    EXPECT_FALSE(matches("order@any-mix?", "order@any-mix"));
}

Checked<> pass(Rig&) {
    return {};
}

TEST(CaseSelection, no_pattern_selects_all) {
    const std::vector<Case> cases{{"a@one", "1.1", "", "One", pass},
                                  {"b@two", "1.2", "", "", pass}};
    EXPECT_EQ(select_cases(cases, {}).size(), 2U);
}

TEST(CaseSelection, several_patterns_keep_the_order_of_cases) {
    const std::vector<Case> cases{{"a@one", "1.1", "", "One", pass},
                                  {"b@two", "1.2", "", "Two", pass},
                                  {"c@three", "1.3", "", "Three", pass}};
    const std::vector<std::string> patterns{"c@*", "a@one", "a@*"};
    const auto chosen = select_cases(cases, patterns);
    ASSERT_EQ(chosen.size(), 2U);
    EXPECT_EQ(chosen[0].name, "a@one");
    EXPECT_EQ(chosen[1].name, "c@three");
}

TEST(CaseList, line_has_name_lines_and_sentence) {
    const std::vector<Case> cases{{"a@one", "1.1", "", "One", pass},
                                  {"b@two-more", "1.2, 2", "", "Two", pass, Pace::Slow}};
    EXPECT_EQ(list_cases(cases), "a@one       1.1     One\n"
                                 "b@two-more  1.2, 2  Two (slow)\n");
}

TEST(AllCases, names_are_unique_and_of_one_shape) {
    const std::regex shape("[a-z0-9]+(-[a-z0-9]+)*@[a-z0-9]+(-[a-z0-9]+)*");
    std::set<std::string_view> names;
    for (const Case& entry : all_cases()) {
        EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
        EXPECT_TRUE(std::regex_match(std::string(entry.name), shape)) << entry.name;
        EXPECT_FALSE(entry.sentence.empty()) << entry.name;
        EXPECT_NE(entry.run, nullptr) << entry.name;
    }
    EXPECT_GT(names.size(), 250U);
}

TEST(AllCases, semantics_lines_are_numbers_of_the_page) {
    const std::regex shape("[1-7](\\.[0-9]{1,2})?(, [1-7](\\.[0-9]{1,2})?)*");
    for (const Case& entry : all_cases()) {
        // Stock behaviour has no line.
        EXPECT_EQ(entry.lines.empty(), entry.needs == Needs::Nothing) << entry.name;
        EXPECT_TRUE(entry.lines.empty() || std::regex_match(std::string(entry.lines), shape))
            << entry.name << ": " << entry.lines;
    }
}

/// Each numbered line that a kernel capture node can show has a case.
TEST(AllCases, every_line_a_capture_node_shows_is_pinned) {
    std::set<std::string> pinned;
    for (const Case& entry : all_cases()) {
        const std::string lines(entry.lines);
        const std::regex number("[0-9.]+");
        for (std::sregex_iterator at(lines.begin(), lines.end(), number), end; at != end; ++at) {
            pinned.insert(at->str());
        }
    }
    for (const char* line :
         {"1.1", "1.2", "1.4", "1.5", "2",   "2.1", "2.2", "2.3", "3",   "3.1", "3.2",
          "3.3", "3.4", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8", "5.1",
          "5.2", "5.3", "5.4", "5.5", "5.6", "5.7", "6.1", "6.2", "6.3", "6.4", "6.5",
          "6.6", "6.7", "6.8", "6.9", "7.1", "7.2", "7.3", "7.4", "7.5"}) {
        EXPECT_TRUE(pinned.contains(line)) << line;
    }
}

}  // namespace
}  // namespace v4lfence
