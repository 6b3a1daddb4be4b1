// SPDX-License-Identifier: MIT
//
// Where the options of `v4lfence exec` or `v4lfence trace` end and the command begins.

#pragma once

#include <span>

namespace v4lfence {

struct SplitLine {
    std::span<char*> options;
    /// The command and its arguments, NULL behind them as main() got it. Empty: there is none.
    std::span<char*> command;
};

/// `words` are those behind "exec" or "trace". The command begins after "--", or with the first
/// word that is neither an option nor the value of one, as for env(1) and timeout(1).
SplitLine split_command_line(std::span<char*> words);

}  // namespace v4lfence
