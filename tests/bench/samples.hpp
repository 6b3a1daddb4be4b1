// SPDX-License-Identifier: MIT
//
// What the programs of ./bench share: the clock, lists of times in JSON, and a way to give up.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace v4lfence::bench {

/// CLOCK_MONOTONIC.
std::int64_t now_ns();

/// [1,2,3]
std::string json_list(const std::vector<std::int64_t>& values);

/// Says what failed, with errno, and ends the program with 1.
[[noreturn]] void give_up(const char* what);

/// `value` unless it is negative: then the program gives up.
int check(int value, const char* what);

/// Pipes that stand in for somebody's fences, made before anything is measured.
struct PipeFence {
    int read_end = -1;
    int write_end = -1;
};
std::vector<PipeFence> make_pipe_fences(unsigned count);

}  // namespace v4lfence::bench
