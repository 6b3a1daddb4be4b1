// SPDX-License-Identifier: MIT

#include "conformance/report.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace v4lfence {

namespace {

const char* word_of(Outcome outcome) {
    switch (outcome) {
    case Outcome::Passed:
        return "passed";
    case Outcome::Skipped:
        return "skipped";
    case Outcome::Failed:
        break;
    }
    return "failed";
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char byte : text) {
        switch (byte) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        default:
            // XML 1.0 has no other control characters.
            out += static_cast<unsigned char>(byte) < ' ' ? ' ' : byte;
        }
    }
    return out;
}

std::string junit_case(const CaseResult& result) {
    const std::string_view name = result.name;
    const std::string_view group = name.substr(0, name.find('@'));
    std::string line =
        fmt::format("  <testcase classname=\"conform.{}\" name=\"{}\" time=\"{:.3f}\"",
                    escaped(group), escaped(name), result.seconds);
    if (result.outcome == Outcome::Passed) {
        return line + "/>\n";
    }
    const char* element = result.outcome == Outcome::Skipped ? "skipped" : "failure";
    return line +
           fmt::format("><{} message=\"{}\"/></testcase>\n", element, escaped(result.message));
}

}  // namespace

std::size_t Report::count(Outcome outcome) const {
    return static_cast<std::size_t>(
        std::count_if(results.begin(), results.end(),
                      [&](const CaseResult& result) { return result.outcome == outcome; }));
}

int Report::exit_status() const {
    constexpr int machine_lacks = 77;
    if (!lacking.empty()) {
        return machine_lacks;
    }
    return count(Outcome::Failed) == 0 ? 0 : 1;
}

std::string text_line(const CaseResult& result) {
    switch (result.outcome) {
    case Outcome::Passed:
        return fmt::format("ok {}", result.name);
    case Outcome::Skipped:
        return fmt::format("skip {} - {}", result.name, result.message);
    case Outcome::Failed:
        break;
    }
    return fmt::format("not ok {} - {}", result.name, result.message);
}

std::string text_summary(const Report& report) {
    return fmt::format("{} passed, {} failed, {} skipped", report.count(Outcome::Passed),
                       report.count(Outcome::Failed), report.count(Outcome::Skipped));
}

std::string to_json(const Report& report) {
    nlohmann::ordered_json cases = nlohmann::ordered_json::array();
    for (const CaseResult& result : report.results) {
        cases.push_back({{"name", result.name},
                         {"result", word_of(result.outcome)},
                         {"message", result.message},
                         {"semantics", result.lines},
                         {"history", result.history},
                         {"seconds", result.seconds}});
    }
    const Facts& facts = report.facts;
    const nlohmann::ordered_json document = {
        {"device", report.device},
        {"driver", facts.driver},
        {"card", facts.card},
        {"multi_planar", facts.multi_planar},
        {"start_minimum", facts.start_minimum},
        {"keeps", facts.keeps},
        {"fences", report.provider},
        {"provider", facts.provider},
        {"ordered", facts.ordered()},
        {"finished", report.finished},
        {"running", report.running},
        {"lacking", report.lacking},
        {"passed", report.count(Outcome::Passed)},
        {"failed", report.count(Outcome::Failed)},
        {"skipped", report.count(Outcome::Skipped)},
        {"cases", cases},
    };
    return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string to_junit(const Report& report) {
    double seconds = 0;
    std::string body;
    for (const CaseResult& result : report.results) {
        seconds += result.seconds;
        body += junit_case(result);
    }
    std::size_t failures = report.count(Outcome::Failed);
    std::size_t tests = report.results.size();
    if (!report.running.empty()) {
        ++failures;
        ++tests;
        body += junit_case({.name = report.running,
                            .lines = {},
                            .history = {},
                            .outcome = Outcome::Failed,
                            .message = "began and did not end",
                            .seconds = 0});
    }
    return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<testsuite name=\"conform {}\" tests=\"{}\" failures=\"{}\" "
                       "skipped=\"{}\" time=\"{:.3f}\">\n{}</testsuite>\n",
                       escaped(report.device), tests, failures, report.count(Outcome::Skipped),
                       seconds, body);
}

void TextSink::on_result(const Report& report) {
    out_ << text_line(report.results.back()) << '\n' << std::flush;
}

void TextSink::on_finished(const Report& report) {
    out_ << text_summary(report) << '\n' << std::flush;
}

void FileSink::rewrite(const Report& report) {
    const std::string part = path_ + ".part";
    std::ofstream file(part, std::ios::trunc);
    file << format_(report);
    file.close();
    std::error_code error;
    std::filesystem::rename(part, path_, error);
    good_ = !file.fail() && !error;
}

}  // namespace v4lfence
