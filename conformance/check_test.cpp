// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "conformance/check.hpp"

namespace v4lfence {
namespace {

Checked<int> positive(int number) {
    CHECK(number > 0, "{} is not positive", number);
    return number;
}

Checked<int> sum(int first, int second) {
    return TRY(positive(TRY(positive(first)))) + TRY(positive(second));
}

Checked<> through_a_result(Result<int> result) {
    TRY(std::move(result));
    return {};
}

TEST(Check, values_pass_through_try) {
    const auto result = sum(1, 2);
    ASSERT_TRUE(result);
    EXPECT_EQ(*result, 3);
}

TEST(Check, first_failure_ends_the_case_with_its_message) {
    const auto result = sum(1, -2);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().outcome, Outcome::Failed);
    EXPECT_EQ(result.error().message, "-2 is not positive");
}

TEST(Check, error_of_the_library_names_call_and_errno) {
    const auto result = through_a_result(fail(-EMFILE, "dup"));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "dup: EMFILE");
    EXPECT_TRUE(through_a_result(1));
}

TEST(Check, answers_compares_negative_results_with_an_errno) {
    EXPECT_TRUE(answers(-EINVAL, EINVAL, "QBUF"));
    EXPECT_TRUE(answers(0, 0, "QBUF"));
    const auto wrong = answers(-EIO, EINVAL, "QBUF");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().message, "QBUF answered EIO, expected EINVAL");
    EXPECT_FALSE(answers(0, EINVAL, "QBUF"));
}

TEST(Check, errno_without_a_name_is_a_number) {
    EXPECT_EQ(errno_name(-EAGAIN), "EAGAIN");
    EXPECT_EQ(errno_name(0), "0");
    EXPECT_EQ(errno_name(4095), "errno 4095");
}

TEST(Check, skip_is_no_failure) {
    const Checked<> result = skipped("nothing to test with");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().outcome, Outcome::Skipped);
}

}  // namespace
}  // namespace v4lfence
