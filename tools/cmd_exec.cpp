// SPDX-License-Identifier: MIT
//
// `v4lfence exec`: runs a program that knows nothing of this library on its devices.

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/commands.hpp"
#include "tools/exec/address.hpp"
#include "tools/exec/choice.hpp"
#include "tools/exec/environment.hpp"
#include "tools/exec/program_file.hpp"
#include "tools/exec/run.hpp"

namespace v4lfence {

namespace {

constexpr const char* footer =
    "Examples:\n"
    "  v4lfence exec --virtual camera=/dev/video0 -- ffplay /dev/video0\n"
    "  v4lfence exec --virtual camera=/dev/video80 -- v4l2-ctl -d /dev/video80 --all\n"
    "  v4lfence exec --virtual camera=/dev/video80 -- \\\n"
    "      ffmpeg -f v4l2 -i /dev/video80 -frames:v 300 -y out.mkv\n"
    "  v4lfence exec --virtual camera=/dev/video80 -- \\\n"
    "      gst-launch-1.0 v4l2src device=/dev/video80 ! videoconvert ! autovideosink\n"
    "  v4lfence exec --virtual camera -- chromium https://webcamtests.com\n"
    "  v4lfence exec --wrap /dev/video0 --fences vgem -- ./a-program-with-fences\n"
    "\n"
    "Everything that CMD starts has the devices too, and all of it shares them. They\n"
    "end with CMD. A virtual device hides a node of the same name; nodes that are not\n"
    "named are left alone. An exec within an exec adds nodes to wrap, and takes the\n"
    "outer one's virtual devices away if it has some of its own.\n"
    "\n"
    "It works by LD_PRELOAD. Out of reach are programs that are statically linked,\n"
    "set-uid or in a container of their own (snap, flatpak), and system calls that do\n"
    "not go through the C library, io_uring's among them.\n"
    "\n"
    "Exit status: that of CMD, or 128+N when the signal N ended it; 126 CMD cannot be\n"
    "executed, 127 there is none; 2 wrong usage, 77 the machine lacks something that\n"
    "is needed, 1 any other failure before CMD began.";

struct Arguments {
    std::vector<std::string> virtual_devices;
    std::vector<std::string> wrapped;
    std::string provider;
    bool rfc_caps = false;
    bool json = false;
};

std::string outer_variable(const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : "";
}

Attempt<ShimSettings> choose(const Arguments& arguments) {
    ShimSettings settings;
    settings.provider = arguments.provider;
    settings.rfc_caps = arguments.rfc_caps;
    auto devices = choose_virtual(arguments.virtual_devices, node_numbers_here());
    if (!devices) {
        return tl::unexpected<Failure>(devices.error());
    }
    settings.devices = std::move(*devices);
    const std::vector<std::string> names =
        virtual_paths(settings.devices.empty() ? outer_variable("V4LFENCE_VIRTUAL")
                                               : virtual_text(settings.devices));
    auto wrapped = choose_wrapped(arguments.wrapped, names);
    if (!wrapped) {
        return tl::unexpected<Failure>(wrapped.error());
    }
    settings.wrapped = std::move(*wrapped);
    const auto provider = check_provider(arguments.provider);
    if (!provider) {
        return tl::unexpected<Failure>(provider.error());
    }
    return settings;
}

const char* hindrance(PreloadReach reach) {
    switch (reach) {
    case PreloadReach::Static:
        return "it is statically linked";
    case PreloadReach::OtherLibc:
        return "it has another C library than this one";
    case PreloadReach::OtherMachine:
        return "it is made for another kind of processor";
    case PreloadReach::Privileged:
        return "it runs with other rights than yours (set-uid, set-gid or capabilities)";
    case PreloadReach::Reached:
    case PreloadReach::Reached32:
        break;
    }
    return nullptr;
}

Attempt<> check_reach(const std::string& name, PreloadReach reach, const PreloadLibrary& library) {
    if (reach == PreloadReach::Reached32 && !library.has_32bit) {
        return machine_lacks(fmt::format(
            "{}: this is a 32-bit program, and the library for those is not installed.", name));
    }
    if (const char* const why = hindrance(reach)) {
        fmt::print(stderr,
                   "v4lfence exec: warning: {}: {}, so that no library can be preloaded: it will "
                   "not see the devices.\n",
                   name, why);
    }
    return {};
}

/// One line before anything of the program's own.
void print_json(const ShimSettings& settings, const std::vector<Variable>& environment) {
    fmt::print("{}\n", settings_json(settings, environment).dump());
    std::fflush(stdout);
}

Attempt<ExitStatus> run(const Arguments& arguments, std::span<char*> command) {
    if (command.empty()) {
        return wrong_usage("there is no command to run: v4lfence exec [OPTIONS] -- CMD [ARGS]");
    }
    auto settings = choose(arguments);
    if (!settings) {
        return tl::unexpected<Failure>(settings.error());
    }
    const auto library = find_preload_library();
    if (!library) {
        return tl::unexpected<Failure>(library.error());
    }
    const std::string name = command.front();
    auto path = find_program(name);
    if (!path) {
        return tl::unexpected<Failure>(path.error());
    }
    if (const auto reached = check_reach(name, preload_reach(*path), *library); !reached) {
        return tl::unexpected<Failure>(reached.error());
    }
    if (!settings->devices.empty()) {
        settings->server = private_address();
    }
    const ProgramToRun program{*path, command, environment_of(*settings, *library, outer_variable)};
    if (settings->devices.empty()) {
        if (arguments.json) {
            print_json(*settings, program.environment);
        }
        return tl::unexpected<Failure>(become(program));
    }
    HostOptions options;
    options.provider = arguments.provider.empty() ? options.provider : arguments.provider;
    options.rfc_caps = arguments.rfc_caps;
    auto listening = listen_at(settings->server, settings->devices, options);
    if (!listening) {
        return tl::unexpected<Failure>(listening.error());
    }
    if (arguments.json) {
        print_json(*settings, program.environment);
    }
    return run_beside(listening->host, program);
}

}  // namespace

Command add_exec_command(CLI::App& program, std::span<char*> command) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* app = program.add_subcommand(
        "exec", "Runs an unmodified program on virtual devices, or on nodes with fences.");
    app->add_option("--virtual", arguments->virtual_devices,
                    fmt::format("A device of this program's own ({}); without a name the first "
                                "that is free from /dev/video{} on",
                                kinds_text(), first_free_number))
        ->type_name("KIND[=/dev/videoN]")
        ->allow_extra_args(false);
    app->add_option("--wrap", arguments->wrapped, "A node of the kernel's that gets fences")
        ->type_name("/dev/videoN")
        ->allow_extra_args(false);
    app->add_option("--fences", arguments->provider,
                    "Who makes out-fences: auto, user, eventfd, vgem, sw_sync (default: auto)")
        ->type_name("PROVIDER");
    app->add_flag("--rfc-caps", arguments->rfc_caps,
                  "QUERYCAP reports ordered queues as the RFC's last version did");
    app->add_flag("--json", arguments->json,
                  "First write a line of JSON to stdout: the devices, CMD's environment");
    // For the help alone: main() has cut them off.
    app->add_option("CMD", "The program and its arguments, after --")->type_name("[ARGS]");
    app->footer(footer);
    return {app, [arguments, command] {
                const auto ended = run(*arguments, command);
                return ended ? *ended : report_failure("exec", ended.error());
            }};
}

}  // namespace v4lfence
