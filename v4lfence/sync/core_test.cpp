// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <cerrno>

#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/sync/core.hpp"

namespace v4lfence {
namespace {

// Pins: 7.3
TEST(Core, loop_runs_while_somebody_uses_it) {
    Core core;
    const std::size_t before = testing::open_descriptors();
    EXPECT_FALSE(core.reactor().has_thread());
    auto first = core.use_loop();
    auto second = core.use_loop();
    ASSERT_TRUE(first && second);
    EXPECT_TRUE(core.reactor().has_thread());
    *first = Core::LoopUse();
    EXPECT_TRUE(core.reactor().has_thread());
    *second = Core::LoopUse();
    EXPECT_FALSE(core.reactor().has_thread());
    EXPECT_EQ(testing::open_descriptors(), before);
}

// Pins: 7.3
TEST(Core, loop_starts_again_for_the_next_user) {
    Core core;
    { const auto use = core.use_loop(); }
    const auto again = core.use_loop();
    ASSERT_TRUE(again);
    EXPECT_TRUE(core.reactor().has_thread());
}

// Pins: 7.3
TEST(Core, own_loop_needs_no_thread) {
    Core core;
    const auto fd = core.use_own_loop();
    ASSERT_TRUE(fd);
    EXPECT_GE(*fd, 0);
    const auto use = core.use_loop();
    ASSERT_TRUE(use);
    EXPECT_FALSE(core.reactor().has_thread());
}

TEST(Core, own_loop_after_the_thread_is_refused) {
    Core core;
    const auto use = core.use_loop();
    const auto fd = core.use_own_loop();
    ASSERT_FALSE(fd);
    EXPECT_EQ(fd.error().code, -EBUSY);
}

// Pins: 2.1
TEST(Core, loop_without_descriptors_leaves_nothing_behind) {
    Core core;
    const std::size_t before = testing::open_descriptors();
    {
        const testing::DescriptorLimit lowered(static_cast<unsigned>(before));
        const auto use = core.use_loop();
        ASSERT_FALSE(use);
        EXPECT_EQ(use.error().code, -EMFILE);
    }
    EXPECT_EQ(testing::open_descriptors(), before);
    EXPECT_FALSE(core.reactor().has_thread());
}

TEST(Core, unknown_provider_is_refused) {
    Core core;
    EXPECT_EQ(core.provider("gpu").error().code, -EINVAL);
    EXPECT_EQ(core.reason("gpu").error().code, -EINVAL);
    ASSERT_TRUE(core.provider("auto"));
    EXPECT_EQ((*core.provider("auto"))->traits().name, "user");
    EXPECT_EQ(*core.reason("user"), nullptr);
}

}  // namespace
}  // namespace v4lfence
