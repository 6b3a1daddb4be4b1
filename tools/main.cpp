// SPDX-License-Identifier: MIT
//
// The program `v4lfence`: parses the command line and runs one command.

#include <fmt/format.h>

#include <cstddef>
#include <cstdio>
#include <span>
#include <string_view>
#include <vector>

#include "tools/commands.hpp"
#include "tools/exec/command_line.hpp"

namespace v4lfence {

ExitStatus report_failure(const char* command, const Failure& failure) {
    fmt::print(stderr, "v4lfence {}: {}\n", command, failure.message);
    return failure.status;
}

namespace {

constexpr const char* footer =
    "Start with `v4lfence devices`, then `v4lfence stream virtual:camera`. To run a\n"
    "program that knows nothing of this: `v4lfence exec --virtual camera -- CMD`; to\n"
    "have devices for several: `v4lfence serve`.\n"
    "Each command explains itself: v4lfence COMMAND --help.\n"
    "\n"
    "Exit status: 0 success, 1 the job failed, 2 wrong usage, 77 the machine lacks\n"
    "something that is needed (the message says what). `exec` ends as its command.";

constexpr std::size_t words_before_options = 2;  // "v4lfence exec"

/// What the parser is to see, and what `exec` or `trace` is to run.
SplitLine split_words(std::span<char*> words) {
    if (words.size() < words_before_options ||
        (std::string_view(words[1]) != "exec" && std::string_view(words[1]) != "trace")) {
        return {words, {}};
    }
    const SplitLine line = split_command_line(words.subspan(words_before_options));
    return {words.first(words_before_options + line.options.size()), line.command};
}

ExitStatus run_program(int argc, char** argv) {
    const SplitLine line = split_words(std::span(argv, static_cast<std::size_t>(argc)));
    CLI::App program("Explicit synchronization for V4L2 on stock kernels.", "v4lfence");
    program.footer(footer);
    program.require_subcommand(1);
    program.set_version_flag("--version", V4LFENCE_VERSION);
    const std::vector<Command> commands = {
        add_devices_command(program),
        add_stream_command(program),
        add_display_command(program),
        add_conform_command(program),
        add_exec_command(program, line.command),
        add_serve_command(program),
        add_trace_command(program, line.command),
        add_doctor_command(program),
    };
    try {
        program.parse(static_cast<int>(line.options.size()), argv);
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
