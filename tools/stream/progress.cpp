// SPDX-License-Identifier: MIT

#include "tools/stream/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

namespace v4lfence {

namespace {

constexpr std::uint64_t bar_width = 40;
constexpr auto draw_interval = std::chrono::milliseconds(100);
constexpr const char* clear_line = "\r\x1b[K";

}  // namespace

Progress::Progress(std::uint64_t total)
    : total_(std::max<std::uint64_t>(total, 1)), on_terminal_(::isatty(STDERR_FILENO) == 1) {}

void Progress::show(std::uint64_t frames, std::uint64_t lost) {
    if (!on_terminal_) {
        return;
    }
    const MonotonicTime now = SystemClock().now();
    if (now < next_draw_) {
        return;
    }
    next_draw_ = now + draw_interval;
    drawn_ = true;
    const std::uint64_t filled = std::min(frames * bar_width / total_, bar_width);
    fmt::print(stderr, "{}[{}{}] {}/{} frames{}", clear_line, std::string(filled, '#'),
               std::string(bar_width - filled, ' '), frames, total_,
               lost == 0 ? "" : fmt::format(", {} lost", lost));
    std::fflush(stderr);
}

void Progress::clear() {
    if (drawn_) {
        fmt::print(stderr, "{}", clear_line);
        drawn_ = false;
    }
}

}  // namespace v4lfence
