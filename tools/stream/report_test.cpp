// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include "tools/stream/report.hpp"

namespace v4lfence {
namespace {

StreamResult good_result() {
    StreamResult result;
    result.format.fourcc = V4L2_PIX_FMT_YUYV;
    result.format.size = {640, 360};
    result.fences.provider = "vgem";
    result.fences.kernel_waitable = true;
    result.chain_depth = 3;
    result.counters.frames = 300;
    result.counters.out_fences_made = 306;
    result.counters.sync_file_info_ok = 306;
    result.latencies.out_fence_to_dqbuf = LatencySummary{300, 1000, 2000, 2500, 3000, 4000};
    result.promises.push_back({"in_order", "order", true, 300, 0, 0, ""});
    result.all_held = true;
    return result;
}

TEST(Report, json_has_what_scripts_read) {
    StreamChoices choices;
    choices.device = "/dev/video0";
    choices.memory = V4L2_MEMORY_MMAP;
    choices.out_fence = true;
    const auto json = stream_json(choices, good_result());
    EXPECT_EQ(json["ok"], true);
    EXPECT_EQ(json["exit_status"], 0);
    EXPECT_EQ(json["frames"], 300);
    EXPECT_EQ(json["stream"]["format"], "YUYV");
    EXPECT_EQ(json["environment"]["provider"], "vgem");
    EXPECT_EQ(json["out_fences"]["sync_file_info_ok"], 306);
    EXPECT_EQ(json["latency_us"]["out_fence_to_dqbuf"]["p50"], 1.0);
    EXPECT_TRUE(json["latency_us"]["in_fence_to_given"].is_null());
    ASSERT_EQ(json["promises"].size(), 1U);
    EXPECT_EQ(json["promises"][0]["name"], "in_order");
    EXPECT_EQ(json["promises"][0]["ok"], true);
    EXPECT_EQ(json["promises"][0]["checked_count"], 300);
    EXPECT_TRUE(json["failure"].is_null());
    EXPECT_TRUE(json["footprint"]["warm"].is_null());
}

TEST(Report, growth_is_told_once_it_is_known) {
    StreamResult result = good_result();
    EXPECT_EQ(stream_text(StreamChoices{}, result).find("growth"), std::string::npos);
    result.warm = Footprint{5000, 20};
    result.at_end = Footprint{4996, 22};
    EXPECT_NE(stream_text(StreamChoices{}, result)
                  .find("-4 KiB to 4996 and +2 descriptors to 22, after frame 1000"),
              std::string::npos);
    const auto json = stream_json(StreamChoices{}, result);
    EXPECT_EQ(json["footprint"]["warm"]["resident_kib"], 5000);
    EXPECT_EQ(json["footprint"]["at_end"]["descriptors"], 22);
}

TEST(Report, broken_promise_is_told_with_its_first_break) {
    StreamResult result = good_result();
    result.promises = {{"in_order", "buffers in order", true, 300, 2, 0, "frame 7 came first"}};
    result.all_held = false;
    result.any_broken = true;
    const std::string text = stream_text(StreamChoices{}, result);
    EXPECT_NE(text.find("BROKEN"), std::string::npos);
    EXPECT_NE(text.find("frame 7 came first"), std::string::npos);
    EXPECT_EQ(stream_json(StreamChoices{}, result)["exit_status"], 1);
}

TEST(Result, interrupted_stream_is_judged_by_what_it_checked) {
    StreamResult result = good_result();
    result.interrupted = true;
    result.all_held = false;
    EXPECT_EQ(result.exit_status(), ExitStatus::Interrupted);
    result.any_broken = true;
    EXPECT_EQ(result.exit_status(), ExitStatus::JobFailed);
}

TEST(Result, failure_decides_the_exit_status) {
    StreamResult result = good_result();
    EXPECT_EQ(result.exit_status(), ExitStatus::Success);
    result.failure = Failure{ExitStatus::MachineLacks, "no such thing"};
    EXPECT_EQ(result.exit_status(), ExitStatus::MachineLacks);
}

}  // namespace
}  // namespace v4lfence
