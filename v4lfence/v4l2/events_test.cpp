// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include "v4lfence/v4l2/events.hpp"
#include "v4lfence/v4l2/testing/control_rig.hpp"

namespace v4lfence {
namespace {

using testing::brightness;
using testing::ControlRig;
using testing::RigFile;

class Events : public ::testing::Test, protected ControlRig {
protected:
    void raise(std::uint32_t type, std::uint32_t payload = 0, std::uint32_t id = 0,
               const EventQueue* cause = nullptr) {
        v4l2_event event{};
        event.type = type;
        event.id = id;
        event.u.frame_sync.frame_sequence = payload;  // Or src_change.changes: all begin there.
        hub.raise(event, cause);
    }
    std::uint32_t next_sync() { return file.queue.dequeue().value().u.frame_sync.frame_sequence; }
};

TEST_F(Events, empty_queue_is_enoent) {
    EXPECT_EQ(code(file.queue.dequeue()), -ENOENT);
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    EXPECT_EQ(code(file.queue.dequeue()), -ENOENT);
    EXPECT_EQ(file.queue.pending(), 0U);
}

TEST_F(Events, type_that_the_device_lacks_is_refused) {
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_ALL)), -EINVAL);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_VSYNC)), -EINVAL);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_MOTION_DET)), -EINVAL);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_PRIVATE_START)), -EINVAL);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_PRIVATE_START + 5)), -EINVAL);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_CTRL, V4L2_CID_ZOOM_ABSOLUTE)), -EINVAL);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_CTRL, 0)), -EINVAL);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_CTRL, brightness | V4L2_CTRL_FLAG_NEXT_CTRL)),
              -EINVAL);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_SOURCE_CHANGE)), 0);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_CTRL, brightness)), 0);
}

TEST_F(Events, device_without_controls_has_no_events_of_them) {
    RigFile bare(hub, nullptr);
    EXPECT_EQ(code(bare.subscribe(V4L2_EVENT_CTRL, brightness)), -EINVAL);
    EXPECT_EQ(code(bare.subscribe(V4L2_EVENT_EOS)), 0);
}

TEST_F(Events, only_subscribers_get_one) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_FRAME_SYNC, 4));
    raise(V4L2_EVENT_FRAME_SYNC, 1, 5);
    raise(V4L2_EVENT_EOS);
    EXPECT_EQ(file.queue.pending(), 0U);
    raise(V4L2_EVENT_FRAME_SYNC, 2, 4);
    EXPECT_EQ(file.queue.pending(), 1U);
    EXPECT_EQ(other.queue.pending(), 0U);
    EXPECT_TRUE(other.shown.empty());
    const v4l2_event event = file.queue.dequeue().value();
    EXPECT_EQ(event.type, static_cast<std::uint32_t>(V4L2_EVENT_FRAME_SYNC));
    EXPECT_EQ(event.id, 4U);
}

TEST_F(Events, oldest_of_all_types_comes_first) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_FRAME_SYNC));
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    raise(V4L2_EVENT_EOS);
    raise(V4L2_EVENT_FRAME_SYNC);
    raise(V4L2_EVENT_EOS);
    std::vector<std::uint32_t> types;
    std::vector<std::uint32_t> sequences;
    std::vector<std::uint32_t> pending;
    while (const Result<v4l2_event> event = file.queue.dequeue()) {
        types.push_back(event->type);
        sequences.push_back(event->sequence);
        pending.push_back(event->pending);
    }
    EXPECT_EQ(types,
              (std::vector<std::uint32_t>{V4L2_EVENT_EOS, V4L2_EVENT_FRAME_SYNC, V4L2_EVENT_EOS}));
    EXPECT_EQ(sequences, (std::vector<std::uint32_t>{0, 1, 2}));
    EXPECT_EQ(pending, (std::vector<std::uint32_t>{2, 1, 0}));
}

