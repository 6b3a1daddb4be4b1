// SPDX-License-Identifier: MIT

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/doctor/report.hpp"
#include "tools/doctor/testing/scene.hpp"
#include "tools/doctor/words.hpp"

namespace v4lfence {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Scene;
using testing::second_ns;

constexpr pid_t app = 42;
constexpr pid_t other = 77;

/// Two programs that wait for a stopped third one.
Scene two_waiters() {
    Scene scene;
    scene.process(app, "app");
    scene.process(other, "ffmpeg");
    scene.process(99, "encoder", 'T');
    const std::size_t first = scene.queue(app, "/dev/video0", 4);
    const std::size_t second = scene.queue(other, "/dev/video2", 2);
    scene.held(first, 2, scene.fence(FenceShape::Pipe, "pipe:[123]", {{99, 5}}));
    scene.held(second, 0, scene.fence(FenceShape::Pipe, "pipe:[124]", {{99, 6}}));
    return scene;
}

TEST(DoctorReport, line_of_a_buffer_goes_to_who_can_end_its_wait) {
    const std::string text =
        diagnosis_text(diagnose_waits(two_waiters().snapshot, {}, second_ns), false);

    EXPECT_THAT(text, HasSubstr("pid 42 app\n  /dev/video0 capture: streams; 1 held"));
    EXPECT_THAT(text, HasSubstr("    buffer 2 held 5.0 s ← in-fence pipe:[123] ← who can end it: "
                                "pid 99 encoder (stopped by a signal)\n"));
    EXPECT_THAT(text, Not(HasSubstr("buffer 0 with the program")));
}

TEST(DoctorReport, all_shows_buffers_that_wait_for_nobody) {
    const std::string text =
        diagnosis_text(diagnose_waits(two_waiters().snapshot, {}, second_ns), true);

    EXPECT_THAT(text, HasSubstr("    buffer 0 with the program\n"));
}

TEST(DoctorReport, asked_processes_alone_are_told) {
    const Diagnosis diagnosis = diagnose_waits(two_waiters().snapshot, {other}, second_ns);

    ASSERT_EQ(diagnosis.findings.size(), 1U);
    EXPECT_EQ(diagnosis.findings[0].waiter.pid, other);
    EXPECT_THAT(diagnosis_text(diagnosis, false), Not(HasSubstr("pid 42 app")));
}

TEST(DoctorReport, nothing_to_say_is_said) {
    Scene scene;
    scene.process(app, "app");
    scene.queue(app, "/dev/video0", 4);
    const Diagnosis diagnosis = diagnose_waits(scene.snapshot, {}, second_ns);

    EXPECT_THAT(diagnosis_text(diagnosis, false), HasSubstr("Nothing waits longer than 1.0 s."));
    EXPECT_EQ(diagnosis_json(diagnosis)["hangs"], false);
}

TEST(DoctorReport, fence_that_a_process_merely_has_is_told) {
    Scene scene;
    scene.process(app, "app");
    scene.process(other, "ffmpeg");
    const std::size_t fence = scene.kernel_fence("vgem", "unbound");
    scene.snapshot.fences[fence].ends = {{other, -1}};
    scene.snapshot.held = {{app, 7, fence}};
    const Diagnosis diagnosis = diagnose_waits(scene.snapshot, {app}, second_ns);

    const std::string text = diagnosis_text(diagnosis, false);
    EXPECT_THAT(text, HasSubstr("  descriptor 7: sync_file vgem"));
    EXPECT_THAT(text, HasSubstr("Nothing that uses v4lfence waits longer than 1.0 s. A descriptor "
                                "is pending"));
    const auto json = diagnosis_json(diagnosis);
    ASSERT_EQ(json["held"].size(), 1U);
    const auto& held = json["held"][0];
    EXPECT_EQ(held["pid"], app);
    EXPECT_EQ(held["fd"], 7);
    EXPECT_EQ(held["fence"], "sync_file vgem");
    EXPECT_EQ(held["kernel"][0]["timeline"], "unbound");
    EXPECT_EQ(held["ends"][0]["pid"], other);
    EXPECT_TRUE(held["ends"][0]["fd"].is_null());
    EXPECT_EQ(json["nodes"][held["node"].get<std::size_t>()]["kind"], "fence");
    EXPECT_EQ(json["hangs"], false);

    EXPECT_TRUE(diagnosis_json(diagnose_waits(scene.snapshot, {other}, 0))["held"].empty());
}

TEST(DoctorReport, what_was_not_seen_is_said) {
    Scene scene;
    scene.snapshot.unseen = {"3 processes may not be looked at"};

    EXPECT_THAT(diagnosis_text(diagnose_waits(scene.snapshot, {}, 0), false),
                HasSubstr("Not seen: 3 processes may not be looked at."));
}

TEST(DoctorReport, json_edges_point_at_nodes) {
    const auto json = diagnosis_json(diagnose_waits(two_waiters().snapshot, {}, second_ns));

    ASSERT_FALSE(json["edges"].empty());
    for (const auto& edge : json["edges"]) {
        EXPECT_LT(edge["from"].get<std::size_t>(), json["nodes"].size());
        EXPECT_LT(edge["to"].get<std::size_t>(), json["nodes"].size());
    }
    EXPECT_EQ(json["findings"][0]["rule"], "stopped-producer");
    EXPECT_EQ(json["findings"][0]["party"]["pid"], 99);
    EXPECT_EQ(json["findings"][0]["party"]["fd"], 5);
    EXPECT_EQ(json["findings"][0]["waiter"]["index"], 2);
    EXPECT_EQ(json["findings"][0]["waited_ms"], 5000.0);
}

TEST(DoctorWords, durations_have_a_fitting_unit) {
    EXPECT_EQ(duration_text(999'999'999), "999 ms");
    EXPECT_EQ(duration_text(4'120'000'000), "4.1 s");
    EXPECT_EQ(duration_text(125 * second_ns), "2 min 5 s");
}

}  // namespace
}  // namespace v4lfence
