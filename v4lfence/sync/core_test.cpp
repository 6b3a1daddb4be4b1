// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

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

TEST(Core, board_is_there_while_somebody_uses_the_loop) {
    Core core;
    const std::size_t before = testing::open_descriptors();
    EXPECT_EQ(core.board(), nullptr);
    auto first = core.use_loop();
    TraceBoard* const board = core.board();
    ASSERT_NE(board, nullptr);
    auto second = core.use_loop();
    *first = Core::LoopUse();
    EXPECT_EQ(core.board(), board);
    *second = Core::LoopUse();
    EXPECT_EQ(core.board(), nullptr);
    EXPECT_EQ(testing::open_descriptors(), before);
}

TEST(Core, board_of_an_own_loop_goes_with_its_last_user) {
    Core core;
    ASSERT_TRUE(core.use_own_loop());
    const std::size_t before = testing::open_descriptors();
    {
        const auto use = core.use_loop();
        ASSERT_TRUE(use);
        EXPECT_NE(core.board(), nullptr);
    }
    EXPECT_EQ(core.board(), nullptr);
    EXPECT_EQ(testing::open_descriptors(), before);
    EXPECT_TRUE(core.use_loop()) << "and another comes";
}

// Pins: 7.4
TEST(Core, forked_child_lets_go_of_the_board) {
    const std::size_t before = testing::open_descriptors();
    Core core;
    ASSERT_TRUE(core.use_own_loop());
    const auto use = core.use_loop();
    ASSERT_TRUE(use);
    ASSERT_NE(core.board(), nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        core.abandon();
        ::_exit(testing::open_descriptors() == before ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(Core, file_size_limit_takes_the_board_alone) {
    Core core;
    bool used = false;
    const TraceBoard* board = nullptr;
    {
        const testing::ResourceLimit limit(RLIMIT_FSIZE, 0);
        const auto use = core.use_loop();
        used = use.has_value();
        board = core.board();
    }
    EXPECT_TRUE(used);
    EXPECT_EQ(board, nullptr);
}

TEST(Core, no_board_where_none_is_wanted) {
    Core core;
    ASSERT_TRUE(core.use_board(false));
    const std::size_t before = testing::open_descriptors();
    {
        const auto use = core.use_loop();
        ASSERT_TRUE(use);
        EXPECT_EQ(core.board(), nullptr);
        EXPECT_TRUE(core.use_board(false)) << "as it is";
        EXPECT_EQ(core.use_board(true).error().code, -EBUSY);
    }
    EXPECT_EQ(testing::open_descriptors(), before);
    ASSERT_TRUE(core.use_board(true));
    const auto use = core.use_loop();
    ASSERT_TRUE(use);
    EXPECT_NE(core.board(), nullptr);
}

// Pins: 2.1
TEST(Core, provider_that_could_not_be_tried_is_asked_again) {
    Core core;
    {
        const testing::DescriptorLimit none(1);
        const auto provider = core.provider("eventfd");
        ASSERT_FALSE(provider);
        EXPECT_EQ(provider.error().code, -EMFILE);
        const auto reason = core.reason("eventfd");
        ASSERT_TRUE(reason);
        EXPECT_NE(std::string(*reason).find("descriptor"), std::string::npos) << *reason;
    }
    EXPECT_TRUE(core.provider("eventfd"));
    EXPECT_EQ(*core.reason("eventfd"), nullptr);
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
