// SPDX-License-Identifier: MIT
//
// `v4lfence trace`: what buffers and fences did, as a trace for a viewer and as a picture.

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/commands.hpp"
#include "tools/exec/program_file.hpp"
#include "tools/trace/chrome_json.hpp"
#include "tools/trace/lanes.hpp"
#include "tools/trace/summary.hpp"
#include "tools/trace/timeline.hpp"
#include "tools/trace/tracer.hpp"

namespace v4lfence {

namespace {

constexpr const char* footer =
    "Examples:\n"
    "  v4lfence trace --output t.json --picture t.png -- \\\n"
    "      v4lfence stream virtual:camera --frames 60 --in-fence chain --out-fence\n"
    "  v4lfence trace --pid 4711 --duration 2 --output t.json\n"
    "  v4lfence trace --frames 60 --picture t.svg     every program with fences\n"
    "  v4lfence trace --duration 0 --picture t.png    what they did lately\n"
    "\n"
    "FILE.json opens in https://ui.perfetto.dev and in chrome://tracing. CMD is traced\n"
    "with all that it starts; a program that has no fences so far is waited for.\n"
    "Whoever may debug a process may trace it. The kernel's events (vb2, v4l2,\n"
    "dma_fence, drm_vblank_event) need a mounted tracefs and mostly root; they come\n"
    "from an instance of tracefs of its own, which goes with the trace.\n"
    "\n"
    "The trace ends with CMD, after --duration or --frames, or at Ctrl-C, which is a\n"
    "success; CMD gets the Ctrl-C too, and a second one does not wait for it.\n"
    "\n"
    "Exit status: with CMD its own, or 128+N when the signal N ended it, 126 and 127\n"
    "as of env(1). Else, and where CMD's is 0: 0 success, 1 there was nothing to\n"
    "trace or a file could not be written, 2 wrong usage, 77 the machine lacks\n"
    "something that is needed.";

struct Arguments {
    std::vector<pid_t> pids;
    std::string output;
    std::string picture;
    std::string kernel = "auto";
    double duration_s = -1;
    std::size_t frames = 0;
    bool json = false;
};

void note(const std::string& sentence) {
    fmt::print(stderr, "v4lfence trace: {}\n", sentence);
}

Attempt<TraceWishes> wishes_of(const Arguments& arguments, std::span<char*> command) {
    if (!command.empty() && !arguments.pids.empty()) {
        return wrong_usage("either --pid or a command can be traced, not both.");
    }
    if (arguments.duration_s >= 0 && arguments.frames != 0) {
        return wrong_usage("--duration and --frames both say when it ends; give one of them.");
    }
    TraceWishes wishes;
    wishes.pids = arguments.pids;
    wishes.frames = arguments.frames;
    wishes.kernel = arguments.kernel == "yes"  ? KernelUse::Yes
                    : arguments.kernel == "no" ? KernelUse::No
                                               : KernelUse::Auto;
    if (arguments.duration_s >= 0) {
        wishes.duration = std::chrono::duration_cast<Nanoseconds>(
            std::chrono::duration<double>(arguments.duration_s));
    }
    if (!command.empty()) {
        auto path = find_program(command.front());
        if (!path) {
            return tl::unexpected<Failure>(path.error());
        }
        wishes.program = {*path, command, {}};
    }
    return wishes;
}

Attempt<> write_json(const nlohmann::ordered_json& json, const std::string& path) {
    const auto close = [](std::FILE* file) { std::fclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "we"), close);
    // What is no UTF-8 comes from the names of programs.
    const std::string text =
        json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    if (!file || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() ||
        std::fflush(file.get()) != 0) {
        return job_failed(fmt::format("{}: {}.", path, std::strerror(errno)));
    }
    return {};
}

/// The files that are asked for, and the summary.
Attempt<> tell(const Arguments& arguments, Recording& recording) {
    if (arguments.frames != 0) {
        keep_last_frames(recording, arguments.frames);
    }
    const Lanes lanes = make_lanes(recording);
    TraceSummary summary = summarize(recording, lanes);
    if (!arguments.output.empty()) {
        if (const auto told = write_json(chrome_json(recording, lanes), arguments.output); !told) {
            return told;
        }
        summary.files.push_back(arguments.output);
    }
    if (!arguments.picture.empty()) {
        if (const auto told = draw_timeline(recording, lanes, arguments.picture); !told) {
            return told;
        }
        summary.files.push_back(arguments.picture);
    }
    if (arguments.json) {
        fmt::print("{}\n", summary_json(summary).dump(
                           -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    } else {
        fmt::print("{}", summary_text(summary));
    }
    std::fflush(stdout);
    if (lanes.groups.empty()) {
        return job_failed("there was nothing to trace: no program used a fence meanwhile.");
    }
    return {};
}

Attempt<ExitStatus> run(const Arguments& arguments, std::span<char*> command) {
    const auto wishes = wishes_of(arguments, command);
    if (!wishes) {
        return tl::unexpected<Failure>(wishes.error());
    }
    auto traced = trace(*wishes);
    if (!traced) {
        return tl::unexpected<Failure>(traced.error());
    }
    for (const std::string& sentence : traced->notes) {
        note(sentence);
    }
    if (wishes->kernel == KernelUse::Auto && !traced->recording.kernel_missing.empty()) {
        note(traced->recording.kernel_missing);
    }
    const auto told = tell(arguments, traced->recording);
    if (traced->abandoned) {
        return ExitStatus::Interrupted;
    }
    if (traced->running != 0) {
        traced->program_ended = supervise(traced->running);
    }
    const ExitStatus program = traced->program_ended.value_or(ExitStatus::Success);
    if (told || program == ExitStatus::Success) {
        return told ? Attempt<ExitStatus>(program) : tl::unexpected<Failure>(told.error());
    }
    note(told.error().message);
    return program;
}

}  // namespace

Command add_trace_command(CLI::App& program, std::span<char*> command) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* app = program.add_subcommand(
        "trace", "Records what buffers, fences and displays do, for a viewer or as a picture.");
    app->add_option("--pid", arguments->pids, "A process to trace (default: all that have fences)")
        ->check(CLI::PositiveNumber)
        ->type_name("PID")
        ->allow_extra_args(false);
    app->add_option("--output", arguments->output, "Write the trace, in the JSON of Chrome")
        ->type_name("FILE.json");
    app->add_option("--picture", arguments->picture, "Draw the trace; SVG if the name says so")
        ->type_name("FILE.png");
    app->add_option("--kernel", arguments->kernel,
                    "The kernel's events as well: auto (default), yes, no")
        ->check(CLI::IsMember({"auto", "yes", "no"}))
        ->type_name("WHEN");
    app->add_option("--duration", arguments->duration_s,
                    "How long; 0: what programs did lately, without waiting")
        ->check(CLI::NonNegativeNumber)
        ->type_name("SECONDS");
    app->add_option("--frames", arguments->frames,
                    "Keep the last N frames; without CMD, end when there are so many")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    app->add_flag("--json", arguments->json, "Print the summary as a JSON object");
    // For the help alone: main() has cut them off.
    app->add_option("CMD", "A program to start and trace, after --")->type_name("[ARGS]");
    app->footer(footer);
    return {app, [arguments, command] {
                const auto ended = run(*arguments, command);
                return ended ? *ended : report_failure("trace", ended.error());
            }};
}

}  // namespace v4lfence
