// SPDX-License-Identifier: MIT

#include "tools/trace/lanes.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "tools/trace/testing/script.hpp"

namespace v4lfence {
namespace {

Lanes lanes_of(Script& script) {
    sort_by_time(script.recording);
    return make_lanes(script.recording);
}

void expect_slice(const LaneSlice& slice, SliceKind kind, std::int64_t begin, std::int64_t end) {
    EXPECT_EQ(slice.kind, kind);
    EXPECT_EQ(slice.begin_ns, Script::ms(begin));
    EXPECT_EQ(slice.end_ns, Script::ms(end));
}

TEST(Lanes, frame_is_held_given_done) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0 capture");
    script.frame(queue, 1, 4);
    const Lanes lanes = lanes_of(script);
    ASSERT_EQ(lanes.groups.size(), 1U);
    const LaneGroup& group = lanes.groups[0];
    EXPECT_EQ(group.name, "video0 capture");
    ASSERT_EQ(group.lanes.size(), 3U);
    ASSERT_EQ(group.lanes[0].slices.size(), 3U);
    EXPECT_EQ(group.lanes[0].name, "buffer 1");
    expect_slice(group.lanes[0].slices[0], SliceKind::Held, 16, 18);
    expect_slice(group.lanes[0].slices[1], SliceKind::Given, 18, 38);
    expect_slice(group.lanes[0].slices[2], SliceKind::Done, 38, 39);
    EXPECT_EQ(group.lanes[0].slices[2].sequence, 1U);
    EXPECT_EQ(group.lanes[1].kind, LaneKind::InFences);
    expect_slice(group.lanes[1].slices.at(0), SliceKind::InFence, 16, 18);
    EXPECT_EQ(group.lanes[2].kind, LaneKind::OutFences);
    expect_slice(group.lanes[2].slices.at(0), SliceKind::OutFence, 16, 38);
    EXPECT_EQ(fence_name(group, group.lanes[2], 1), "video0 capture 1 #1");
}

TEST(Lanes, events_may_come_in_any_order) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.frame(queue, 2, 4);
    script.frame(queue, 1, 4);
    const Lanes lanes = lanes_of(script);
    expect_slice(lanes.groups.at(0).lanes.at(0).slices.at(1), SliceKind::Given, 18, 38);
}

TEST(Lanes, what_began_before_the_trace_is_cut) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.frame(queue, 1, 4);
    script.recording.begin_ns = Script::ms(30);
    const Lanes lanes = lanes_of(script);
    const auto& slices = lanes.groups.at(0).lanes.at(0).slices;
    ASSERT_EQ(slices.size(), 2U);
    expect_slice(slices[0], SliceKind::Given, 30, 38);
    EXPECT_TRUE(slices[0].begun_before);
    EXPECT_FALSE(slices[1].begun_before);
}

TEST(Lanes, what_was_never_seen_to_begin_begins_with_the_trace) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.at(40, queue, QueueEvent::Done, 0, 5);
    script.at(40, queue, QueueEvent::OutFenceEnded, 0, 5);
    script.at(50, queue, QueueEvent::Dequeued, 0, 5);
    const Lanes lanes = lanes_of(script);
    const auto& lane = lanes.groups.at(0).lanes.at(0);
    expect_slice(lane.slices.at(0), SliceKind::Given, 0, 40);
    EXPECT_TRUE(lane.slices.at(0).begun_before);
    expect_slice(lane.slices.at(1), SliceKind::Done, 40, 50);
    expect_slice(lanes.groups.at(0).lanes.at(1).slices.at(0), SliceKind::OutFence, 0, 40);
}

TEST(Lanes, what_goes_on_is_open) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.at(40, queue, QueueEvent::Queued, 0, 5, 1);
    const Lanes lanes = lanes_of(script);
    expect_slice(lanes.groups.at(0).lanes.at(0).slices.at(0), SliceKind::Held, 40, 1000);
    EXPECT_TRUE(lanes.groups.at(0).lanes.at(0).slices.at(0).still_open);
    EXPECT_TRUE(lanes.groups.at(0).lanes.at(1).slices.at(0).still_open);
}

TEST(Lanes, streamoff_ends_everything) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.at(10, queue, QueueEvent::Queued, 0, 1);
    script.at(10, queue, QueueEvent::OutFenceMinted, 0, 1, 10);
    script.at(11, queue, QueueEvent::Given, 0, 1);
    script.at(20, queue, QueueEvent::StreamOff, 0, 0, -ECANCELED);
    script.at(20, queue, QueueEvent::OutFenceEnded, 0, 1, -ECANCELED);
    const Lanes lanes = lanes_of(script);
    const LaneGroup& group = lanes.groups.at(0);
    expect_slice(group.lanes.at(0).slices.at(1), SliceKind::Given, 11, 20);
    ASSERT_EQ(group.lanes.at(1).slices.size(), 1U);
    EXPECT_EQ(group.lanes.at(1).slices[0].error, -ECANCELED);
    EXPECT_FALSE(group.lanes.at(1).slices[0].still_open);
    EXPECT_EQ(group.marks.at(0).text, "STREAMOFF");
}

