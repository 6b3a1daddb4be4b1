// SPDX-License-Identifier: MIT
//
// The samples were recorded on stock kernels: vivid, vgem and virtio-gpu of 6.1 and of 6.12.

#include "tools/trace/kernel_line.hpp"

#include <gtest/gtest.h>

#include <string>

namespace v4lfence {
namespace {

KernelEvent event_of(std::string_view line) {
    const auto parsed = parse_kernel_line(line);
    if (!parsed || !std::holds_alternative<KernelEvent>(*parsed)) {
        ADD_FAILURE() << "no event: " << line;
        return {};
    }
    return std::get<KernelEvent>(*parsed);
}

TEST(KernelLine, vb2_event_of_6_1) {
    const KernelEvent event = event_of(
        " vivid-000-vid-c-164     [000] .....    10.805417: vb2_buf_done: owner = "
        "00000000f96b85ad, queued = 4, owned_by_drv = 3, index = 0, type = 1, bytesused = 115200, "
        "timestamp = 0");
    EXPECT_EQ(event.time_ns, 10'805'417'000);
    EXPECT_EQ(event.cpu, 0U);
    EXPECT_EQ(event.pid, 164);
    EXPECT_EQ(event.task, "vivid-000-vid-c");
    EXPECT_EQ(event.system, "vb2");
    EXPECT_EQ(event.name, "vb2_buf_done");
    ASSERT_EQ(event.fields.size(), 7U);
    EXPECT_EQ(event.field("owner"), "00000000f96b85ad");
    EXPECT_EQ(event.field("owned_by_drv"), "3");
    EXPECT_EQ(event.field("timestamp"), "0");
    EXPECT_EQ(kernel_lane_name(event), "vb2 queue 00000000f96b85ad");
}

TEST(KernelLine, v4l2_event_of_6_12_has_braces) {
    const KernelEvent event = event_of(
        "        v4lfence-209     [001] .....     7.475774: v4l2_qbuf: minor = 0, index = 3, "
        "type = VIDEO_CAPTURE, bytesused = 115200, flags = MAPPED|QUEUED|TIMESTAMP_UNKNOWN|"
        "TIMESTAMP_MONOTONIC, field = ANY, timestamp = 0, timecode = { type = 0x0, flags = , "
        "frames = 0, seconds = 0, minutes = 0, hours = 0, userbits = { 0 0 0 0 } }, sequence = 7");
    EXPECT_EQ(event.system, "v4l2");
    EXPECT_EQ(event.cpu, 1U);
    EXPECT_EQ(event.field("index"), "3");
    EXPECT_EQ(event.field("type"), "VIDEO_CAPTURE");
    EXPECT_EQ(event.field("flags"), "MAPPED|QUEUED|TIMESTAMP_UNKNOWN|TIMESTAMP_MONOTONIC");
    EXPECT_EQ(event.field("timecode"),
              "{ type = 0x0, flags = , frames = 0, seconds = 0, minutes = 0, hours = 0, userbits = "
              "{ 0 0 0 0 } }");
    EXPECT_EQ(event.field("sequence"), "7");
    EXPECT_EQ(kernel_lane_name(event), "v4l2 video0");
}

TEST(KernelLine, fence_event_has_another_spelling) {
    const KernelEvent event =
        event_of("        v4lfence-209     [000] d..1.     7.440661: dma_fence_signaled: "
                 "driver=vgem timeline=unbound context=3 seqno=1");
    EXPECT_EQ(event.time_ns, 7'440'661'000);
    EXPECT_EQ(event.field("driver"), "vgem");
    EXPECT_EQ(event.field("timeline"), "unbound");
    EXPECT_EQ(event.field("seqno"), "1");
    EXPECT_EQ(kernel_lane_name(event), "dma_fence vgem unbound");
}

TEST(KernelLine, vertical_blank_of_a_kernel_thread) {
    const KernelEvent event =
        event_of("     kworker/1:2-62      [001] d..1.     6.797193: drm_vblank_event_delivered: "
                 "file=0000000000000000, crtc=0, seq=0");
    EXPECT_EQ(event.task, "kworker/1:2");
    EXPECT_EQ(event.pid, 62);
    EXPECT_EQ(event.system, "drm");
    EXPECT_EQ(event.field("seq"), "0");
    EXPECT_EQ(kernel_lane_name(event), "drm crtc 0");
}

TEST(KernelLine, video_event_of_vb2_is_one_of_v4l2) {
    EXPECT_EQ(event_of("a-1 [000] ..... 1.000001: vb2_v4l2_qbuf: minor = 3, flags = ").system,
              "v4l2");
    EXPECT_EQ(event_of("a-1 [000] ..... 1.000001: sched_switch: a=b").system, "");
}

TEST(KernelLine, names_of_tasks_may_be_anything) {
    EXPECT_EQ(event_of("  a [1] b: c-d-77  [002] .....  1.5: vb2_qbuf: index = 1").task,
              "a [1] b: c-d");
    const KernelEvent with_process =
        event_of("  v4l2 src-12-99  (  98) [003] ..... 2.000000: vb2_qbuf: index = 1");
    EXPECT_EQ(with_process.task, "v4l2 src-12");
    EXPECT_EQ(with_process.pid, 99);
    EXPECT_EQ(with_process.time_ns, 2'000'000'000);
}

TEST(KernelLine, state_of_interrupts_may_be_missing) {
    EXPECT_EQ(event_of("a-1 [000] 1.000002: vb2_qbuf: index = 1").time_ns, 1'000'002'000);
}

TEST(KernelLine, values_may_have_spaces_and_signs) {
    const KernelEvent event = event_of(
        "a-1 [000] ..... 1.0: dma_fence_init: driver=my driver timeline=a=b context=1 seqno=2");
    EXPECT_EQ(event.field("driver"), "my driver");
    EXPECT_EQ(event.field("seqno"), "2");
}

TEST(KernelLine, losses_are_counted) {
    const auto counted = parse_kernel_line("CPU:1 [LOST 12 EVENTS]");
    ASSERT_TRUE(counted && std::holds_alternative<KernelLoss>(*counted));
    EXPECT_EQ(std::get<KernelLoss>(*counted).events, 12U);
    const auto uncounted = parse_kernel_line("CPU:1 [LOST EVENTS]");
    ASSERT_TRUE(uncounted && std::holds_alternative<KernelLoss>(*uncounted));
    EXPECT_EQ(std::get<KernelLoss>(*uncounted).events, 1U);
}

TEST(KernelLine, every_beginning_of_a_line_is_survived) {
    const std::string line =
        " a-1 [000] ..... 10.8: v4l2_qbuf: minor = 0, timecode = { type = 0x0 }, sequence = 0";
    for (std::size_t length = 0; length <= line.size(); ++length) {
        static_cast<void>(parse_kernel_line(std::string_view(line).substr(0, length)));
        static_cast<void>(parse_kernel_line(std::string_view(line).substr(length)));
    }
    for (const char* other : {"", "#", "# tracer: nop", "[", "[0]", "-[0]", "a-1 [000]", "=",
                              "a-1 [000] x: y: =", "a-1 [000] 1.: y:", "a-1 [000] 1.1: y"}) {
        EXPECT_NO_THROW(static_cast<void>(parse_kernel_line(other))) << other;
    }
    EXPECT_FALSE(parse_kernel_line("# tracer: nop"));
    EXPECT_FALSE(parse_kernel_line("#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION"));
    EXPECT_FALSE(parse_kernel_line("a-1 [000] ..... notime: vb2_qbuf: index = 1"));
}

}  // namespace
}  // namespace v4lfence
