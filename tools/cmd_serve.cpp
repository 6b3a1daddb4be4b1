// SPDX-License-Identifier: MIT
//
// `v4lfence serve`: virtual devices for programs that are started elsewhere.

#include <fmt/format.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/commands.hpp"
#include "tools/exec/address.hpp"
#include "tools/exec/child.hpp"
#include "tools/exec/choice.hpp"
#include "tools/exec/environment.hpp"

namespace v4lfence {

namespace {

constexpr const char* footer =
    "Examples:\n"
    "  v4lfence serve --virtual camera=/dev/video80 > camera.env &\n"
    "  . ./camera.env          once it is written; then, in this shell:\n"
    "  ffplay /dev/video80     and any number of programs more\n"
    "\n"
    "  v4lfence serve --virtual camera --virtual camera-mplane --json\n"
    "\n"
    "The lines are printed once the devices can be opened. It serves until SIGINT,\n"
    "SIGTERM or SIGHUP; devices that are open then hang up. Programs of the same user\n"
    "reach it, no others. The socket is by default $XDG_RUNTIME_DIR/v4lfence-N, the\n"
    "first that is free, or an abstract one where there is no such folder.\n"
    "`v4lfence exec --help` tells which programs are out of reach.\n"
    "\n"
    "Exit status: 0 it was told to end; 1 it could not serve, 2 wrong usage, 77 the\n"
    "machine lacks something that is needed.";

struct Arguments {
    std::vector<std::string> virtual_devices;
    std::string socket;
    std::string provider;
    bool rfc_caps = false;
    bool json = false;
};

/// For a shell to read; what it preloads already stays.
void print_exports(const std::vector<Variable>& environment) {
    for (const Variable& variable : environment) {
        const bool preload = variable.name == "LD_PRELOAD";
        fmt::print("export {}={}{}\n", variable.name, shell_quoted(variable.value),
                   preload ? "\"${LD_PRELOAD:+:$LD_PRELOAD}\"" : "");
    }
}

Attempt<ShimSettings> choose(const Arguments& arguments) {
    if (arguments.virtual_devices.empty()) {
        return wrong_usage("there is no device to serve: --virtual names one.");
    }
    if (arguments.socket == "@") {
        return wrong_usage("--socket @: an abstract name follows the @.");
    }
    ShimSettings settings;
    settings.provider = arguments.provider;
    settings.rfc_caps = arguments.rfc_caps;
    auto devices = choose_virtual(arguments.virtual_devices, node_numbers_here());
    if (!devices) {
        return tl::unexpected<Failure>(devices.error());
    }
    settings.devices = std::move(*devices);
    const auto provider = check_provider(arguments.provider);
    if (!provider) {
        return tl::unexpected<Failure>(provider.error());
    }
    return settings;
}

/// Programs start in folders of their own.
std::string absolute_address(const std::string& socket) {
    std::error_code ignored;
    return socket.empty() || socket.front() == '@'
               ? socket
               : std::filesystem::absolute(socket, ignored).lexically_normal().string();
}

Attempt<> announce(const Arguments& arguments, const ShimSettings& settings,
                   const PreloadLibrary& library) {
    const auto environment = environment_of(settings, library, [](const char*) { return ""; });
    if (arguments.json) {
        fmt::print("{}\n", settings_json(settings, environment).dump(2));
    } else {
        print_exports(environment);
    }
    if (std::fflush(stdout) != 0) {
        return job_failed("the lines for the programs could not be written.");
    }
    return {};
}

Attempt<ExitStatus> run(const Arguments& arguments) {
    auto settings = choose(arguments);
    if (!settings) {
        return tl::unexpected<Failure>(settings.error());
    }
    const auto library = find_preload_library();
    if (!library) {
        return tl::unexpected<Failure>(library.error());
    }
    HostOptions options;
    options.provider = arguments.provider.empty() ? options.provider : arguments.provider;
    options.rfc_caps = arguments.rfc_caps;
    // Before there are threads, so that the signals come here alone.
    const sigset_t ending = ending_signals();
    pthread_sigmask(SIG_BLOCK, &ending, nullptr);
    auto listening = listen_at(absolute_address(arguments.socket), settings->devices, options);
    if (!listening) {
        return tl::unexpected<Failure>(listening.error());
    }
    settings->server = listening->address;
    if (!listening->host.start()) {
        return job_failed("no threads for the devices.");
    }
    if (const auto said = announce(arguments, *settings, *library); !said) {
        return tl::unexpected<Failure>(said.error());
    }
    int signal = 0;
    while (::sigwait(&ending, &signal) != 0) {}
    // A second one does not wait until everything is closed.
    pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
    return ExitStatus::Success;
}

}  // namespace

Command add_serve_command(CLI::App& program) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* app = program.add_subcommand(
        "serve", "Serves virtual devices to programs that are started elsewhere.");
    app->add_option("--virtual", arguments->virtual_devices,
                    fmt::format("As of exec ({})", kinds_text()))
        ->type_name("KIND[=/dev/videoN]")
        ->allow_extra_args(false);
    app->add_option("--socket", arguments->socket, "Where to listen: a path, or @NAME")
        ->type_name("PATH");
    app->add_option("--fences", arguments->provider,
                    "Who makes out-fences: auto, user, eventfd, vgem, sw_sync (default: auto)")
        ->type_name("PROVIDER");
    app->add_flag("--rfc-caps", arguments->rfc_caps,
                  "QUERYCAP reports ordered queues as the RFC's last version did");
    app->add_flag("--json", arguments->json, "Print a JSON object in place of the lines");
    app->footer(footer);
    return {app, [arguments] {
                const auto ended = run(*arguments);
                return ended ? *ended : report_failure("serve", ended.error());
            }};
}

}  // namespace v4lfence
