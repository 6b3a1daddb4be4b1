// SPDX-License-Identifier: MIT
//
// A progress bar on stderr, where that is a terminal.

#pragma once

#include <cstdint>

#include "v4lfence/base/time.hpp"

namespace v4lfence {

class Progress {
public:
    explicit Progress(std::uint64_t total);

    /// Redraws a few times a second, however often it is called.
    void show(std::uint64_t frames, std::uint64_t lost);
    /// Leaves an empty line. Idempotent.
    void clear();

private:
    std::uint64_t total_;
    bool on_terminal_;
    bool drawn_ = false;
    MonotonicTime next_draw_{};
};

}  // namespace v4lfence
