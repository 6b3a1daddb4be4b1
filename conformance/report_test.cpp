// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "conformance/report.hpp"

namespace v4lfence {
namespace {

CaseResult result(std::string name, Outcome outcome, std::string message) {
    CaseResult entry;
    entry.name = std::move(name);
    entry.lines = "4.2";
    entry.history = "#14";
    entry.outcome = outcome;
    entry.message = std::move(message);
    entry.seconds = 0.5;
    return entry;
}

Report sample() {
    Report report;
    report.device = "/dev/video0";
    report.provider = "user";
    report.results = {result("a@good", Outcome::Passed, ""),
                      result("a@bad", Outcome::Failed, "got <1> & \"2\", expected 3"),
                      result("b@other", Outcome::Skipped, "no vgem")};
    return report;
}

TEST(Report, text_has_one_line_per_outcome) {
    const Report report = sample();
    EXPECT_EQ(text_line(report.results[0]), "ok a@good");
    EXPECT_EQ(text_line(report.results[1]), "not ok a@bad - got <1> & \"2\", expected 3");
    EXPECT_EQ(text_line(report.results[2]), "skip b@other - no vgem");
    EXPECT_EQ(text_summary(report), "1 passed, 1 failed, 1 skipped");
}

TEST(Report, exit_status_follows_failures_and_what_is_lacking) {
    Report report = sample();
    EXPECT_EQ(report.exit_status(), 1);
    report.results.erase(report.results.begin() + 1);
    EXPECT_EQ(report.exit_status(), 0);
    report.lacking = "no such device";
    EXPECT_EQ(report.exit_status(), 77);
}

TEST(Report, json_parses_and_holds_every_result) {
    const auto document = nlohmann::json::parse(to_json(sample()));
    EXPECT_EQ(document["device"], "/dev/video0");
    EXPECT_EQ(document["failed"], 1);
    ASSERT_EQ(document["cases"].size(), 3U);
    EXPECT_EQ(document["cases"][1]["result"], "failed");
    EXPECT_EQ(document["cases"][1]["semantics"], "4.2");
    EXPECT_EQ(document["finished"], false);
}

TEST(Report, json_survives_bytes_that_are_no_text) {
    Report report = sample();
    report.results[0].message = "\xff\xfe";
    EXPECT_TRUE(nlohmann::json::accept(to_json(report)));
}

TEST(Report, junit_escapes_and_counts) {
    const std::string xml = to_junit(sample());
    EXPECT_NE(xml.find("tests=\"3\" failures=\"1\" skipped=\"1\" time=\"1.500\""),
              std::string::npos);
    EXPECT_NE(xml.find("message=\"got &lt;1&gt; &amp; &quot;2&quot;, expected 3\""),
              std::string::npos);
    EXPECT_NE(xml.find("classname=\"conform.a\" name=\"a@good\""), std::string::npos);
}

TEST(Report, junit_of_a_run_that_crashed_blames_the_running_case) {
    Report report = sample();
    report.running = "c@crashed";
    const std::string xml = to_junit(report);
    EXPECT_NE(xml.find("tests=\"4\" failures=\"2\""), std::string::npos);
    EXPECT_NE(xml.find("name=\"c@crashed\""), std::string::npos);
}

TEST(TextSink, writes_each_result_when_it_comes) {
    std::ostringstream out;
    TextSink sink(out);
    Report report = sample();
    sink.on_result(report);
    EXPECT_EQ(out.str(), "skip b@other - no vgem\n");
    sink.on_finished(report);
    EXPECT_EQ(out.str(), "skip b@other - no vgem\n1 passed, 1 failed, 1 skipped\n");
}

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "conformXXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    std::filesystem::path operator/(const char* name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

TEST(FileSink, file_names_the_running_case_before_it_ends) {
    const TemporaryFolder folder;
    FileSink sink(folder / "report.json", to_json);
    Report report = sample();
    report.running = "c@crashes";
    sink.on_case(report);
    std::ifstream file(folder / "report.json");
    const auto document = nlohmann::json::parse(file);
    EXPECT_EQ(document["running"], "c@crashes");
    EXPECT_EQ(document["cases"].size(), 3U);
    EXPECT_TRUE(sink.good());
}

TEST(FileSink, unwritable_path_is_no_good) {
    const TemporaryFolder folder;
    FileSink sink(folder / "missing" / "report.json", to_json);
    sink.on_result(sample());
    EXPECT_FALSE(sink.good());
}

}  // namespace
}  // namespace v4lfence
