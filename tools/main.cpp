// SPDX-License-Identifier: MIT
//
// The program `v4lfence`: parses the command line and runs one command.

#include <fmt/format.h>

#include <cstdio>
#include <vector>

#include "tools/commands.hpp"

namespace v4lfence {

ExitStatus report_failure(const char* command, const Failure& failure) {
    fmt::print(stderr, "v4lfence {}: {}\n", command, failure.message);
    return failure.status;
}

namespace {

constexpr const char* footer =
    "Start with `v4lfence devices`, then `v4lfence stream virtual:camera`.\n"
    "Each command explains itself: v4lfence COMMAND --help.\n"
    "\n"
    "Exit status: 0 success, 1 the job failed, 2 wrong usage, 77 the machine lacks\n"
    "something that is needed (the message says what).";

ExitStatus run_program(int argc, char** argv) {
    CLI::App program("Explicit synchronization for V4L2 on stock kernels.", "v4lfence");
    program.footer(footer);
    program.require_subcommand(1);
    program.set_version_flag("--version", V4LFENCE_VERSION);
    const std::vector<Command> commands = {
        add_devices_command(program),
        add_stream_command(program),
        add_conform_command(program),
    };
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return program.exit(error) == 0 ? ExitStatus::Success : ExitStatus::WrongUsage;
    }
    for (const Command& command : commands) {
        if (command.app->parsed()) {
            return command.run();
        }
    }
    return ExitStatus::WrongUsage;
}

}  // namespace
}  // namespace v4lfence

int main(int argc, char** argv) {
    return static_cast<int>(v4lfence::run_program(argc, argv));
}
