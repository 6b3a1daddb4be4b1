// SPDX-License-Identifier: MIT
//
// What viewers demand of a whole trace is checked by tests/suites/trace_check.py.

#include "tools/trace/chrome_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tools/trace/testing/script.hpp"

namespace v4lfence {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(Script& script) {
    sort_by_time(script.recording);
    return chrome_json(script.recording, make_lanes(script.recording));
}

std::vector<Json> of_phase(const Json& trace, const std::string& phase) {
    std::vector<Json> found;
    for (const Json& event : trace["traceEvents"]) {
        if (event["ph"] == phase) {
            found.push_back(event);
        }
    }
    return found;
}

std::string lane_name(const Json& trace, const Json& event) {
    for (const Json& each : of_phase(trace, "M")) {
        if (each["name"] == "thread_name" && each["tid"] == event["tid"]) {
            return each["args"]["name"];
        }
    }
    return "";
}

TEST(ChromeJson, job_is_a_slice_with_its_states_in_it) {
    Script script;
    script.frame(script.queue(script.process(77, "camera"), "video0 capture"), 1, 4);
    const Json trace = json_of(script);
    const auto slices = of_phase(trace, "X");
    ASSERT_EQ(slices.size(), 6U);
    EXPECT_EQ(slices[0]["name"], "#1");
    EXPECT_EQ(slices[0]["pid"], 77);
    EXPECT_EQ(slices[0]["ts"], 16000.0);
    EXPECT_EQ(slices[0]["dur"], 23000.0);
    EXPECT_EQ(slices[0]["args"]["sequence"], 1);
    EXPECT_EQ(lane_name(trace, slices[0]), "buffer 1 of video0 capture");
    EXPECT_EQ(slices[1]["name"], "held");
    EXPECT_EQ(slices[4]["name"], "given");
    EXPECT_EQ(slices[5]["name"], "done");
    EXPECT_EQ(slices[5]["tid"], slices[0]["tid"]);
}

TEST(ChromeJson, fences_have_lanes_and_readable_names) {
    Script script;
    script.frame(script.queue(script.process(77, "camera"), "video0 capture"), 1, 4);
    const Json trace = json_of(script);
    const auto slices = of_phase(trace, "X");
    EXPECT_EQ(slices[2]["cat"], "in-fence");
    EXPECT_EQ(lane_name(trace, slices[2]), "in-fence 1 of video0 capture");
    EXPECT_EQ(slices[3]["cat"], "out-fence");
    EXPECT_EQ(slices[3]["name"], "video0 capture 1 #1");
    EXPECT_EQ(lane_name(trace, slices[3]), "out-fence 1 of video0 capture");
    EXPECT_EQ(slices[3]["dur"], 22000.0);
}

TEST(ChromeJson, flow_leads_to_the_one_that_waited) {
    Script script;
    const auto queue = script.queue(script.process(77, "camera"), "video0");
    script.at(10, queue, QueueEvent::Queued, 0, 1);
    script.at(10, queue, QueueEvent::OutFenceMinted, 0, 1, 33);
    script.at(12, queue, QueueEvent::Queued, 1, 2, 1, 34);
    script.at(20, queue, QueueEvent::OutFenceEnded, 0, 1);
    script.at(21, queue, QueueEvent::InFenceEnded, 1, 2);
    const Json trace = json_of(script);
    const auto starts = of_phase(trace, "s");
    const auto ends = of_phase(trace, "f");
    ASSERT_EQ(starts.size(), 1U);
    ASSERT_EQ(ends.size(), 1U);
    EXPECT_EQ(starts[0]["id"], ends[0]["id"]);
    EXPECT_EQ(lane_name(trace, starts[0]), "out-fence 0 of video0");
    EXPECT_EQ(lane_name(trace, ends[0]), "in-fence 1 of video0");
    EXPECT_NEAR(ends[0]["ts"], 21000.0, 0.01);
}

TEST(ChromeJson, kernel_events_have_a_process_of_their_own) {
    Script script;
    script.frame(script.queue(script.process(77, "camera"), "video0"), 1, 4);
    script.kernel(20, "vb2", "vb2_buf_done", {{"owner", "0f"}, {"index", "1"}});
    const std::vector<KernelField> fence = {
        {"driver", "vgem"}, {"timeline", "t"}, {"context", "3"}, {"seqno", "1"}};
    script.kernel(21, "dma_fence", "dma_fence_init", fence);
    script.kernel(25, "dma_fence", "dma_fence_signaled", fence);
    const Json trace = json_of(script);
    const auto instants = of_phase(trace, "i");
    ASSERT_EQ(instants.size(), 3U);
    EXPECT_EQ(instants[0]["name"], "vb2_buf_done");
    EXPECT_EQ(instants[0]["args"]["index"], "1");
    EXPECT_EQ(lane_name(trace, instants[0]), "vb2 queue 0f");
    EXPECT_NE(instants[0]["pid"], 77);
    const auto ended = of_phase(trace, "e");
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_EQ(ended[0]["name"], "dma_fence vgem t");
    EXPECT_EQ(ended[0]["args"]["fence"], "3:1");
    EXPECT_EQ(ended[0]["ts"], 25000.0);
}

TEST(ChromeJson, errors_and_open_ends_are_told) {
    Script script;
    const auto queue = script.queue(script.process(77, "camera"), "video0");
    script.at(10, queue, QueueEvent::Queued, 0, 1);
    script.at(20, queue, QueueEvent::Failed, 0, 1, -ETIME);
    script.at(20, queue, QueueEvent::QueueFailed, 0, 0, -ETIME);
    const Json trace = json_of(script);
    const auto slices = of_phase(trace, "X");
    ASSERT_FALSE(slices.empty());
    EXPECT_EQ(slices.back()["args"]["error"], -ETIME);
    EXPECT_EQ(slices.back()["args"]["still_open"], true);
    EXPECT_EQ(of_phase(trace, "i").at(0)["cat"], "failure");
}

TEST(ChromeJson, losses_are_told) {
    Script script;
    script.process(77, "camera");
    script.recording.processes[0].lost = 12;
    script.recording.kernel_missing = "none here";
    const Json trace = json_of(script);
    EXPECT_EQ(trace["otherData"]["lost_events"]["77 camera"], 12);
    EXPECT_EQ(trace["otherData"]["no_kernel_events_because"], "none here");
}

}  // namespace
}  // namespace v4lfence
