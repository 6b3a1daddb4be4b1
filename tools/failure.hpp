// SPDX-License-Identifier: MIT
//
// How a command ends: its exit status and, when it did not do its job, a sentence for the person
// who called it.

#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace v4lfence {

/// What every command's exit status means.
enum class ExitStatus : int {
    Success = 0,
    JobFailed = 1,
    WrongUsage = 2,
    MachineLacks = 77,  ///< Something the job needs is not on this machine; the message says what.
    CannotExecute = 126,  ///< `exec`: the command is there, and cannot be run; as env(1).
    NotFound = 127,       ///< `exec`: there is no such command; as env(1).
    Interrupted = 130,    ///< By SIGINT or SIGTERM, with everything ended well.
};

struct Failure {
    ExitStatus status = ExitStatus::JobFailed;
    std::string message;  ///< Whole sentences: the thing, the reason, what to do.
};

template <class T = void>
using Attempt = tl::expected<T, Failure>;

[[nodiscard]] inline tl::unexpected<Failure> job_failed(std::string message) {
    return tl::unexpected<Failure>(Failure{ExitStatus::JobFailed, std::move(message)});
}

[[nodiscard]] inline tl::unexpected<Failure> wrong_usage(std::string message) {
    return tl::unexpected<Failure>(Failure{ExitStatus::WrongUsage, std::move(message)});
}

[[nodiscard]] inline tl::unexpected<Failure> machine_lacks(std::string message) {
    return tl::unexpected<Failure>(Failure{ExitStatus::MachineLacks, std::move(message)});
}

}  // namespace v4lfence
