// SPDX-License-Identifier: MIT

#include "conformance/runner.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "conformance/probe.hpp"
#include "conformance/wait.hpp"

namespace v4lfence {

namespace {

using Seconds = std::chrono::duration<double>;

/// Calls `on_hang` once if it lives for too long.
class Watchdog {
public:
    Watchdog(int limit_ms, std::function<void()> on_hang) {
        if (limit_ms > 0) {
            thread_ = std::thread([this, limit_ms, on_hang = std::move(on_hang)] {
                std::unique_lock lock(mutex_);
                const auto limit = std::chrono::milliseconds(limit_ms);
                if (!changed_.wait_for(lock, limit, [this] { return over_; })) {
                    on_hang();
                }
            });
        }
    }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;
    ~Watchdog() {
        if (thread_.joinable()) {
            {
                const std::lock_guard lock(mutex_);
                over_ = true;
            }
            changed_.notify_all();
            thread_.join();
        }
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;  // guarded by mutex_
    std::thread thread_;
};

CaseResult device_result(Outcome outcome, std::string message) {
    CaseResult result;
    result.name = "device@has-fences";
    result.lines = "1.2";
    result.outcome = outcome;
    result.message = std::move(message);
    return result;
}

std::string no_fences_here(std::ptrdiff_t cases) {
    return fmt::format(
        "no fences here: VIDIOC_QUERY_FENCES answers ENOTTY, and QBUF takes an invalid in-fence; "
        "left out: {} cases",
        cases);
}

class Run {
public:
    Run(const Options& options, const Facts& facts) : options_(options) {
        report_.device = options.path;
        report_.provider = options.fences;
        report_.facts = facts;
    }

    void judge(std::span<const Case> cases) {
        Rig rig(options_.calls, options_.path, options_.fences, report_.facts);
        rig.unplug_command = options_.unplug_command;
        const auto without_fences = [&](const Case& entry) {
            return !report_.facts.fenced && entry.needs != Needs::Nothing;
        };
        if (const auto left_out = std::count_if(cases.begin(), cases.end(), without_fences)) {
            add(device_result(Outcome::Skipped, no_fences_here(left_out)));
        }
        for (const Case& entry : cases) {
            if (!without_fences(entry)) {
                run_one(rig, entry);
            }
        }
    }

    void add(CaseResult result) {
        report_.results.push_back(std::move(result));
        report_.running.clear();
        for (ReportSink* sink : options_.sinks) {
            sink->on_result(report_);
        }
    }

    void lack(std::string what) { report_.lacking = std::move(what); }

    Report finish() {
        report_.finished = true;
        for (ReportSink* sink : options_.sinks) {
            sink->on_finished(report_);
        }
        return std::move(report_);
    }

private:
    static CaseResult blank_result(const Case& entry) {
        CaseResult result;
        result.name = entry.name;
        result.lines = entry.lines;
        result.history = entry.history;
        return result;
    }

    void run_one(Rig& rig, const Case& entry) {
        report_.running = entry.name;
        for (ReportSink* sink : options_.sinks) {
            sink->on_case(report_);
        }
        CaseResult result = blank_result(entry);
        const auto begin = std::chrono::steady_clock::now();
        const Checked<> checked = guarded(rig, entry);
        result.seconds = Seconds(std::chrono::steady_clock::now() - begin).count();
        result.outcome = checked ? Outcome::Passed : checked.error().outcome;
        result.message = checked ? "" : checked.error().message;
        add(std::move(result));
    }

    Checked<> guarded(Rig& rig, const Case& entry) {
        if (entry.pace == Pace::Slow && !options_.slow) {
            return skipped("slow cases were not asked for");
        }
        if (entry.needs == Needs::Library && !rig.facts().query) {
            return skipped("the device does not answer VIDIOC_QUERY_FENCES");
        }
        const Watchdog watchdog(options_.hang_ms, [this, &entry] { give_up(entry); });
        const std::size_t descriptors = open_descriptors();
        const std::uint64_t pending = fences_pending(rig);
        Checked<> checked = entry.run(rig);
        rig.forget_fences();
        if (checked) {
            checked = left_clean(rig, descriptors, pending);
        }
        return checked;
    }

    /// What an earlier case left open or pending is that case's, and may go meanwhile. What a loop
    /// of the library closes after it has told everybody gets a moment.
    static Checked<> left_clean(const Rig& rig, std::size_t descriptors, std::uint64_t pending) {
        std::size_t open_now = open_descriptors();
        constexpr int moment_ms = 500;
        const Deadline deadline = deadline_in(moment_ms);
        while (open_now > descriptors && left_ms(deadline) > 0) {
            pause_ms(5);
            open_now = open_descriptors();
        }
        CHECK(open_now <= descriptors, "the case left {} descriptors open, expected {}", open_now,
              descriptors);
        const std::uint64_t pending_now = fences_pending(rig);
        CHECK(pending_now <= pending, "the case left {} fences pending, expected {}", pending_now,
              pending);
        return {};
    }

    [[noreturn]] void give_up(const Case& entry) {
        CaseResult result = blank_result(entry);
        result.outcome = Outcome::Failed;
        result.message = fmt::format("hung for {} ms, expected it to end", options_.hang_ms);
        result.seconds = options_.hang_ms / 1000.0;
        add(std::move(result));
        (void)finish();
        ::_exit(1);
    }

    const Options& options_;
    Report report_;
};

}  // namespace

Report run_cases(const Options& options, std::span<const Case> cases, const Facts& facts) {
    Run run(options, facts);
    run.judge(select_cases(cases, options.patterns));
    return run.finish();
}

Report run(const Options& options) {
    const auto facts = probe_device(options.calls, options.path, options.fences);
    if (facts) {
        return run_cases(options, all_cases(), *facts);
    }
    Run run(options, Facts());
    if (facts.error().outcome == Outcome::Skipped) {
        run.lack(facts.error().message);
    }
    run.add(device_result(facts.error().outcome, facts.error().message));
    return run.finish();
}

}  // namespace v4lfence