TEST(Lanes, failed_buffer_was_never_given) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.at(10, queue, QueueEvent::Queued, 0, 1, 1);
    script.at(20, queue, QueueEvent::InFenceEnded, 0, 1, -ETIME);
    script.at(20, queue, QueueEvent::Expired, 0, 1, 0);
    script.at(20, queue, QueueEvent::Failed, 0, 1, -ETIME);
    script.at(30, queue, QueueEvent::Dequeued, 0, 1);
    const Lanes lanes = lanes_of(script);
    const auto& buffer = lanes.groups.at(0).lanes.at(0);
    ASSERT_EQ(buffer.slices.size(), 2U);
    expect_slice(buffer.slices[0], SliceKind::Held, 10, 20);
    expect_slice(buffer.slices[1], SliceKind::Done, 20, 30);
    EXPECT_EQ(buffer.slices[1].error, -ETIME);
    EXPECT_EQ(buffer.marks.at(0).text, "given up: deadline");
    EXPECT_EQ(lanes.groups.at(0).lanes.at(1).slices.at(0).error, -ETIME);
}

TEST(Lanes, failed_start_holds_the_buffers_again) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.at(10, queue, QueueEvent::Queued, 0, 1);
    script.at(11, queue, QueueEvent::Given, 0, 1);
    script.at(12, queue, QueueEvent::StartFailed, 0, 0, -EIO);
    const Lanes lanes = lanes_of(script);
    const auto& slices = lanes.groups.at(0).lanes.at(0).slices;
    ASSERT_EQ(slices.size(), 3U);
    expect_slice(slices[2], SliceKind::Held, 12, 1000);
    EXPECT_TRUE(lanes.groups.at(0).marks.at(0).bad);
}

TEST(Lanes, picture_is_on_its_way_then_on_screen) {
    Script script;
    const auto display = script.display(script.process(7, "player"), "card0 Virtual-1");
    script.at(10, display, DisplayEvent::Commit, 3, 1, 1);
    script.at(16, display, DisplayEvent::Flip, 3, 1, 2);
    script.at(17, display, DisplayEvent::Commit, 4, 2, 1);
    script.at(32, display, DisplayEvent::Flip, 4, 2, 3);
    script.at(40, display, DisplayEvent::Closed, 0, 2);
    const Lanes lanes = lanes_of(script);
    const LaneGroup& group = lanes.groups.at(0);
    expect_slice(group.lanes.at(0).slices.at(0), SliceKind::Commit, 10, 16);
    expect_slice(group.lanes.at(0).slices.at(1), SliceKind::Commit, 17, 32);
    const auto& screen = group.lanes.at(1).slices;
    ASSERT_EQ(screen.size(), 3U);
    EXPECT_EQ(screen[0].picture, 2U);
    EXPECT_TRUE(screen[0].begun_before);
    expect_slice(screen[1], SliceKind::OnScreen, 16, 32);
    EXPECT_EQ(screen[1].picture, 3U);
    expect_slice(screen[2], SliceKind::OnScreen, 32, 40);
}

TEST(Lanes, arrow_goes_from_a_fence_to_the_buffer_that_waited) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.at(10, queue, QueueEvent::Queued, 0, 1);
    script.at(10, queue, QueueEvent::OutFenceMinted, 0, 1, 33);
    script.at(12, queue, QueueEvent::Queued, 1, 2, 1, 34);
    script.at(20, queue, QueueEvent::OutFenceEnded, 0, 1);
    script.at(21, queue, QueueEvent::InFenceEnded, 1, 2);
    // The number is used again, for a fence of which nobody knows whose it is.
    script.at(30, queue, QueueEvent::Queued, 2, 3, 1, 99);
    script.at(40, queue, QueueEvent::InFenceEnded, 2, 3);
    const Lanes lanes = lanes_of(script);
    ASSERT_EQ(lanes.arrows.size(), 1U);
    EXPECT_EQ(lanes.arrows[0].from.time_ns, Script::ms(20));
    EXPECT_EQ(lanes.arrows[0].to.time_ns, Script::ms(21));
    EXPECT_EQ(lanes.arrows[0].to.job, 2U);
}

