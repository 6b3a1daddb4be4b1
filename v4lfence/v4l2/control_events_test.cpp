// SPDX-License-Identifier: MIT
//
// V4L2_EVENT_CTRL: what raises one, what it says, who gets it.

#include <gtest/gtest.h>

#include "v4lfence/v4l2/controls.hpp"
#include "v4lfence/v4l2/testing/control_rig.hpp"

namespace v4lfence {
namespace {

using namespace testing;

constexpr std::uint32_t value_changed = V4L2_EVENT_CTRL_CH_VALUE;
constexpr std::uint32_t flags_changed = V4L2_EVENT_CTRL_CH_FLAGS;
constexpr std::uint32_t range_changed = V4L2_EVENT_CTRL_CH_RANGE;

class ControlEventsTest : public ::testing::Test, protected ControlRig {
protected:
    static v4l2_event_ctrl next(RigFile& of) {
        const Result<v4l2_event> event = of.queue.dequeue();
        EXPECT_TRUE(event);
        return event ? event->u.ctrl : v4l2_event_ctrl{};
    }
    void subscribe_both(std::uint32_t id, std::uint32_t flags = 0) {
        ASSERT_TRUE(file.subscribe(V4L2_EVENT_CTRL, id, flags));
        ASSERT_TRUE(other.subscribe(V4L2_EVENT_CTRL, id, flags));
    }
};

TEST_F(ControlEventsTest, initial_event_is_there_when_subscribe_returns) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_CTRL, brightness, V4L2_EVENT_SUB_FL_SEND_INITIAL));
    EXPECT_EQ(file.shown, std::vector<unsigned>{1});
    const v4l2_event event = file.queue.dequeue().value();
    EXPECT_EQ(event.type, static_cast<std::uint32_t>(V4L2_EVENT_CTRL));
    EXPECT_EQ(event.id, brightness);
    EXPECT_EQ(event.timestamp.tv_sec, 1);
    EXPECT_EQ(event.u.ctrl.changes, value_changed | flags_changed);
    EXPECT_EQ(event.u.ctrl.type, static_cast<std::uint32_t>(V4L2_CTRL_TYPE_INTEGER));
    EXPECT_EQ(event.u.ctrl.value, 128);
    EXPECT_EQ(event.u.ctrl.minimum, 0);
    EXPECT_EQ(event.u.ctrl.maximum, 255);
    EXPECT_EQ(event.u.ctrl.step, 1);
    EXPECT_EQ(event.u.ctrl.default_value, 128);
}

TEST_F(ControlEventsTest, every_control_can_be_subscribed_and_all_but_classes_start_with_one) {
    v4l2_query_ext_ctrl query{};
    constexpr std::uint32_t next_any = V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND;
    for (query.id = next_any; set->query(query); query.id |= next_any) {
        ASSERT_TRUE(file.subscribe(V4L2_EVENT_CTRL, query.id, V4L2_EVENT_SUB_FL_SEND_INITIAL));
        const bool is_class = query.type == V4L2_CTRL_TYPE_CTRL_CLASS;
        ASSERT_EQ(file.queue.pending(), is_class ? 0U : 1U) << query.name;
        if (!is_class) {
            const v4l2_event event = file.queue.dequeue().value();
            EXPECT_EQ(event.id, query.id);
            EXPECT_EQ(event.u.ctrl.flags, query.flags);
        }
        file.unsubscribe(V4L2_EVENT_CTRL, query.id);
    }
}

TEST_F(ControlEventsTest, initial_event_of_a_write_only_control_has_no_value) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_CTRL, secret, V4L2_EVENT_SUB_FL_SEND_INITIAL));
    EXPECT_EQ(next(file).changes, flags_changed);
}

TEST_F(ControlEventsTest, without_the_flag_nothing_is_sent_at_first) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_CTRL, brightness));
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_CTRL, brightness, V4L2_EVENT_SUB_FL_SEND_INITIAL));
    EXPECT_EQ(file.queue.pending(), 0U) << "nor for a second subscription";
}

TEST_F(ControlEventsTest, change_goes_to_all_but_its_cause) {
    subscribe_both(brightness);
    ASSERT_EQ(s_ctrl(brightness, 5), 0);
    EXPECT_EQ(file.queue.pending(), 0U);
    const v4l2_event_ctrl event = next(other);
    EXPECT_EQ(event.changes, value_changed);
    EXPECT_EQ(event.value, 5);
}

TEST_F(ControlEventsTest, feedback_is_for_who_asked) {
    subscribe_both(brightness, V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK);
    ASSERT_EQ(s_ctrl(brightness, 5), 0);
    EXPECT_EQ(next(file).value, 5);
    EXPECT_EQ(next(other).value, 5);
}