TEST_F(Events, sequence_belongs_to_the_file) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    raise(V4L2_EVENT_EOS);
    ASSERT_TRUE(other.subscribe(V4L2_EVENT_EOS));
    raise(V4L2_EVENT_EOS);
    EXPECT_EQ(other.queue.dequeue()->sequence, 0U);
    EXPECT_EQ(file.queue.dequeue()->sequence, 0U);
    EXPECT_EQ(file.queue.dequeue()->sequence, 1U);
}

TEST_F(Events, time_is_that_of_the_clock) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    clock.set(from_ns(12'345'678'901));
    raise(V4L2_EVENT_EOS);
    clock.advance(Nanoseconds(5'000'000'000));
    const v4l2_event event = file.queue.dequeue().value();
    EXPECT_EQ(event.timestamp.tv_sec, 12);
    EXPECT_EQ(event.timestamp.tv_nsec, 345'678'901);
}

TEST_F(Events, overflow_drops_the_oldest) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_FRAME_SYNC));
    for (std::uint32_t frame = 0; frame < 5; ++frame) {
        raise(V4L2_EVENT_FRAME_SYNC, frame);
    }
    EXPECT_EQ(file.queue.pending(), 3U);
    EXPECT_EQ(next_sync(), 2U);
    EXPECT_EQ(next_sync(), 3U);
    const v4l2_event last = file.queue.dequeue().value();
    EXPECT_EQ(last.u.frame_sync.frame_sequence, 4U);
    EXPECT_EQ(last.sequence, 4U) << "a gap in the sequence tells of the lost ones";
    raise(V4L2_EVENT_FRAME_SYNC, 5);
    EXPECT_EQ(next_sync(), 5U) << "the ring goes round";
}

TEST_F(Events, overflow_of_one_type_spares_the_others) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_FRAME_SYNC));
    raise(V4L2_EVENT_EOS);
    for (std::uint32_t frame = 0; frame < 10; ++frame) {
        raise(V4L2_EVENT_FRAME_SYNC, frame);
    }
    EXPECT_EQ(file.queue.pending(), 4U);
    EXPECT_EQ(file.queue.dequeue()->type, static_cast<std::uint32_t>(V4L2_EVENT_EOS));
}

TEST_F(Events, replaced_source_change_keeps_all_changes) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_SOURCE_CHANGE));
    raise(V4L2_EVENT_SOURCE_CHANGE, 1);
    raise(V4L2_EVENT_SOURCE_CHANGE, 4);
    EXPECT_EQ(file.queue.pending(), 1U);
    const v4l2_event event = file.queue.dequeue().value();
    EXPECT_EQ(event.u.src_change.changes, 5U);
    EXPECT_EQ(event.sequence, 1U);
}

TEST_F(Events, dropped_source_change_is_merged_into_the_next) {
    EventHub deep(clock, {{V4L2_EVENT_SOURCE_CHANGE, 2}});
    RigFile reader(deep, nullptr);
    ASSERT_TRUE(reader.subscribe(V4L2_EVENT_SOURCE_CHANGE));
    for (const std::uint32_t change : {1U, 2U, 4U}) {
        v4l2_event event{};
        event.type = V4L2_EVENT_SOURCE_CHANGE;
        event.u.src_change.changes = change;
        deep.raise(event);
    }
    EXPECT_EQ(reader.queue.dequeue()->u.src_change.changes, 3U);
    EXPECT_EQ(reader.queue.dequeue()->u.src_change.changes, 4U);
}

TEST_F(Events, replaced_event_goes_to_the_end) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_SOURCE_CHANGE));
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    raise(V4L2_EVENT_SOURCE_CHANGE, 1);
    raise(V4L2_EVENT_EOS);
    raise(V4L2_EVENT_SOURCE_CHANGE, 1);
    EXPECT_EQ(file.queue.dequeue()->type, static_cast<std::uint32_t>(V4L2_EVENT_EOS));
}

