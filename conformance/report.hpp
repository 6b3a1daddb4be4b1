// SPDX-License-Identifier: MIT
//
// Report: what a run found, and the ways to write it down. Sinks get each result as it comes, so
// that a crash of what is judged does not take the report with it.

#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "conformance/check.hpp"
#include "conformance/rig.hpp"

namespace v4lfence {

struct CaseResult {
    std::string name;
    std::string lines;
    std::string history;
    Outcome outcome = Outcome::Failed;
    std::string message;  ///< Empty when passed.
    double seconds = 0;
};

struct Report {
    std::string device;
    std::string provider;  ///< As asked for; Facts has who makes the out-fences.
    Facts facts;
    std::vector<CaseResult> results;
    std::string running;  ///< The case that has begun and not ended: who crashed.
    std::string lacking;  ///< What the machine does not have for this run; else empty.
    bool finished = false;

    std::size_t count(Outcome outcome) const;

    /// 0, 1 something failed, 77 something is lacking.
    int exit_status() const;
};

/// `ok NAME`, `not ok NAME - what happened, expected what`, `skip NAME - reason`.
std::string text_line(const CaseResult& result);

/// One line: `N passed, N failed, N skipped`.
std::string text_summary(const Report& report);

std::string to_json(const Report& report);
std::string to_junit(const Report& report);

class ReportSink {
public:
    virtual ~ReportSink() = default;
    /// A case begins; `report.running` names it.
    virtual void on_case(const Report& /*report*/) {}
    /// The last of `report.results` is new.
    virtual void on_result(const Report& report) = 0;
    virtual void on_finished(const Report& /*report*/) {}
};

/// Text, line by line. The stream is borrowed.
class TextSink final : public ReportSink {
public:
    explicit TextSink(std::ostream& out) : out_(out) {}
    void on_result(const Report& report) override;
    void on_finished(const Report& report) override;

private:
    std::ostream& out_;
};

/// A file that holds the whole report so far after every case; it is replaced, never half written.
class FileSink final : public ReportSink {
public:
    using Format = std::string (*)(const Report& report);

    FileSink(std::string path, Format format) : path_(std::move(path)), format_(format) {}
    void on_case(const Report& report) override { rewrite(report); }
    void on_result(const Report& report) override { rewrite(report); }
    void on_finished(const Report& report) override { rewrite(report); }

    /// Whether the last report was written.
    bool good() const { return good_; }

private:
    void rewrite(const Report& report);

    std::string path_;
    Format format_;
    bool good_ = true;
};

}  // namespace v4lfence