TEST_F(ControlEventsTest, extended_set_raises_one_for_each_that_changed) {
    subscribe_both(brightness);
    subscribe_both(hflip);
    subscribe_both(wide);
    std::vector<v4l2_ext_control> elements{number(brightness, 5), number(hflip, 0),
                                           number(wide, INT64_MAX)};
    v4l2_ext_controls head{};
    ASSERT_TRUE(set->set_ext(head, elements, &file.queue));
    EXPECT_EQ(file.queue.pending(), 0U);
    EXPECT_EQ(other.queue.pending(), 2U) << "the mirror stayed";
    EXPECT_EQ(next(other).value, 5);
    EXPECT_EQ(next(other).value64, INT64_MAX);
}

TEST_F(ControlEventsTest, trying_raises_none) {
    subscribe_both(brightness);
    std::vector<v4l2_ext_control> elements{number(brightness, 5)};
    v4l2_ext_controls head{};
    ASSERT_TRUE(set->try_ext(head, elements));
    EXPECT_EQ(other.queue.pending(), 0U);
}

TEST_F(ControlEventsTest, unchanged_value_raises_none) {
    subscribe_both(brightness);
    subscribe_both(label);
    ASSERT_EQ(s_ctrl(brightness, 128), 0);
    ASSERT_TRUE(set->set_value(brightness, 128));
    ASSERT_TRUE(set->set_text(label, "abcd"));
    ASSERT_TRUE(set->set_flags(brightness, V4L2_CTRL_FLAG_GRABBED, 0));
    ASSERT_TRUE(set->set_range(brightness, {0, 255, 1, 128}));
    EXPECT_EQ(other.queue.pending(), 0U);
}

TEST_F(ControlEventsTest, button_raises_one_each_time) {
    subscribe_both(button);
    ASSERT_EQ(s_ctrl(button, 0), 0);
    EXPECT_EQ(next(other).changes, value_changed);
    ASSERT_EQ(s_ctrl(button, 0), 0);
    EXPECT_EQ(next(other).changes, value_changed);
}

TEST_F(ControlEventsTest, volatile_control_raises_none) {
    subscribe_both(gain);
    ASSERT_EQ(s_ctrl(gain, 1), 0);
    EXPECT_EQ(other.queue.pending(), 0U);
}

TEST_F(ControlEventsTest, driver_changes_reach_every_file) {
    subscribe_both(frames);
    ASSERT_TRUE(set->set_value(frames, 12));
    EXPECT_EQ(next(file).value, 12);
    EXPECT_EQ(next(other).value, 12);
}

TEST_F(ControlEventsTest, text_is_not_in_the_event) {
    subscribe_both(label);
    ASSERT_TRUE(set->set_text(label, "zz"));
    const v4l2_event_ctrl event = next(other);
    EXPECT_EQ(event.changes, value_changed);
    EXPECT_EQ(event.value64, 0);
    EXPECT_EQ(event.flags, static_cast<std::uint32_t>(V4L2_CTRL_FLAG_HAS_PAYLOAD));
}

TEST_F(ControlEventsTest, changed_flags_are_told) {
    subscribe_both(brightness);
    ASSERT_TRUE(set->set_flags(brightness, V4L2_CTRL_FLAG_INACTIVE, V4L2_CTRL_FLAG_INACTIVE));
    const v4l2_event_ctrl event = next(file);
    EXPECT_EQ(event.changes, flags_changed);
    EXPECT_EQ(event.flags, static_cast<std::uint32_t>(V4L2_CTRL_FLAG_INACTIVE));
}

TEST_F(ControlEventsTest, changed_range_is_told_with_the_value_it_moved) {
    subscribe_both(brightness);
    ASSERT_TRUE(set->set_range(brightness, {0, 200, 1, 128}));
    v4l2_event_ctrl event = next(file);
    EXPECT_EQ(event.changes, range_changed);
    EXPECT_EQ(event.maximum, 200);
    ASSERT_TRUE(set->set_range(brightness, {0, 100, 1, 50}));
    event = next(file);
    EXPECT_EQ(event.changes, range_changed | value_changed);
    EXPECT_EQ(event.value, 100);
    EXPECT_EQ(event.default_value, 50);
}

TEST_F(ControlEventsTest, latest_value_waits_with_all_changes) {
    ASSERT_TRUE(file.subscribe(V4L2_EVENT_CTRL, brightness));
    ASSERT_TRUE(set->set_value(brightness, 1));
    ASSERT_TRUE(set->set_flags(brightness, V4L2_CTRL_FLAG_GRABBED, V4L2_CTRL_FLAG_GRABBED));
    ASSERT_TRUE(set->set_value(brightness, 2));
    EXPECT_EQ(file.queue.pending(), 1U);
    const v4l2_event event = file.queue.dequeue().value();
    EXPECT_EQ(event.u.ctrl.changes, value_changed | flags_changed);
    EXPECT_EQ(event.u.ctrl.value, 2);
    EXPECT_EQ(event.sequence, 2U);
}

}  // namespace
}  // namespace v4lfence
