// SPDX-License-Identifier: MIT
//
// Inputs, standards, timings, formats that they dictate, and controls, without a stream.

#include <gtest/gtest.h>

#include <string>

#include "v4lfence/drivers/camera/testing/camera_rig.hpp"
#include "v4lfence/drivers/camera/timings.hpp"
#include "v4lfence/v4l2/file_handle.hpp"

namespace v4lfence {
namespace {

using testing::CameraRig;
using testing::code;

constexpr unsigned camera = 0;
constexpr unsigned composite = 1;
constexpr unsigned hdmi = 2;

class CameraInput : public ::testing::Test {
protected:
    v4l2_pix_format pix() { return rig.format().fmt.pix; }

    v4l2_fract interval() {
        v4l2_streamparm parm{};
        EXPECT_EQ(code(rig.ops().g_parm(parm)), 0);
        return parm.parm.capture.timeperframe;
    }

    std::uint32_t status(unsigned index) {
        v4l2_input input{};
        input.index = index;
        EXPECT_EQ(code(rig.ops().enum_input(input)), 0);
        return input.status;
    }

    CameraRig rig;
};

TEST_F(CameraInput, there_are_three) {
    v4l2_input input{};
    for (input.index = 0; input.index < 3; ++input.index) {
        ASSERT_EQ(code(rig.ops().enum_input(input)), 0);
        EXPECT_EQ((input.capabilities & V4L2_IN_CAP_STD) != 0, input.std != 0);
        EXPECT_EQ(input.status, 0U);
    }
    EXPECT_EQ(code(rig.ops().enum_input(input)), -EINVAL);
    EXPECT_EQ(code(rig.ops().s_input(3)), -EINVAL);
}

TEST_F(CameraInput, standard_dictates_size_and_interval) {
    ASSERT_EQ(code(rig.ops().s_input(composite)), 0);
    EXPECT_EQ(pix().height, 576U);
    EXPECT_EQ(interval().denominator, 25U);
    ASSERT_EQ(code(rig.ops().s_std(V4L2_STD_NTSC_M)), 0);
    EXPECT_EQ(pix().height, 480U);
    EXPECT_EQ(interval().numerator, 1001U);
    EXPECT_EQ(code(rig.set_format(V4L2_PIX_FMT_NV12, 320, 240)), 0);
    EXPECT_EQ(pix().width, 720U);
    EXPECT_EQ(pix().pixelformat, V4L2_PIX_FMT_NV12);
    EXPECT_EQ(code(rig.set_interval({1, 60})), 0);
    EXPECT_EQ(interval().numerator, 1001U);
    EXPECT_EQ(code(rig.ops().s_std(V4L2_STD_ATSC)), -EINVAL);
}

TEST_F(CameraInput, camera_gets_its_own_size_and_interval_back) {
    ASSERT_EQ(code(rig.set_format(V4L2_PIX_FMT_YUYV, 1280, 720)), 0);
    ASSERT_EQ(code(rig.set_interval({1, 120})), 0);
    ASSERT_EQ(code(rig.ops().s_input(hdmi)), 0);
    ASSERT_EQ(code(rig.ops().s_input(camera)), 0);
    EXPECT_EQ(pix().width, 1280U);
    EXPECT_EQ(interval().denominator, 120U);
}

TEST_F(CameraInput, each_of_the_timings_can_be_set) {
    ASSERT_EQ(code(rig.ops().s_input(hdmi)), 0);
    v4l2_enum_dv_timings each{};
    for (; rig.ops().enum_dv_timings(each); ++each.index) {
        v4l2_dv_timings timings = each.timings;
        ASSERT_EQ(code(rig.ops().s_dv_timings(timings)), 0);
        EXPECT_EQ(pix().width, timings.bt.width);
        EXPECT_EQ(pix().height, timings.bt.height);
        const double rate = 1.0 * interval().denominator / interval().numerator;
        EXPECT_GT(rate, 23.9);
        EXPECT_LT(rate, 60.7);
    }
    EXPECT_GT(each.index, 20U);
    v4l2_dv_timings odd = each.timings;
    odd.bt.width += 2;
    EXPECT_EQ(code(rig.ops().s_dv_timings(odd)), -EINVAL);
}

TEST_F(CameraInput, reduced_rate_is_slower_by_a_thousandth) {
    v4l2_dv_timings timings = usual_timings();
    EXPECT_EQ(interval_of(timings.bt).denominator, 60U);
    ASSERT_NE(timings.bt.flags & V4L2_DV_FL_CAN_REDUCE_FPS, 0U);
    timings.bt.flags |= V4L2_DV_FL_REDUCED_FPS;
    EXPECT_EQ(interval_of(timings.bt).numerator, 1001U);
    EXPECT_EQ(interval_of(timings.bt).denominator, 60000U);
}

TEST_F(CameraInput, what_an_input_lacks_is_no_data) {
    v4l2_dv_timings timings = usual_timings();
    v4l2_selection selection{};
    EXPECT_EQ(rig.ops().standards(), 0U);
    EXPECT_EQ(rig.ops().g_std().error().code, -ENODATA);
    EXPECT_EQ(code(rig.ops().s_std(V4L2_STD_PAL)), -ENODATA);
    EXPECT_EQ(code(rig.ops().g_dv_timings(timings)), -ENODATA);
    EXPECT_EQ(code(rig.ops().s_dv_timings(timings)), -ENODATA);
    EXPECT_EQ(code(rig.ops().g_selection(selection)), -ENODATA);
    ASSERT_EQ(code(rig.ops().s_input(hdmi)), 0);
    EXPECT_EQ(rig.ops().g_std().error().code, -ENODATA);
}

TEST_F(CameraInput, nothing_changes_while_there_are_buffers) {
    ASSERT_EQ(code(rig.ops().s_input(hdmi)), 0);
    ASSERT_TRUE(rig.request(2));
    v4l2_dv_timings timings = usual_timings();
    EXPECT_EQ(code(rig.ops().s_dv_timings(timings)), 0);
    timings = camera_timings().back();
    EXPECT_EQ(code(rig.ops().s_dv_timings(timings)), -EBUSY);
    EXPECT_EQ(code(rig.ops().s_input(hdmi)), 0);
    EXPECT_EQ(code(rig.ops().s_input(camera)), -EBUSY);
    EXPECT_EQ(code(rig.set_format(V4L2_PIX_FMT_YUYV, 640, 480)), -EBUSY);
    rig.queue().close();
    EXPECT_EQ(code(rig.ops().s_input(composite)), 0);
    ASSERT_TRUE(rig.request(2));
    EXPECT_EQ(code(rig.ops().s_std(V4L2_STD_PAL)), 0);
    EXPECT_EQ(code(rig.ops().s_std(V4L2_STD_NTSC)), -EBUSY);
}

TEST_F(CameraInput, signal_shows_in_status_and_detection) {
    v4l2_dv_timings timings{};
    ASSERT_EQ(code(rig.ops().s_input(hdmi)), 0);
    EXPECT_EQ(code(rig.ops().query_dv_timings(timings)), 0);
    EXPECT_EQ(timings.bt.height, 720U);
    ASSERT_EQ(code(rig.set_control(camera_signal, static_cast<int>(CameraSignal::Absent))), 0);
    EXPECT_EQ(status(hdmi), std::uint32_t{V4L2_IN_ST_NO_SIGNAL});
    EXPECT_EQ(status(composite), 0U);
    EXPECT_EQ(code(rig.ops().query_dv_timings(timings)), -ENOLINK);
    EXPECT_EQ(rig.control(V4L2_CID_DV_RX_POWER_PRESENT), 0);
    ASSERT_EQ(code(rig.set_control(camera_signal, static_cast<int>(CameraSignal::Unlocked))), 0);
    EXPECT_EQ(code(rig.ops().query_dv_timings(timings)), -ENOLCK);
    ASSERT_EQ(code(rig.set_control(camera_signal, static_cast<int>(CameraSignal::Other))), 0);
    EXPECT_EQ(code(rig.ops().query_dv_timings(timings)), 0);
    EXPECT_TRUE(timings.bt.pixelclock != usual_timings().bt.pixelclock) << "packed: no reference";
    ASSERT_EQ(code(rig.ops().s_input(composite)), 0);
    EXPECT_EQ(*rig.ops().querystd(), V4L2_STD_NTSC);
}

TEST_F(CameraInput, signal_that_went_before_its_input_was_chosen_is_gone) {
    ASSERT_EQ(code(rig.set_control(camera_signal, static_cast<int>(CameraSignal::Absent))), 0);
    ASSERT_EQ(code(rig.ops().s_input(hdmi)), 0);
    EXPECT_EQ(status(hdmi), std::uint32_t{V4L2_IN_ST_NO_SIGNAL});
    EXPECT_EQ(rig.control(V4L2_CID_DV_RX_POWER_PRESENT), 0);
}

TEST_F(CameraInput, changed_signal_is_an_event) {
    auto opened = FileHandle::open(rig.device());
    ASSERT_TRUE(opened);
    FileHandle& file = *opened->handle;
    v4l2_event_subscription wanted{};
    wanted.type = V4L2_EVENT_SOURCE_CHANGE;
    wanted.id = hdmi;
    ASSERT_TRUE(file.events().subscribe(wanted));
    ASSERT_EQ(code(rig.ops().s_input(hdmi)), 0);
    ASSERT_EQ(code(rig.set_control(camera_signal, static_cast<int>(CameraSignal::Other))), 0);
    const auto event = file.events().dequeue();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->type, std::uint32_t{V4L2_EVENT_SOURCE_CHANGE});
    EXPECT_EQ(event->u.src_change.changes, std::uint32_t{V4L2_EVENT_SRC_CH_RESOLUTION});
}

TEST_F(CameraInput, crop_is_the_whole_picture) {
    ASSERT_EQ(code(rig.ops().s_input(hdmi)), 0);
    v4l2_selection selection{};
    selection.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    selection.target = V4L2_SEL_TGT_CROP;
    selection.r = {10, 10, 100, 100};
    ASSERT_EQ(code(rig.ops().s_selection(selection)), 0);
    EXPECT_EQ(selection.r.width, 1280U);
    EXPECT_EQ(selection.r.left, 0);
    selection.r = {10, 10, 100, 100};
    selection.flags = V4L2_SEL_FLAG_LE;
    EXPECT_EQ(code(rig.ops().s_selection(selection)), -ERANGE);
    selection.target = V4L2_SEL_TGT_CROP_BOUNDS;
    EXPECT_EQ(code(rig.ops().s_selection(selection)), -EINVAL);
    EXPECT_EQ(code(rig.ops().g_selection(selection)), 0);
    selection.target = V4L2_SEL_TGT_COMPOSE;
    EXPECT_EQ(code(rig.ops().g_selection(selection)), -EINVAL);
}

TEST_F(CameraInput, identity_tells_cameras_apart) {
    CameraOptions options;
    options.number = 3;
    options.multi_planar = true;
    CameraRig other(options);
    EXPECT_EQ(rig.device().identity().bus_info, "platform:v4lfence-camera-0");
    EXPECT_EQ(other.device().identity().bus_info, "platform:v4lfence-camera-3");
    EXPECT_LT(other.device().identity().bus_info.size(), sizeof(v4l2_capability::bus_info));
}

TEST_F(CameraInput, minimum_of_queued_buffers_is_a_choice) {
    CameraOptions options;
    options.minimum_queued = 2;
    CameraRig two(options);
    ASSERT_TRUE(two.request(2));
    ASSERT_TRUE(two.enqueue(0));
    ASSERT_TRUE(two.queue().stream_on());
    EXPECT_EQ(two.control(camera_frame_count), 0);
    ASSERT_TRUE(two.enqueue(1));
    ASSERT_TRUE(two.pacer().settle());
    EXPECT_EQ(two.control(camera_frame_count), 1);
}

TEST_F(CameraInput, gain_is_its_own_while_it_is_automatic) {
    ASSERT_EQ(code(rig.set_control(V4L2_CID_GAIN, 200)), 0);
    EXPECT_EQ(rig.control(V4L2_CID_GAIN), 64);
    ASSERT_EQ(code(rig.set_control(V4L2_CID_AUTOGAIN, 0)), 0);
    EXPECT_EQ(rig.control(V4L2_CID_GAIN), 200);
}

TEST_F(CameraInput, log_tells_of_format_and_frames) {
    const auto lines = rig.ops().log_status();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0], "YUYV 640x480, a frame each 1/30 s");
}

}  // namespace
}  // namespace v4lfence
