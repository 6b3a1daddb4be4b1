// SPDX-License-Identifier: MIT
//
// What a queue shows on the board of its process.

#include <gtest/gtest.h>

#include <vector>

#include "v4lfence/base/testing/board_view.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::BoardView;
using testing::Rig;

constexpr std::uint32_t capture = 1;

std::vector<QueueEvent> kinds(BoardView& view) {
    std::vector<QueueEvent> kinds;
    for (const TraceEvent& event : view.new_events()) {
        kinds.push_back(static_cast<QueueEvent>(event.kind));
    }
    return kinds;
}

// Pins: 6.1
TEST(QueueShown, without_a_fence_there_is_no_board) {
    Rig rig;
    rig.stream(2);
    ASSERT_TRUE(rig.driver.finish_one());
    ASSERT_EQ(rig.dqbuf(), 0);
    EXPECT_EQ(rig.core.board(), nullptr);
}

TEST(QueueShown, frames_are_told_from_the_first_fence_on) {
    Rig rig;
    rig.queue->show_as("virtual:test", capture);
    rig.options.fd.store(9);
    rig.stream(2);
    ASSERT_TRUE(rig.driver.finish_one());
    ASSERT_EQ(rig.dqbuf(), 0);
    ASSERT_EQ(rig.qbuf_out(0), 0);
    BoardView view(*rig.core.board());
    EXPECT_EQ(view.name(0), "virtual:test");
    const auto head = view.head<QueueHead>(0);
    EXPECT_EQ(head.type, capture);
    EXPECT_EQ(head.fd, 9);
    EXPECT_EQ(head.client_pid, 0);
    EXPECT_EQ(head.minimum, rig.queue->traits().minimum_queued);
    EXPECT_EQ(head.started, 1);
    EXPECT_EQ(head.given, 2U);
    EXPECT_EQ(view.cell<QueueCell>(0, 0).out_fence_fd, rig.out[0].get());
    EXPECT_EQ(view.cell<QueueCell>(0, 1).state, SlotState::Given);
    EXPECT_EQ(kinds(view),
              (std::vector{QueueEvent::Queued, QueueEvent::OutFenceMinted, QueueEvent::Given}));
    ASSERT_TRUE(rig.driver.finish(0));
    const auto events = view.new_events();
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].kind, static_cast<std::uint32_t>(QueueEvent::Done));
    EXPECT_EQ(events[0].detail, rig.query(0).sequence);
    EXPECT_GT(events[0].detail, 0U);
}

TEST(QueueShown, another_process_s_numbers_are_not_shown) {
    Rig rig;
    rig.options.client_pid.store(4321);
    ASSERT_EQ(rig.request(2), 2);
    auto fence = rig.fence();
    ASSERT_EQ(rig.qbuf_out(0, fence.fd.get()), 0);
    BoardView view(*rig.core.board());
    EXPECT_EQ(view.head<QueueHead>(0).client_pid, 4321);
    EXPECT_EQ(view.head<QueueHead>(0).fd, -1);
    EXPECT_EQ(view.cell<QueueCell>(0, 0).out_fence_fd, -1);
    EXPECT_GE(view.cell<QueueCell>(0, 0).in_fence_fd, 0);
    const auto events = view.new_events();
    EXPECT_EQ(events[0].detail, 0U);
    EXPECT_EQ(events[1].value, -1);
    fence.end();
}

TEST(QueueShown, wait_is_shown_while_it_lasts) {
    Rig rig;
    rig.stream(2);
    ASSERT_EQ(rig.driver.finish_one(), true);
    ASSERT_EQ(rig.dqbuf(), 0);
    ASSERT_EQ(rig.qbuf_out(0), 0);
    const BoardView view(*rig.core.board());
    const auto plan = rig.queue->begin_wait();
    ASSERT_TRUE(plan);
    EXPECT_GT(view.head<QueueHead>(0).waiting_since_ns, 0);
    EXPECT_TRUE(rig.queue->end_wait(*plan));
    EXPECT_EQ(view.head<QueueHead>(0).waiting_since_ns, 0);
}

// Pins: 2.1
TEST(QueueShown, first_fence_that_fails_leaves_no_board) {
    Rig rig;
    ASSERT_TRUE(rig.core.provider("user"));  // It is tried out with descriptors of its own.
    ASSERT_EQ(rig.request(2), 2);
    const std::size_t before = testing::open_descriptors();
    testing::until_it_fits([&](unsigned limit) {
        int status = 0;
        {
            const testing::DescriptorLimit lowered(limit);
            status = rig.qbuf_out(0);
        }
        if (status != 0) {
            EXPECT_EQ(rig.core.board(), nullptr) << limit;
            EXPECT_EQ(testing::open_descriptors(), before) << limit;
        }
        return status == 0;
    });
    EXPECT_NE(rig.core.board(), nullptr);
}

TEST(QueueShown, found_no_room_and_is_shown_when_there_is_some) {
    Rig rig;
    ASSERT_EQ(rig.request(3), 3);
    const auto other_user = rig.core.use_loop();
    ASSERT_TRUE(other_user);
    TraceBoard& board = *rig.core.board();
    std::vector<TraceBoard::Source> others;
    while (!board.is_full()) {
        others.push_back(board.add_source(1, "another"));
    }
    ASSERT_EQ(rig.qbuf_out(0), 0);
    ASSERT_EQ(rig.qbuf_out(1), 0);
    EXPECT_EQ(board.shown().sources_refused.load(), 1U);
    others.erase(others.begin());
    ASSERT_EQ(rig.qbuf_out(2), 0);
    const BoardView view(board);
    EXPECT_EQ(view.head<QueueHead>(0).held, 3U);
}

TEST(QueueShown, closed_queue_leaves_the_board) {
    Rig rig;
    ASSERT_EQ(rig.request(2), 2);
    ASSERT_EQ(rig.qbuf_out(0), 0);
    const auto other_user = rig.core.use_loop();
    ASSERT_TRUE(other_user);
    const BoardView view(*rig.core.board());
    EXPECT_NE(view.source(0).serial.load(), 0U);
    rig.queue->close();
    EXPECT_EQ(view.source(0).serial.load(), 0U);
    ASSERT_EQ(rig.request(2), 2);
    ASSERT_EQ(rig.qbuf_out(0), 0);
    EXPECT_NE(view.source(0).serial.load(), 0U);
}

}  // namespace
}  // namespace v4lfence
