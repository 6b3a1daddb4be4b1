// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include "tools/display/report.hpp"

namespace v4lfence {
namespace {

DisplayResult good_result() {
    DisplayResult result;
    result.device = "/dev/video0";
    result.format.fourcc = V4L2_PIX_FMT_XBGR32;
    result.format.size = {640, 480};
    result.fences.provider = "vgem";
    result.consumer.kind = "kms";
    result.consumer.card = "/dev/dri/card0";
    result.consumer.mode = "640x480@60.00";
    result.memory = MemoryWay::Displays;
    result.refusals = {"not this way: it cannot"};
    result.rules.early = true;
    result.display.shown = 200;
    result.cycle.early_commits = 199;
    result.wakeups = 300;
    result.capture_to_flip = LatencySummary{200, 5'000'000, 0, 9'000'000, 0, 12'000'000};
    result.last = LastShown{207, 5, 6, 7};
    result.promises.push_back({"shown_in_order", "order", true, 200, 0, 0, ""});
    result.all_held = true;
    return result;
}

TEST(DisplayReport, json_has_what_scripts_read) {
    const auto json = display_json({}, good_result());
    EXPECT_EQ(json["command"], "display");
    EXPECT_EQ(json["ok"], true);
    EXPECT_EQ(json["shown"], 200);
    EXPECT_EQ(json["picture"]["memory"], "displays");
    EXPECT_EQ(json["picture"]["display_format"], "XR24");
    EXPECT_EQ(json["fences"]["early"], true);
    EXPECT_EQ(json["fences"]["pending_at_commit"], 199);
    EXPECT_EQ(json["wakeups_per_frame"], 1.5);
    EXPECT_EQ(json["latency_us"]["capture_to_flip"]["p95"], 9000.0);
    EXPECT_EQ(json["last_shown"]["sequence"], 207);
    EXPECT_TRUE(json["latency_us"]["done_to_flip"].is_null());
}

TEST(DisplayReport, text_names_display_memory_and_why_no_better) {
    const std::string text = display_text({}, good_result());
    for (const char* part :
         {"/dev/dri/card0", "640x480@60.00", "the display's buffers, imported by the camera",
          "not this way: it cannot", "1.50 wake-ups a frame", "sequence 207"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    }
}

TEST(DisplayReport, an_expired_bound_is_told) {
    DisplayResult result = good_result();
    result.last_expiry = "1 fence; the last was of buffer 2";
    result.degraded = true;
    const std::string text = display_text({}, result);
    EXPECT_NE(text.find("given up    1 fence"), std::string::npos) << text;
    EXPECT_NE(text.find("fences of user space since"), std::string::npos) << text;
}

TEST(DisplayReport, a_broken_promise_is_a_failed_job_even_when_interrupted) {
    DisplayResult result = good_result();
    EXPECT_EQ(result.exit_status(), ExitStatus::Success);
    result.interrupted = true;
    EXPECT_EQ(result.exit_status(), ExitStatus::Interrupted);
    result.any_broken = true;
    result.all_held = false;
    EXPECT_EQ(result.exit_status(), ExitStatus::JobFailed);
}

}  // namespace
}  // namespace v4lfence
