// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tools/stream/promises.hpp"

namespace v4lfence {
namespace {

constexpr auto no_words = [] { return std::string("broken"); };

TEST(Promises, promise_that_was_never_checked_is_not_held) {
    Promises promises;
    promises.make(PromiseId::InOrder);
    EXPECT_FALSE(promises.all_held());
    EXPECT_FALSE(promises.any_broken());
    promises.check(PromiseId::InOrder, true, no_words);
    EXPECT_TRUE(promises.all_held());
}

TEST(Promises, first_break_is_kept_in_words) {
    Promises promises;
    promises.make(PromiseId::InOrder);
    promises.check(PromiseId::InOrder, false, [] { return std::string("one"); });
    promises.check(PromiseId::InOrder, false, [] { return std::string("two"); });
    promises.check(PromiseId::InOrder, true, no_words);
    const auto made = promises.made();
    ASSERT_EQ(made.size(), 1U);
    EXPECT_EQ(made[0].first_break, "one");
    EXPECT_EQ(made[0].broken, 2U);
    EXPECT_EQ(made[0].checked, 3U);
    EXPECT_TRUE(promises.any_broken());
}

TEST(Promises, what_was_not_promised_is_not_judged) {
    Promises promises;
    promises.check(PromiseId::InOrder, false, no_words);
    EXPECT_TRUE(promises.made().empty());
    EXPECT_FALSE(promises.any_broken());
}

TEST(Promises, forgiveness_has_a_limit) {
    Promises promises;
    promises.make(PromiseId::NoErrors);
    promises.check(PromiseId::NoErrors, false, no_words);
    promises.check(PromiseId::NoErrors, false, no_words);
    promises.forgive(PromiseId::NoErrors, 1);
    EXPECT_TRUE(promises.any_broken());
    promises.forgive(PromiseId::NoErrors, 2);
    EXPECT_TRUE(promises.all_held());
    EXPECT_EQ(promises.made().front().forgiven, 2U);
}

TEST(Promises, names_are_unique) {
    Promises promises;
    std::set<std::string> names;
    for (unsigned id = 0; id < static_cast<unsigned>(PromiseId::Count); ++id) {
        promises.make(static_cast<PromiseId>(id));
    }
    for (const Promise& promise : promises.made()) {
        EXPECT_TRUE(names.insert(promise.name).second) << promise.name;
        EXPECT_STRNE(promise.meaning, "");
    }
}

}  // namespace
}  // namespace v4lfence
