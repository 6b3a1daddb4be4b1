// SPDX-License-Identifier: MIT
//
// `v4lfence stream`: its arguments, and what it says at the end.

#include <fmt/format.h>

#include <memory>
#include <string>

#include "tools/commands.hpp"
#include "tools/stream/publish.hpp"
#include "tools/stream/report.hpp"
#include "tools/stream/session.hpp"
#include "tools/video/names.hpp"

namespace v4lfence {

namespace {

constexpr const char* footer =
    "Examples:\n"
    "  v4lfence stream virtual:camera --in-fence chain --save frame.png\n"
    "  v4lfence stream virtual:camera --rate free --frames 100000\n"
    "  v4lfence stream /dev/video0 --out-fence\n"
    "  v4lfence stream /dev/video0 --size 640x360 --rate 30 --in-fence chain --save frame.png\n"
    "  v4lfence stream /dev/video0 --in-fence timer --timer-ms 5..60 --seed 7\n"
    "  v4lfence stream /dev/video0 --fences vgem --in-fence chain=3 --json >report.json\n"
    "  v4lfence stream /dev/video0 --implicit both --in-fence timer\n"
    "  v4lfence stream /dev/video0 --raw          the same loop without v4lfence\n"
    "\n"
    "In-fences: `timer` waits for fences that end after a random delay, also out of order,\n"
    "so frames may be lost. `chain=K` waits for the out-fence of K frames ago: K buffers\n"
    "are with the driver, the others are held. K below what the driver needs would starve\n"
    "it and is refused; by default K is two more than that and there are 2K buffers.\n"
    "\n"
    "Exit status: 0 every promise in the summary was checked and held, 1 one did not, or\n"
    "the stream failed, 2 wrong usage, 77 the machine lacks something (the message says\n"
    "what), 130 ended by Ctrl-C with nothing broken. A second Ctrl-C kills.";

/// The texts that are not numbers, until they are parsed.
struct StreamTexts {
    std::string size;
    std::string format;
    std::string rate;
    std::string memory = "mmap";
    std::string in_fence = "none";
    std::string implicit = "none";
    std::string timer_ms = "5..60";
    std::string pixels = "auto";
};

struct StreamArguments {
    StreamChoices options;
    StreamTexts texts;
};

/// Stores what the text means, or the sentence why it means nothing.
template <class Value, class Target>
void store(Attempt<Value> parsed, Target& target, Attempt<>& verdict) {
    if (!verdict) {
        return;
    }
    if (!parsed) {
        verdict = tl::unexpected(parsed.error());
        return;
    }
    target = *parsed;
}

Attempt<> parse_texts(const StreamTexts& texts, StreamChoices& options) {
    Attempt<> verdict;
    if (!texts.size.empty()) {
        store(parse_size(texts.size), options.size, verdict);
    }
    if (!texts.format.empty()) {
        store(parse_fourcc(texts.format), options.fourcc, verdict);
    }
    if (!texts.rate.empty()) {
        store(parse_rate(texts.rate), options.rate, verdict);
    }
    store(parse_memory(texts.memory), options.memory, verdict);
    store(parse_in_fence(texts.in_fence), options.in_fence, verdict);
    store(parse_implicit(texts.implicit), options.implicit, verdict);
    store(parse_delays(texts.timer_ms), options.timer, verdict);
    store(parse_pixels(texts.pixels), options.pixels, verdict);
    return verdict ? settle_options(options) : verdict;
}

void add_picture_options(CLI::App& app, StreamArguments& arguments) {
    StreamChoices& options = arguments.options;
    app.add_option("DEVICE", options.device,
                   "A capture device, such as /dev/video0 or virtual:camera")
        ->required();
    app.add_option("--frames", options.frames, "How many frames")->capture_default_str();
    app.add_option("--size", arguments.texts.size, "WIDTHxHEIGHT (default: as the device is)");
    app.add_option("--format", arguments.texts.format,
                   "Pixel format, such as YUYV (default: as the device is)");
    app.add_option("--rate", arguments.texts.rate,
                   "Frames a second, of which the driver chooses the nearest it has, or free: as\n"
                   "fast as a virtual camera can (default: as it is)");
    app.add_option("--memory", arguments.texts.memory, "mmap, userptr or dmabuf")
        ->capture_default_str();
    app.add_option("--buffers", options.buffers, "How many buffers (default: 4; chain: 2K)")
        ->check(CLI::Range(1, 32768));
    app.add_option("--pixels", arguments.texts.pixels,
                   "What each picture must show: auto, painted (its number), stamped (number and\n"
                   "time, at top and bottom), bars, none")
        ->capture_default_str();
    app.add_option("--save", options.save, "Write the last frame as PNG");
}

void add_fence_options(CLI::App& app, StreamArguments& arguments) {
    StreamChoices& options = arguments.options;
    app.add_option("--in-fence", arguments.texts.in_fence,
                   "What each buffer waits for: none, timer, chain or chain=K")
        ->capture_default_str();
    app.add_flag("--out-fence", options.out_fence, "Ask for an out-fence with each buffer");
    app.add_option("--fences", options.provider,
                   "Who makes the fences: user, eventfd, vgem, sw_sync (default: user)");
    app.add_flag("--fence-names", options.fence_names,
                 "Give vgem's and sw_sync's fences names that the kernel shows, such as\n"
                 "\"video0 capture 3 #17\"; two system calls more for each");
    app.add_option("--implicit", arguments.texts.implicit,
                   "Fences in the buffers' dma-bufs instead of descriptors: in: the in-fences are\n"
                   "put there, as a reader's, and QBUF is told of none; out: who looks at the\n"
                   "dma-buf alone must wait for the frame; both. Needs vgem")
        ->capture_default_str();
    app.add_option("--deadline", options.deadline_ms,
                   "Give up on an in-fence after so many ms; its frame has an error (default: "
                   "wait for ever)")
        ->check(CLI::Range(1, 3600000));
    app.add_option("--timer-ms", arguments.texts.timer_ms, "Delay of the timer's fences, MIN..MAX")
        ->capture_default_str();
    app.add_option("--seed", options.seed, "Of the delays")->capture_default_str();
    app.add_option("--allow-bad", options.bad_frames_allowed,
                   "Accept so many frames that are lost, have an error, or have the number of the "
                   "one before (vivid does that where it paints too slowly)")
        ->capture_default_str();
    app.add_option("--timeout", options.timeout_s,
                   "Fail after so many seconds without a frame, and say who waits for whom")
        ->capture_default_str()
        ->check(CLI::Range(1, 3600));
    app.add_flag("--raw", options.raw, "The same loop by plain system calls, without v4lfence");
    app.add_flag("--json", options.json, "Write JSON to stdout, nothing else");
    app.add_option("--report", options.report, "Write the same JSON to a file");
}

Attempt<ChainPlan> plan_buffers(const StreamChoices& options, const Camera& camera) {
    constexpr unsigned usual_buffers = 4;
    if (options.in_fence.mode != InFenceMode::Chain) {
        return ChainPlan{0, options.buffers.value_or(usual_buffers)};
    }
    const auto minimum = camera.driver_minimum();
    if (!minimum) {
        return tl::unexpected(minimum.error());
    }
    return plan_chain(options.in_fence.chain_depth, options.buffers, *minimum);
}

CameraChoices camera_choices(const StreamChoices& options) {
    return {options.device,
            options.raw ? VideoCalls::Plain : VideoCalls::Library,
            options.size,
            options.fourcc,
            options.rate,
            options.fenced(),
            options.provider,
            options.deadline_ms,
            options.fence_names};
}

Attempt<StreamResult> run_session(const StreamChoices& options) {
    const auto camera = Camera::open(camera_choices(options));
    if (!camera) {
        return tl::unexpected(camera.error());
    }
    auto plan = plan_buffers(options, *camera);
    if (!plan) {
        return tl::unexpected(plan.error());
    }
    const auto pool = BufferPool::create(*camera, options.memory, plan->buffers);
    if (!pool) {
        return tl::unexpected(pool.error());
    }
    if (plan->depth != 0 && pool->count() <= plan->depth) {
        return machine_lacks(fmt::format("the driver gives {} buffers and a chain of {} needs {}.",
                                         pool->count(), plan->depth, plan->depth + 1));
    }
    const auto interrupt = Interrupt::create();
    if (!interrupt) {
        return job_failed(fmt::format("no eventfd: {}.", errno_text(interrupt.error().code)));
    }
    Progress progress(options.frames);
    return StreamSession(options, *camera, *pool, *plan, *interrupt, progress).run();
}

ExitStatus run_stream(StreamArguments& arguments) {
    StreamChoices& options = arguments.options;
    if (const auto parsed = parse_texts(arguments.texts, options); !parsed) {
        return report_failure("stream", parsed.error());
    }
    const auto result = run_session(options);
    if (!result) {
        return report_failure("stream", result.error());
    }
    if (const auto told = publish_report(stream_json(options, *result),
                                         stream_text(options, *result), options.json,
                                         options.report);
        !told) {
        return report_failure("stream", told.error());
    }
    if (result->failure) {
        report_failure("stream", *result->failure);
    } else if (result->exit_status() == ExitStatus::JobFailed) {
        report_failure("stream", {ExitStatus::JobFailed,
                                  "a promise was broken or never seen: the summary says which."});
    }
    return result->exit_status();
}

}  // namespace

Command add_stream_command(CLI::App& program) {
    const auto arguments = std::make_shared<StreamArguments>();
    CLI::App* app = program.add_subcommand(
        "stream", "Streams from a capture device with fences and checks every frame.");
    add_picture_options(*app, *arguments);
    add_fence_options(*app, *arguments);
    app->footer(footer);
    return {app, [arguments] { return run_stream(*arguments); }};
}

}  // namespace v4lfence
