// SPDX-License-Identifier: MIT
//
// `v4lfence display`: its arguments, and what it says at the end.

#include <memory>
#include <string>

#include "tools/commands.hpp"
#include "tools/display/report.hpp"
#include "tools/display/setup.hpp"
#include "tools/stream/publish.hpp"

namespace v4lfence {

namespace {

constexpr const char* footer =
    "Examples:\n"
    "  v4lfence display                           the best camera on the best display\n"
    "  v4lfence display --to null                 the same without a display, for anybody\n"
    "  v4lfence display virtual:camera --to picture.png --frames 60\n"
    "  v4lfence display /dev/video0 --fences vgem --rate 30\n"
    "  v4lfence display /dev/video0 --card vkms --mode 1280x720 --plane overlay --format NV12\n"
    "  v4lfence display /dev/video0 --no-fences   the same loop, waiting for frames\n"
    "\n"
    "Where the display can wait for the camera's fences it gets each picture before the\n"
    "frame exists, and the camera gets each buffer back before it is off the screen; the\n"
    "program waits for flips alone. KMS waits for fences of the kernel, which --fences vgem\n"
    "makes; with those of user space the CPU waits for each frame. A display of software\n"
    "(--to null, --to FILE) waits for any. The summary says which way it went, and why.\n"
    "\n"
    "Exit status: 0 every promise in the summary was checked and held, 1 one did not, or\n"
    "the run failed, 2 wrong usage, 77 the machine lacks something, such as a display (the\n"
    "message says what), 130 ended by Ctrl-C with nothing broken. A second Ctrl-C kills.";

/// The texts that are not what they say, until they are parsed.
struct DisplayTexts {
    std::string to = "kms";
    std::string plane = "primary";
    std::string size;
    std::string format;
    std::string rate;
};

struct DisplayArguments {
    DisplayChoices choices;
    DisplayTexts texts;
    bool no_fences = false;
};

template <class Parse, class Target>
Attempt<> store(const std::string& text, Parse parse, Target& target) {
    if (text.empty()) {
        return {};
    }
    auto parsed = parse(text);
    if (!parsed) {
        return tl::unexpected(parsed.error());
    }
    target = *parsed;
    return {};
}

Attempt<> parse_texts(DisplayArguments& arguments) {
    const DisplayTexts& texts = arguments.texts;
    DisplayChoices& choices = arguments.choices;
    choices.to = parse_target(texts.to);
    choices.fences = !arguments.no_fences;
    return store(texts.plane, parse_plane, choices.overlay)
        .and_then([&] { return store(texts.size, parse_size, choices.size); })
        .and_then([&] { return store(texts.format, parse_fourcc, choices.fourcc); })
        .and_then([&] { return store(texts.rate, parse_rate, choices.rate); })
        .and_then([&] { return settle_options(choices); });
}

void add_display_options(CLI::App& app, DisplayArguments& arguments) {
    DisplayChoices& choices = arguments.choices;
    app.add_option("DEVICE", choices.device,
                   "A capture device (default: the best there is, else virtual:camera)");
    app.add_option(
           "--to", arguments.texts.to,
           "Where pictures go: kms, null (a display of software at 60 Hz), FILE.png (that,\n"
           "and its last picture) or any other FILE (that, and all its pictures, raw)")
        ->capture_default_str();
    app.add_option("--card", choices.card,
                   "/dev/dri/cardN or a driver's name (default: the first with a display)");
    app.add_option("--connector", choices.connector,
                   "Such as HDMI-A-1 (default: the first that is connected)");
    app.add_option(
        "--mode", choices.mode,
        "WIDTHxHEIGHT or WIDTHxHEIGHT@HZ (default: the smallest that holds the picture)");
    app.add_option("--plane", arguments.texts.plane,
                   "primary, or overlay: one above it, for other formats or to scale")
        ->capture_default_str();
    app.add_option("--size", arguments.texts.size,
                   "WIDTHxHEIGHT (default: as the device is, if it "
                   "can be shown)");
    app.add_option("--format", arguments.texts.format,
                   "Pixel format, such as NV12 (default: the best that both sides have)");
    app.add_option(
        "--rate", arguments.texts.rate,
        "Frames a second, of which the driver chooses the nearest it has (default: as it\n"
        "is)");
}

void add_run_options(CLI::App& app, DisplayArguments& arguments) {
    DisplayChoices& choices = arguments.choices;
    app.add_option("--fences", choices.provider,
                   "Who makes the camera's fences: auto, user, eventfd, vgem, sw_sync (default: "
                   "auto,\nwhich is user)");
    app.add_flag("--no-fences", arguments.no_fences, "The same loop with poll() and DQBUF");
    app.add_flag("--implicit", choices.implicit,
                 "The fences lie in the dma-bufs; the display is told of none (needs vgem)");
    app.add_option("--frames", choices.frames, "How many pictures; 0: until Ctrl-C")
        ->capture_default_str();
    app.add_option("--buffers", choices.buffers, "How many buffers")
        ->capture_default_str()
        ->check(CLI::Range(2, 32768));
    app.add_option("--deadline", choices.deadline_ms,
                   "Give up on a fence of the display's after so many ms; that frame has an error\n"
                   "(default: wait for ever)")
        ->check(CLI::Range(1, 3600000));
    app.add_option("--timeout", choices.timeout_s,
                   "Fail after so many seconds without a picture, and say who waits for whom. The\n"
                   "default is longer than any fence of the kernel can last")
        ->capture_default_str()
        ->check(CLI::Range(1, 3600));
    app.add_option("--hold", choices.hold_s, "Leave the last picture on screen for so many seconds")
        ->check(CLI::Range(0, 3600));
    app.add_option("--shot", choices.shot, "Write the last picture shown as PNG");
    app.add_flag("--json", choices.json, "Write JSON to stdout, nothing else");
    app.add_option("--report", choices.report, "Write the same JSON to a file");
}

ExitStatus run_command(DisplayArguments& arguments) {
    const DisplayChoices& choices = arguments.choices;
    if (const auto parsed = parse_texts(arguments); !parsed) {
        return report_failure("display", parsed.error());
    }
    const auto result = run_display(choices);
    if (!result) {
        return report_failure("display", result.error());
    }
    if (const auto told =
            publish_report(display_json(choices, *result), display_text(choices, *result),
                           choices.json, choices.report);
        !told) {
        return report_failure("display", told.error());
    }
    if (result->failure) {
        report_failure("display", *result->failure);
    } else if (result->exit_status() == ExitStatus::JobFailed) {
        report_failure("display", {ExitStatus::JobFailed,
                                   "a promise was broken or never seen: the summary says which."});
    }
    return result->exit_status();
}

}  // namespace

Command add_display_command(CLI::App& program) {
    const auto arguments = std::make_shared<DisplayArguments>();
    CLI::App* app = program.add_subcommand(
        "display", "Shows what a camera sends, with fences both ways, and checks every picture.");
    add_display_options(*app, *arguments);
    add_run_options(*app, *arguments);
    app->footer(footer);
    return {app, [arguments] { return run_command(*arguments); }};
}

}  // namespace v4lfence
