// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <array>
#include <cstring>

#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::array_control;
using testing::array_elements;
using testing::DeviceRig;
using testing::FakeDevice;
using testing::OpenFile;

namespace {

constexpr std::uint32_t brightness = V4L2_CID_BRIGHTNESS;

v4l2_event_subscription subscription(std::uint32_t flags) {
    v4l2_event_subscription wanted{};
    wanted.type = V4L2_EVENT_CTRL;
    wanted.id = brightness;
    wanted.flags = flags;
    return wanted;
}

}  // namespace

TEST(ControlIoctls, device_without_controls_has_none_of_them) {
    auto fake = std::make_unique<FakeDevice>();
    fake->has_controls = false;
    const DeviceRig rig(std::move(fake));
    const OpenFile file = rig.open();
    v4l2_queryctrl query{};
    v4l2_query_ext_ctrl wide_query{};
    v4l2_querymenu menu{};
    v4l2_control control{};
    v4l2_ext_controls controls{};
    auto wanted = subscription(0);
    EXPECT_EQ(file(VIDIOC_QUERYCTRL, query), -ENOTTY);
    EXPECT_EQ(file(VIDIOC_QUERY_EXT_CTRL, wide_query), -ENOTTY);
    EXPECT_EQ(file(VIDIOC_QUERYMENU, menu), -ENOTTY);
    EXPECT_EQ(file(VIDIOC_G_CTRL, control), -ENOTTY);
    EXPECT_EQ(file(VIDIOC_S_CTRL, control), -ENOTTY);
    EXPECT_EQ(file(VIDIOC_G_EXT_CTRLS, controls), -ENOTTY);
    EXPECT_EQ(file(VIDIOC_S_EXT_CTRLS, controls), -ENOTTY);
    EXPECT_EQ(file(VIDIOC_TRY_EXT_CTRLS, controls), -ENOTTY);
    EXPECT_EQ(file(VIDIOC_SUBSCRIBE_EVENT, wanted), -EINVAL);
}

TEST(ControlIoctls, are_found_with_garbage_around_the_id) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    v4l2_queryctrl query;
    std::memset(&query, 0xff, sizeof query);
    query.id = V4L2_CTRL_FLAG_NEXT_CTRL;
    ASSERT_EQ(file(VIDIOC_QUERYCTRL, query), 0);
    EXPECT_EQ(query.type, std::uint32_t{V4L2_CTRL_TYPE_CTRL_CLASS});
    EXPECT_EQ(query.reserved[0] | query.reserved[1], 0U);
    v4l2_query_ext_ctrl wide_query;
    std::memset(&wide_query, 0xff, sizeof wide_query);
    wide_query.id = array_control;
    ASSERT_EQ(file(VIDIOC_QUERY_EXT_CTRL, wide_query), 0);
    EXPECT_EQ(wide_query.elems, array_elements);
    EXPECT_EQ(wide_query.reserved[31], 0U);
}

TEST(ControlIoctls, values_reach_the_driver_and_come_back) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    v4l2_control control{brightness, 1000};
    ASSERT_EQ(file(VIDIOC_S_CTRL, control), 0);
    EXPECT_EQ(control.value, 255);
    control = {testing::volatile_control, 0};
    ASSERT_EQ(file(VIDIOC_G_CTRL, control), 0);
    EXPECT_EQ(control.value, 77);
    control.id = 0x12345678;
    EXPECT_EQ(file(VIDIOC_G_CTRL, control), -EINVAL);
}

TEST(ControlIoctls, arrays_cross_whole) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    std::array<std::uint8_t, array_elements> values{9, 8, 7, 6, 5, 255};
    v4l2_ext_control element{};
    element.id = array_control;
    element.size = values.size();
    element.p_u8 = values.data();
    v4l2_ext_controls controls{};
    controls.count = 1;
    controls.controls = &element;
    ASSERT_EQ(file(VIDIOC_TRY_EXT_CTRLS, controls), 0);
    EXPECT_EQ(values[5], 200) << "made to fit";
    ASSERT_EQ(file(VIDIOC_S_EXT_CTRLS, controls), 0);
    values = {};
    ASSERT_EQ(file(VIDIOC_G_EXT_CTRLS, controls), 0);
    EXPECT_EQ(values[0], 9);
    EXPECT_EQ(values[5], 200);
    controls.which = V4L2_CTRL_WHICH_DEF_VAL;
    ASSERT_EQ(file(VIDIOC_G_EXT_CTRLS, controls), 0);
    EXPECT_EQ(values[0], 1);
    EXPECT_EQ(file(VIDIOC_S_EXT_CTRLS, controls), -EINVAL);
    EXPECT_EQ(controls.error_idx, 1U) << "the count: nothing was set";
}

TEST(ControlIoctls, who_sets_a_value_is_not_told_unless_asked) {
    const DeviceRig rig;
    const OpenFile setter = rig.open();
    const OpenFile watcher = rig.open();
    auto wanted = subscription(0);
    ASSERT_EQ(setter(VIDIOC_SUBSCRIBE_EVENT, wanted), 0);
    ASSERT_EQ(watcher(VIDIOC_SUBSCRIBE_EVENT, wanted), 0);
    v4l2_control control{brightness, 5};
    ASSERT_EQ(setter(VIDIOC_S_CTRL, control), 0);
    v4l2_event event{};
    EXPECT_EQ(setter(VIDIOC_DQEVENT, event), -ENOENT);
    ASSERT_EQ(watcher(VIDIOC_DQEVENT, event), 0);
    EXPECT_EQ(event.u.ctrl.value, 5);
    EXPECT_EQ(watcher(VIDIOC_UNSUBSCRIBE_EVENT, wanted), 0);
    control.value = 6;
    ASSERT_EQ(setter(VIDIOC_S_CTRL, control), 0);
    EXPECT_EQ(watcher(VIDIOC_DQEVENT, event), -ENOENT);
}

}  // namespace v4lfence
