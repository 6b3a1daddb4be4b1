// SPDX-License-Identifier: MIT

#include "tools/trace/summary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/trace/testing/script.hpp"

namespace v4lfence {
namespace {

using testing::HasSubstr;

TraceSummary summary_of(Script& script) {
    sort_by_time(script.recording);
    return summarize(script.recording, make_lanes(script.recording));
}

Script two_sources() {
    Script script;
    const auto process = script.process(77, "player");
    const auto queue = script.queue(process, "video0 capture");
    const auto display = script.display(process, "card0 Virtual-1");
    for (std::uint64_t number = 1; number <= 5; ++number) {
        script.frame(queue, number, 4);
    }
    script.at(10, display, DisplayEvent::Commit, 3, 1);
    script.at(16, display, DisplayEvent::Flip, 3, 1);
    script.at(17, display, DisplayEvent::Commit, 4, 2);
    script.at(33, display, DisplayEvent::Flip, 4, 2);
    return script;
}

TEST(TraceSummary, times_are_of_whole_slices) {
    Script script = two_sources();
    const TraceSummary summary = summary_of(script);
    ASSERT_EQ(summary.sources.size(), 2U);
    const SourceSummary& queue = summary.sources[0];
    EXPECT_EQ(queue.frames, 5U);
    EXPECT_EQ(queue.held->p50, Script::ms(2));
    EXPECT_EQ(queue.given->max, Script::ms(20));
    EXPECT_EQ(queue.done->count, 5U);
    const SourceSummary& display = summary.sources[1];
    EXPECT_TRUE(display.is_display);
    EXPECT_EQ(display.frames, 2U);
    EXPECT_EQ(display.commit_to_flip->max, Script::ms(16));
    EXPECT_EQ(display.on_screen->count, 1U);
    EXPECT_EQ(summary.processes[0].events, 5U * 7 + 4);
}

TEST(TraceSummary, what_came_before_the_trace_does_not_count) {
    Script script = two_sources();
    script.recording.begin_ns = Script::ms(100);
    const TraceSummary summary = summary_of(script);
    EXPECT_EQ(summary.sources.at(0).frames, 1U);
    EXPECT_EQ(summary.processes[0].events, 3U);
}

TEST(TraceSummary, both_forms_tell_the_same) {
    Script script = two_sources();
    script.kernel(10, "vb2", "vb2_qbuf", {});
    script.recording.kernel_lost = 3;
    script.recording.processes[0].lost = 9;
    const TraceSummary summary = summary_of(script);
    const std::string text = summary_text(summary);
    EXPECT_THAT(text, HasSubstr("process     77 player: 39 events, 9 lost"));
    EXPECT_THAT(text, HasSubstr("video0 capture"));
    EXPECT_THAT(text, HasSubstr("kernel      vb2 1; 3 lost"));
    const auto json = summary_json(summary);
    EXPECT_EQ(json["processes"][0]["lost"], 9);
    EXPECT_EQ(json["processes"][0]["sources"][0]["held_ms"]["p50"], 2.0);
    EXPECT_EQ(json["processes"][0]["sources"][1]["kind"], "display");
    EXPECT_EQ(json["kernel"]["events"]["vb2"], 1);
    EXPECT_TRUE(json["kernel"]["missing"].is_null());
}

}  // namespace
}  // namespace v4lfence