TEST(Lanes, arrows_go_to_a_display_and_back) {
    Script script;
    const auto process = script.process(7, "player");
    const auto queue = script.queue(process, "video0");
    const auto display = script.display(process, "card0");
    script.at(10, queue, QueueEvent::Queued, 0, 1);
    script.at(10, queue, QueueEvent::OutFenceMinted, 0, 1, 33);
    script.at(11, display, DisplayEvent::Commit, 1, 1, 1, 34U | std::uint64_t{51} << 32);
    script.at(12, queue, QueueEvent::Queued, 1, 2, 1, 51);
    script.at(20, queue, QueueEvent::OutFenceEnded, 0, 1);
    script.at(32, display, DisplayEvent::Flip, 1, 1, 0);
    script.at(33, queue, QueueEvent::InFenceEnded, 1, 2);
    const Lanes lanes = lanes_of(script);
    ASSERT_EQ(lanes.arrows.size(), 2U);
    EXPECT_EQ(lanes.arrows[0].from.time_ns, Script::ms(20));
    EXPECT_EQ(lanes.arrows[0].to.time_ns, Script::ms(32));
    EXPECT_EQ(lanes.arrows[1].from.time_ns, Script::ms(32));
    EXPECT_EQ(lanes.arrows[1].to.time_ns, Script::ms(33));
}

TEST(Lanes, end_of_a_fence_may_be_told_after_the_one_who_waited_has_seen_it) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.at(10, queue, QueueEvent::Queued, 0, 1);
    script.at(10, queue, QueueEvent::OutFenceMinted, 0, 1, 33);
    script.at(12, queue, QueueEvent::Queued, 1, 2, 1, 34);
    script.at(20, queue, QueueEvent::InFenceEnded, 1, 2);
    script.at(21, queue, QueueEvent::OutFenceEnded, 0, 1);
    const Lanes lanes = lanes_of(script);
    ASSERT_EQ(lanes.arrows.size(), 1U);
    EXPECT_EQ(lanes.arrows[0].from.time_ns, Script::ms(20));
}

TEST(Lanes, fence_that_had_ended_before_is_not_what_was_waited_for) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.at(10, queue, QueueEvent::Queued, 0, 1);
    script.at(10, queue, QueueEvent::OutFenceMinted, 0, 1, 33);
    script.at(11, queue, QueueEvent::OutFenceEnded, 0, 1);
    script.at(12, queue, QueueEvent::Queued, 1, 2, 1, 34);  // the number is another fence's now
    script.at(21, queue, QueueEvent::InFenceEnded, 1, 2);
    EXPECT_TRUE(lanes_of(script).arrows.empty());
}

TEST(Lanes, numbers_of_other_processes_are_not_mixed_up) {
    Script script;
    const auto one = script.queue(script.process(7, "one"), "video0");
    const auto other = script.queue(script.process(8, "other"), "video1");
    script.at(10, one, QueueEvent::Queued, 0, 1);
    script.at(10, one, QueueEvent::OutFenceMinted, 0, 1, 33);
    script.at(12, other, QueueEvent::Queued, 0, 1, 1, 34);
    script.at(20, one, QueueEvent::OutFenceEnded, 0, 1);
    script.at(21, other, QueueEvent::InFenceEnded, 0, 1);
    EXPECT_TRUE(lanes_of(script).arrows.empty());
}

TEST(Lanes, source_of_an_unknown_kind_is_left_out) {
    Script script;
    const auto queue = script.queue(script.process(7, "camera"), "video0");
    script.frame(queue, 1, 4);
    script.recording.sources[queue].kind = 77;
    EXPECT_TRUE(lanes_of(script).groups.empty());
}

TEST(Recording, last_frames_are_those_of_the_busiest_queue) {
    Script script;
    const auto process = script.process(7, "camera");
    const auto queue = script.queue(process, "video0");
    const auto idle = script.queue(process, "video1");
    for (std::uint64_t number = 1; number <= 10; ++number) {
        script.frame(queue, number, 4);
    }
    script.frame(idle, 1, 4);
    script.kernel(20, "vb2", "vb2_qbuf", {});
    script.kernel(180, "vb2", "vb2_qbuf", {});
    sort_by_time(script.recording);
    EXPECT_EQ(count_frames(script.recording), 10U);
    keep_last_frames(script.recording, 3);
    EXPECT_EQ(count_frames(script.recording), 3U);
    EXPECT_EQ(script.recording.begin_ns, Script::ms(7 * 16 + 23) + 1);
    EXPECT_EQ(script.recording.kernel_events.size(), 1U);
    keep_last_frames(script.recording, 100);
    EXPECT_EQ(count_frames(script.recording), 3U);
}

}  // namespace
}  // namespace v4lfence
