// SPDX-License-Identifier: MIT
//
// The camera's frames: when they come, what is in them, and which are lost.

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "v4lfence/drivers/camera/testing/camera_rig.hpp"
#include "v4lfence/drivers/picture/stamp.hpp"

namespace v4lfence {
namespace {

using std::chrono::milliseconds;
using testing::CameraRig;
using testing::code;

constexpr Nanoseconds frame{1'000'000'000 / 30};  // cut off: one more for the next to be due

class CameraStream : public ::testing::Test {
protected:
    /// Of a YUYV frame of 640x480.
    StampReading stamps(unsigned index) {
        const auto memory = rig.bytes(index, 0);
        return read_stamps(640, 480, [&](unsigned x, unsigned y) {
            return std::to_integer<int>(memory[(y * 640 + x) * 2]);
        });
    }

    BufferReport next() {
        const auto report = rig.dequeue();
        EXPECT_TRUE(report) << report.error().where;
        return report ? *report : BufferReport();
    }

    bool tick(unsigned frames = 1) {
        return rig.pacer().advance((frame + Nanoseconds(1)) * frames);
    }

    CameraRig rig;
};

TEST_F(CameraStream, frame_shows_its_number_and_the_time_in_its_buffer) {
    const MonotonicTime start = rig.pacer().now();
    ASSERT_TRUE(rig.stream(4));
    for (unsigned sequence = 0; sequence < 3; ++sequence) {
        ASSERT_TRUE(tick());
        const BufferReport report = next();
        const MonotonicTime exposed =
            start + Nanoseconds(std::uint64_t{sequence} * 1'000'000'000 / 30);
        EXPECT_EQ(report.sequence, sequence);
        EXPECT_EQ(report.timestamp_ns, to_ns(exposed));
        EXPECT_EQ(report.field, std::uint32_t{V4L2_FIELD_NONE});
        EXPECT_EQ(report.planes[0].bytes_used, 640U * 480 * 2);
        const StampReading reading = stamps(report.index);
        ASSERT_TRUE(reading.whole());
        EXPECT_EQ(reading.top->sequence, sequence);
        EXPECT_EQ(reading.top->captured_at_ns, static_cast<std::uint64_t>(report.timestamp_ns));
        EXPECT_EQ(code(rig.enqueue(report.index)), 0);
    }
}

TEST_F(CameraStream, no_frame_comes_before_its_end) {
    ASSERT_TRUE(rig.stream(4));
    ASSERT_TRUE(rig.pacer().advance(frame - milliseconds(1)));
    EXPECT_EQ(rig.dequeue().error().code, -EAGAIN);
    ASSERT_TRUE(rig.pacer().advance(milliseconds(2)));
    EXPECT_EQ(next().sequence, 0U);
}

TEST_F(CameraStream, frames_without_a_buffer_are_lost_and_counted) {
    ASSERT_TRUE(rig.stream(2));
    ASSERT_TRUE(tick());
    ASSERT_TRUE(tick());
    ASSERT_TRUE(tick(2));
    const BufferReport first = next();
    EXPECT_EQ(first.sequence, 0U);
    EXPECT_EQ(next().sequence, 1U);
    EXPECT_EQ(code(rig.enqueue(first.index)), 0);
    ASSERT_TRUE(tick());
    ASSERT_TRUE(tick());
    EXPECT_EQ(next().sequence, 5U);
    EXPECT_EQ(rig.control(camera_frame_count), 3);
}

TEST_F(CameraStream, buffer_that_came_after_the_exposure_waits_for_the_next) {
    ASSERT_TRUE(rig.stream(2));
    ASSERT_TRUE(tick());
    ASSERT_TRUE(rig.pacer().advance(frame - milliseconds(1)));
    const BufferReport first = next();
    ASSERT_TRUE(rig.pacer().advance(milliseconds(2)));
    EXPECT_EQ(code(rig.enqueue(first.index)), 0);
    EXPECT_EQ(next().sequence, 1U);
    ASSERT_TRUE(tick());
    EXPECT_EQ(rig.dequeue().error().code, -EAGAIN);
    ASSERT_TRUE(tick());
    EXPECT_EQ(next().sequence, 3U);
}

TEST_F(CameraStream, late_thread_loses_nothing_that_a_buffer_waited_for) {
    ASSERT_TRUE(rig.stream(4));
    ASSERT_TRUE(rig.pacer().advance(milliseconds(99)));
    EXPECT_EQ(next().sequence, 0U);
    EXPECT_EQ(next().sequence, 1U);
    ASSERT_TRUE(rig.pacer().advance(milliseconds(2)));
    EXPECT_EQ(next().sequence, 2U);
}

TEST_F(CameraStream, very_late_thread_skips_to_the_present) {
    ASSERT_TRUE(rig.stream(4));
    ASSERT_TRUE(rig.pacer().advance(std::chrono::seconds(10)));
    EXPECT_EQ(next().sequence, 0U);
    const BufferReport second = next();
    EXPECT_GE(second.sequence, 296U);
    EXPECT_LE(second.sequence, 297U);
    EXPECT_TRUE(stamps(second.index).whole());
}

TEST_F(CameraStream, changed_interval_is_that_of_the_next_frame) {
    ASSERT_TRUE(rig.stream(4));
    EXPECT_EQ(code(rig.set_interval({1, 240})), 0);
    ASSERT_TRUE(rig.pacer().settle());
    ASSERT_TRUE(tick());
    const BufferReport first = next();
    const BufferReport second = next();
    EXPECT_EQ(second.sequence, 1U);
    EXPECT_EQ(second.timestamp_ns - first.timestamp_ns, 1'000'000'000 / 240);
}

TEST_F(CameraStream, stopped_stream_begins_anew) {
    ASSERT_TRUE(rig.stream(4));
    ASSERT_TRUE(tick());
    rig.queue().stream_off();
    for (unsigned index = 0; index < 4; ++index) {
        EXPECT_EQ(code(rig.enqueue(index)), 0);
    }
    ASSERT_TRUE(rig.queue().stream_on());
    ASSERT_TRUE(tick());
    EXPECT_EQ(next().sequence, 0U);
}

// --- free-running --------------------------------------------------------------------------------

TEST_F(CameraStream, free_running_makes_a_frame_of_each_buffer) {
    EXPECT_EQ(code(rig.set_control(camera_free_running, 1)), 0);
    ASSERT_TRUE(rig.stream(3));
    for (unsigned sequence = 0; sequence < 50; ++sequence) {
        const BufferReport report = next();
        EXPECT_EQ(report.sequence, sequence);
        EXPECT_EQ(report.timestamp_ns, to_ns(rig.pacer().now()));
        EXPECT_EQ(code(rig.enqueue(report.index)), 0);
        ASSERT_TRUE(rig.pacer().settle());
    }
}

TEST_F(CameraStream, free_running_waits_for_a_buffer_without_losing_a_frame) {
    EXPECT_EQ(code(rig.set_control(camera_free_running, 1)), 0);
    ASSERT_TRUE(rig.stream(2));
    EXPECT_FALSE(rig.pacer().deadline());
    const BufferReport first = next();
    next();
    ASSERT_TRUE(rig.pacer().advance(std::chrono::seconds(5)));
    EXPECT_EQ(code(rig.enqueue(first.index)), 0);
    ASSERT_TRUE(rig.pacer().settle());
    EXPECT_EQ(next().sequence, 2U);
}

TEST_F(CameraStream, rate_can_be_freed_and_bound_again_while_it_streams) {
    ASSERT_TRUE(rig.stream(3));
    EXPECT_EQ(code(rig.set_control(camera_free_running, 1)), 0);
    ASSERT_TRUE(rig.pacer().settle());
    EXPECT_EQ(rig.control(camera_frame_count), 3);
    ASSERT_TRUE(tick());
    for (unsigned sequence = 0; sequence < 3; ++sequence) {
        EXPECT_EQ(next().sequence, sequence);
    }
    EXPECT_EQ(code(rig.enqueue(0)), 0);
    ASSERT_TRUE(rig.pacer().settle());
    EXPECT_EQ(next().sequence, 3U);
    EXPECT_EQ(code(rig.set_control(camera_free_running, 0)), 0);
    ASSERT_TRUE(rig.pacer().settle());
    EXPECT_EQ(code(rig.enqueue(0)), 0);
    ASSERT_TRUE(tick());
    EXPECT_EQ(rig.dequeue().error().code, -EAGAIN);
    ASSERT_TRUE(tick());
    EXPECT_EQ(next().sequence, 4U);
}

TEST_F(CameraStream, idle_time_of_a_free_rate_is_no_lost_frame) {
    EXPECT_EQ(code(rig.set_control(camera_free_running, 1)), 0);
    ASSERT_TRUE(rig.stream(2));
    EXPECT_EQ(next().sequence, 0U);
    EXPECT_EQ(next().sequence, 1U);
    ASSERT_TRUE(rig.pacer().advance(std::chrono::seconds(2)));
    EXPECT_EQ(code(rig.set_control(camera_free_running, 0)), 0);
    ASSERT_TRUE(rig.pacer().settle());
    ASSERT_TRUE(rig.pacer().advance(milliseconds(1)));
    EXPECT_EQ(code(rig.enqueue(0)), 0);
    const MonotonicTime bound = rig.pacer().now() - milliseconds(1);
    ASSERT_TRUE(tick());
    ASSERT_TRUE(tick());
    const BufferReport report = next();
    EXPECT_EQ(report.sequence, 2U);
    EXPECT_EQ(report.timestamp_ns, to_ns(bound + frame));
}

// --- the end of a frame --------------------------------------------------------------------------

TEST_F(CameraStream, jitter_moves_the_end_and_not_the_time_of_the_frame) {
    EXPECT_EQ(code(rig.set_control(camera_end_jitter_us, 100000)), 0);
    const MonotonicTime start = rig.pacer().now();
    ASSERT_TRUE(rig.stream(32));
    unsigned done = 0;
    bool late = false;
    for (unsigned step = 0; step < 200 && done < 32; ++step) {
        while (const auto report = rig.dequeue()) {
            const MonotonicTime exposed =
                start + Nanoseconds(std::uint64_t{done} * 1'000'000'000 / 30);
            EXPECT_EQ(report->sequence, done);
            EXPECT_EQ(report->timestamp_ns, to_ns(exposed));
            late = late || rig.pacer().now() > exposed + milliseconds(75);
            ++done;
        }
        ASSERT_TRUE(rig.pacer().advance(milliseconds(10)));
    }
    EXPECT_EQ(done, 32U);
    EXPECT_TRUE(late);
}

std::vector<MonotonicTime> ends_of_frames(int seed) {
    CameraRig rig;
    EXPECT_EQ(code(rig.set_control(camera_end_jitter_us, 50000)), 0);
    EXPECT_EQ(code(rig.set_control(camera_seed, seed)), 0);
    EXPECT_TRUE(rig.stream(8));
    std::vector<MonotonicTime> ends;
    while (ends.size() < 8 && rig.pacer().advance(milliseconds(1))) {
        while (rig.dequeue()) {
            ends.push_back(rig.pacer().now());
        }
    }
    return ends;
}

TEST(CameraChance, one_seed_is_one_course_of_events) {
    EXPECT_EQ(ends_of_frames(1), ends_of_frames(1));
    EXPECT_NE(ends_of_frames(1), ends_of_frames(2));
}

// Pins: 4.6
TEST_F(CameraStream, neighbours_change_places_when_told_to) {
    EXPECT_EQ(code(rig.set_control(camera_out_of_order, 1)), 0);
    ASSERT_TRUE(rig.stream(4));
    for (unsigned frames = 0; frames < 4; ++frames) {
        ASSERT_TRUE(tick());
    }
    std::vector<std::uint32_t> order;
    while (const auto report = rig.dequeue()) {
        order.push_back(report->sequence);
    }
    EXPECT_EQ(order, (std::vector<std::uint32_t>{1, 0, 3, 2}));
    EXPECT_EQ(code(rig.set_control(camera_out_of_order, 0)), -EBUSY);
}

TEST_F(CameraStream, frame_kept_back_comes_when_none_follows) {
    EXPECT_EQ(code(rig.set_control(camera_out_of_order, 1)), 0);
    ASSERT_TRUE(rig.stream(3));
    ASSERT_TRUE(tick());
    ASSERT_TRUE(tick());
    EXPECT_EQ(next().sequence, 1U);
    EXPECT_EQ(next().sequence, 0U);
    EXPECT_EQ(rig.dequeue().error().code, -EAGAIN);
    ASSERT_TRUE(tick());
    EXPECT_EQ(next().sequence, 2U);
}

TEST_F(CameraStream, frozen_camera_makes_no_frame_until_it_thaws) {
    ASSERT_TRUE(rig.stream(4));
    EXPECT_EQ(code(rig.set_control(camera_freeze, 1)), 0);
    ASSERT_TRUE(rig.pacer().settle());
    ASSERT_TRUE(tick());
    EXPECT_EQ(next().sequence, 0U);
    ASSERT_TRUE(tick());
    ASSERT_TRUE(tick());
    EXPECT_EQ(rig.dequeue().error().code, -EAGAIN);
    EXPECT_EQ(code(rig.set_control(camera_freeze, 0)), 0);
    ASSERT_TRUE(tick());
    ASSERT_TRUE(tick());
    EXPECT_EQ(next().sequence, 4U);
}

// --- the picture ---------------------------------------------------------------------------------

TEST_F(CameraStream, pattern_of_a_running_stream_changes_with_a_frame) {
    EXPECT_EQ(code(rig.set_control(V4L2_CID_TEST_PATTERN, 4)), 0);  // red
    ASSERT_TRUE(rig.stream(3));
    EXPECT_EQ(code(rig.set_control(V4L2_CID_TEST_PATTERN, 6)), 0);  // blue
    ASSERT_TRUE(rig.pacer().settle());
    ASSERT_TRUE(tick());
    ASSERT_TRUE(tick());
    constexpr std::size_t middle = (240 * 640 + 320) * 2;
    const auto red_cr = std::to_integer<int>(rig.bytes(next().index, 0)[middle + 3]);
    const auto blue_cr = std::to_integer<int>(rig.bytes(next().index, 0)[middle + 3]);
    EXPECT_GT(red_cr, 200);
    EXPECT_LT(blue_cr, 128);
}

// --- formats -------------------------------------------------------------------------------------

void stream_each_format(bool multi_planar) {
    CameraOptions options;
    options.multi_planar = multi_planar;
    CameraRig rig(options);
    for (std::uint32_t index = 0;; ++index) {
        v4l2_fmtdesc description{};
        description.index = index;
        if (!rig.ops().enum_fmt(description)) {
            EXPECT_EQ(index, multi_planar ? 9U : 7U);
            break;
        }
        SCOPED_TRACE(index);
        for (const auto& size : {std::array{640U, 480U}, std::array{16U, 16U}, {1281U, 721U}}) {
            ASSERT_EQ(code(rig.set_format(description.pixelformat, size[0], size[1])), 0);
            ASSERT_TRUE(rig.stream(2));
            ASSERT_TRUE(rig.pacer().advance(milliseconds(40)));
            const auto report = rig.dequeue();
            ASSERT_TRUE(report);
            EXPECT_FALSE(report->error);
            for (unsigned plane = 0; plane < report->plane_count; ++plane) {
                EXPECT_GT(report->planes[plane].bytes_used, 0U);
                EXPECT_LE(report->planes[plane].bytes_used, report->planes[plane].length);
            }
            rig.queue().close();
        }
    }
}

TEST(CameraFormats, each_streams) {
    stream_each_format(false);
}

TEST(CameraFormats, each_streams_multi_planar) {
    stream_each_format(true);
}

TEST(CameraFormats, odd_size_is_painted_to_its_edges) {
    CameraRig rig;
    constexpr unsigned width = 1281;
    constexpr unsigned height = 721;
    ASSERT_EQ(code(rig.set_format(V4L2_PIX_FMT_GREY, width, height)), 0);
    const v4l2_pix_format pix = rig.format().fmt.pix;
    ASSERT_EQ(pix.width, width);
    ASSERT_EQ(pix.height, height);
    ASSERT_EQ(pix.sizeimage, pix.bytesperline * height);
    EXPECT_EQ(code(rig.set_control(V4L2_CID_TEST_PATTERN, 5)), 0);
    ASSERT_TRUE(rig.stream(2));
    ASSERT_TRUE(rig.pacer().advance(milliseconds(40)));
    const auto report = rig.dequeue();
    ASSERT_TRUE(report);
    const auto memory = rig.bytes(report->index, 0);
    const auto luma = [&](unsigned x, unsigned y) {
        return std::to_integer<int>(memory[y * pix.bytesperline + x]);
    };
    EXPECT_TRUE(read_stamps(width, height, luma).whole());
    EXPECT_EQ(luma(width - 1, height / 2), luma(width - 2, height / 2));
    EXPECT_EQ(luma(width - 1, height - 1), luma(width - 2, height - 2));
    EXPECT_NE(luma(width - 1, height - 1), 0);
}

}  // namespace
}  // namespace v4lfence