TEST_F(Events, cause_gets_none_without_feedback) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    ASSERT_TRUE(other.subscribe(V4L2_EVENT_EOS));
    raise(V4L2_EVENT_EOS, 0, 0, &file.queue);
    EXPECT_EQ(file.queue.pending(), 0U);
    EXPECT_EQ(other.queue.pending(), 1U);
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_FRAME_SYNC, 0, V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK));
    raise(V4L2_EVENT_FRAME_SYNC, 0, 0, &file.queue);
    EXPECT_EQ(file.queue.pending(), 1U);
}

TEST_F(Events, second_subscription_changes_nothing) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    raise(V4L2_EVENT_EOS);
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS, 0, V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK));
    EXPECT_EQ(file.queue.pending(), 1U) << "what waits still waits";
    raise(V4L2_EVENT_EOS, 0, 0, &file.queue);
    EXPECT_EQ(file.queue.pending(), 1U) << "the flags are the first one's";
}

TEST_F(Events, unsubscribing_forgets_what_waits) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_FRAME_SYNC));
    raise(V4L2_EVENT_EOS);
    raise(V4L2_EVENT_FRAME_SYNC, 7);
    raise(V4L2_EVENT_EOS);
    file.unsubscribe(V4L2_EVENT_EOS);
    EXPECT_EQ(file.queue.pending(), 1U);
    raise(V4L2_EVENT_EOS);
    EXPECT_EQ(file.queue.pending(), 1U);
    EXPECT_EQ(next_sync(), 7U);
}

TEST_F(Events, unsubscribing_all_empties_the_queue) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_FRAME_SYNC));
    raise(V4L2_EVENT_EOS);
    raise(V4L2_EVENT_FRAME_SYNC);
    file.unsubscribe(V4L2_EVENT_ALL);
    EXPECT_EQ(file.queue.pending(), 0U);
    EXPECT_EQ(file.shown, (std::vector<unsigned>{1, 2, 0}));
    raise(V4L2_EVENT_EOS);
    EXPECT_EQ(code(file.queue.dequeue()), -ENOENT);
}

TEST_F(Events, unsubscribing_what_is_not_there_does_nothing) {
    file.unsubscribe(V4L2_EVENT_EOS);
    file.unsubscribe(V4L2_EVENT_ALL);
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    file.unsubscribe(V4L2_EVENT_EOS, 1);
    raise(V4L2_EVENT_EOS);
    EXPECT_EQ(file.queue.pending(), 1U);
}

TEST_F(Events, listener_hears_of_each_event_and_of_the_last_that_goes) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_FRAME_SYNC));
    raise(V4L2_EVENT_FRAME_SYNC);
    raise(V4L2_EVENT_FRAME_SYNC);
    raise(V4L2_EVENT_FRAME_SYNC);
    raise(V4L2_EVENT_FRAME_SYNC);
    EXPECT_EQ(file.shown, (std::vector<unsigned>{1, 2, 3, 3}));
    file.shown.clear();
    while (file.queue.dequeue()) {}
    EXPECT_EQ(file.shown, (std::vector<unsigned>{0}));
}

TEST_F(Events, subscriptions_are_limited) {
    for (std::uint32_t id = 0; id < event_subscriptions_max; ++id) {
        ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS, id));
    }
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_EOS, event_subscriptions_max)), -ENOMEM);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_EOS, 0)), 0) << "it is there already";
    file.unsubscribe(V4L2_EVENT_EOS, 0);
    EXPECT_EQ(code(file.subscribe(V4L2_EVENT_EOS, event_subscriptions_max)), 0);
}

TEST_F(Events, closed_file_gets_none) {
    {
        RigFile brief(hub, set.get());
        ASSERT_TRUE(brief.subscribe(V4L2_EVENT_EOS));
    }
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_EOS));
    raise(V4L2_EVENT_EOS);
    EXPECT_EQ(file.queue.pending(), 1U);
}

}  // namespace
}  // namespace v4lfence
