// SPDX-License-Identifier: MIT
//
// The commands of the program `v4lfence`, one file each. main.cpp parses and runs them.

#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>

#include "tools/failure.hpp"

namespace v4lfence {

struct Command {
    CLI::App* app = nullptr;          ///< Its arguments; owned by the program's parser.
    std::function<ExitStatus()> run;  ///< Called once, after parsing. Prints its own messages.
};

Command add_devices_command(CLI::App& program);
Command add_stream_command(CLI::App& program);
Command add_conform_command(CLI::App& program);
/// `command`: what it is to run, which the parser does not see; see split_command_line().
Command add_exec_command(CLI::App& program, std::span<char*> command);
Command add_serve_command(CLI::App& program);
Command add_display_command(CLI::App& program);
Command add_doctor_command(CLI::App& program);
/// `command`: as of exec; empty: it traces what runs already.
Command add_trace_command(CLI::App& program, std::span<char*> command);

/// Prints the sentence to stderr as `v4lfence COMMAND: ...` and returns the status.
ExitStatus report_failure(const char* command, const Failure& failure);

}  // namespace v4lfence
