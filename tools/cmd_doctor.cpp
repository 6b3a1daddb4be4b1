// SPDX-License-Identifier: MIT
//
// `v4lfence doctor`: who waits for whom in running programs, and what to do about it.

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/commands.hpp"
#include "tools/doctor/collect.hpp"
#include "tools/doctor/report.hpp"
#include "v4lfence/base/time.hpp"

namespace v4lfence {

namespace {

constexpr const char* footer =
    "Examples:\n"
    "  v4lfence doctor                          every program that uses v4lfence\n"
    "  v4lfence doctor $(pidof my-camera-app)   one of them\n"
    "  v4lfence doctor --older-than 100         waits of more than 100 ms are faults\n"
    "  v4lfence doctor --json | jq '.findings[].verdict'\n"
    "\n"
    "It says which buffers wait for which fences, who can end those, since when, and one\n"
    "sentence for each fault with the name of who is to act. It only looks: a program that\n"
    "hangs or is stopped stays as it is. A process that does not use v4lfence can be named\n"
    "too: then its pending sync_files and dma-bufs are told. Nobody knows since when those\n"
    "wait, so they are faults with --older-than 0 alone. What has failed, was given up on, or\n"
    "belongs to a stopped program is a fault whatever its age.\n"
    "\n"
    "Only processes that this user could debug can be looked at; root sees all of them.\n"
    "Kernel fences (sync_files) of others may need root: see kernel.yama.ptrace_scope.\n"
    "\n"
    "Exit status: 0 nothing hangs, 1 something waits longer than it should, 2 wrong usage,\n"
    "77 there is nothing that can be looked at (the message says why).";

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr int longest_ms = 3600 * 1000;

struct DoctorArguments {
    std::vector<pid_t> pids;
    bool all = false;
    bool json = false;
    int older_than_ms = 1000;
};

ExitStatus run_doctor(const DoctorArguments& arguments) {
    const SystemClock clock;
    const std::int64_t begin_ns = to_ns(clock.now());
    auto snapshot = collect(arguments.pids);
    if (!snapshot) {
        return report_failure("doctor", snapshot.error());
    }
    Diagnosis diagnosis =
        diagnose_waits(std::move(*snapshot), arguments.pids, arguments.older_than_ms * ns_per_ms);
    diagnosis.took_ns = to_ns(clock.now()) - begin_ns;
    if (arguments.json) {
        using Handler = nlohmann::json::error_handler_t;
        fmt::print("{}\n", diagnosis_json(diagnosis).dump(2, ' ', false, Handler::replace));
    } else {
        fmt::print("{}", diagnosis_text(diagnosis, arguments.all));
    }
    std::fflush(stdout);
    return diagnosis.findings.empty() ? ExitStatus::Success : ExitStatus::JobFailed;
}

}  // namespace

Command add_doctor_command(CLI::App& program) {
    const auto arguments = std::make_shared<DoctorArguments>();
    CLI::App* app = program.add_subcommand(
        "doctor", "Says who waits for whom in running programs, and who is to blame.");
    app->add_option("PID", arguments->pids, "Processes to look at (default: all that use v4lfence)")
        ->check(CLI::PositiveNumber);
    app->add_option("--older-than", arguments->older_than_ms,
                    "Waits of so many ms and more are faults")
        ->capture_default_str()
        ->check(CLI::Range(0, longest_ms));
    app->add_flag("--all", arguments->all, "Show also buffers that wait for nobody");
    app->add_flag("--json", arguments->json, "Write JSON to stdout, nothing else");
    app->footer(footer);
    return {app, [arguments] { return run_doctor(*arguments); }};
}

}  // namespace v4lfence
