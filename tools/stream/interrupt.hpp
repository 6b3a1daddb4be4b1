// SPDX-License-Identifier: MIT
//
// Ctrl-C as something to poll for.

#pragma once

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// While it lives, the first SIGINT or SIGTERM makes fd() readable; the second ends the program.
/// One at a time.
class Interrupt {
public:
    /// Errors: EMFILE.
    static Result<Interrupt> create();

    Interrupt(Interrupt&&) noexcept = default;
    Interrupt& operator=(Interrupt&&) = delete;
    ~Interrupt();

    /// Borrowed.
    int fd() const noexcept { return event_.get(); }
    bool raised() const;

private:
    explicit Interrupt(UniqueFd event) noexcept : event_(std::move(event)) {}

    UniqueFd event_;
};

}  // namespace v4lfence
