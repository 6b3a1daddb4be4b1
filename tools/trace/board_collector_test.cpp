// SPDX-License-Identifier: MIT

#include "tools/trace/board_collector.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tools/trace/testing/board_child.hpp"

namespace v4lfence {
namespace {

constexpr std::uint32_t some_kind = 7;

TEST(BoardCollector, events_of_several_looks_come_once_and_in_order) {
    BoardChild child(some_kind, [](const ShownBoard& shown) { shown.record(1); },
                     [](const ShownBoard& shown) { shown.record(2, 2); });
    BoardCollector collector(0);
    ASSERT_TRUE(collector.look_for_boards(child.pid()));
    collector.collect(UnfinishedRecord::Await);
    child.step();
    ASSERT_TRUE(collector.look_for_boards(child.pid()));
    collector.collect(UnfinishedRecord::Await);
    collector.collect(UnfinishedRecord::Skip);
    const Recording& recording = collector.recording();
    ASSERT_EQ(recording.events.size(), 3U);
    EXPECT_EQ(recording.events[0].event.kind, 1U);
    EXPECT_EQ(recording.events[2].event.kind, 2U);
    ASSERT_EQ(recording.processes.size(), 1U);
    EXPECT_EQ(recording.processes[0].pid, child.pid());
    EXPECT_EQ(recording.processes[0].lost, 0U);
    ASSERT_EQ(recording.sources.size(), 1U);
    EXPECT_EQ(recording.sources[0].name, BoardChild::source_name);
    EXPECT_EQ(recording.sources[0].kind, some_kind);
}

TEST(BoardCollector, last_events_of_a_process_come_after_its_end) {
    BoardChild child(some_kind, [](const ShownBoard&) {},
                     [](const ShownBoard& shown) { shown.record(9); });
    BoardCollector collector(0);
    ASSERT_TRUE(collector.look_for_boards(child.pid()));
    child.step();
    child.kill();
    collector.collect(UnfinishedRecord::Skip);
    ASSERT_EQ(collector.recording().events.size(), 1U);
    EXPECT_EQ(collector.recording().events[0].event.kind, 9U);
}

TEST(BoardCollector, source_that_has_come_and_gone_keeps_its_name) {
    BoardChild child(some_kind, [](const ShownBoard& shown) { shown.record(1); },
                     [](const ShownBoard& shown) { shown.source = TraceBoard::Source(); });
    BoardCollector collector(0);
    ASSERT_TRUE(collector.look_for_boards(child.pid()));
    child.step();
    collector.collect(UnfinishedRecord::Skip);
    ASSERT_EQ(collector.recording().sources.size(), 1U);
    EXPECT_EQ(collector.recording().sources[0].name, BoardChild::source_name);
}

TEST(BoardCollector, overwritten_events_are_lost) {
    BoardChild child(some_kind, [](const ShownBoard& shown) {
        shown.record(1, trace_records_max + 5);
    });
    BoardCollector collector(0);
    ASSERT_TRUE(collector.look_for_boards(child.pid()));
    collector.collect(UnfinishedRecord::Await);
    EXPECT_EQ(collector.recording().processes[0].lost, 5U);
    EXPECT_EQ(collector.recording().events.size(), trace_records_max);
}

TEST(BoardCollector, process_without_a_board_is_waited_for) {
    BoardCollector collector(0);
    EXPECT_TRUE(collector.look_for_boards(::getpid()));
    EXPECT_FALSE(collector.has_boards());
}

TEST(ProcessTree, has_the_children_of_children) {
    const BoardChild child(some_kind, [](const ShownBoard&) {});
    EXPECT_THAT(process_tree(::getpid()), testing::Contains(child.pid()));
    EXPECT_THAT(process_tree(child.pid()), testing::ElementsAre(child.pid()));
}

}  // namespace
}  // namespace v4lfence
