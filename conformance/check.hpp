// SPDX-License-Identifier: MIT
//
// How a case says what it found: it returns at the first thing that is not as promised, with what
// happened and what was expected, or with the reason why it cannot be run here. For conformance/
// alone: the macros have short names.

#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

enum class Outcome : unsigned char { Passed, Failed, Skipped };

struct Verdict {
    Outcome outcome = Outcome::Failed;
    std::string message;
};

/// A value, or why the case ends here.
template <class T = void>
using Checked = tl::expected<T, Verdict>;

[[nodiscard]] inline tl::unexpected<Verdict> failed(std::string message) {
    return tl::unexpected<Verdict>(Verdict{Outcome::Failed, std::move(message)});
}

[[nodiscard]] inline tl::unexpected<Verdict> skipped(std::string reason) {
    return tl::unexpected<Verdict>(Verdict{Outcome::Skipped, std::move(reason)});
}

/// "0", or the name of an errno; the sign does not matter.
std::string errno_name(int error);

/// `result` is 0 or a negative errno, `error` a positive one; 0 for success.
Checked<> answers(int result, int error, std::string_view what);

/// As answers(result, 0, what), of a handle that does not own the queue: some drivers (uvcvideo)
/// answer nobody else, which skips the case.
Checked<> answers_others(int result, std::string_view what);

inline Verdict as_verdict(Verdict verdict) {
    return verdict;
}
Verdict as_verdict(const Error& error);

template <class T, class E>
T take_value(tl::expected<T, E>&& checked) {
    return std::move(*checked);
}
template <class E>
void take_value(tl::expected<void, E>&&) {}

}  // namespace v4lfence

#define V4LFENCE_JOIN_AGAIN(first, second) first##second
#define V4LFENCE_JOIN(first, second) V4LFENCE_JOIN_AGAIN(first, second)
#define V4LFENCE_TRY_AS(checked, expression)                                                       \
    __extension__({                                                                                \
        auto checked = (expression);                                                               \
        if (!checked) {                                                                            \
            return tl::unexpected<v4lfence::Verdict>(v4lfence::as_verdict(checked.error()));       \
        }                                                                                          \
        v4lfence::take_value(std::move(checked));                                                  \
    })

/// The value of a Checked or Result, or the end of the case. May be nested.
#define TRY(expression) V4LFENCE_TRY_AS(V4LFENCE_JOIN(checked_, __COUNTER__), expression)

/// The case fails unless `condition`; the rest is a fmt message.
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return v4lfence::failed(fmt::format(__VA_ARGS__));                                     \
        }                                                                                          \
    } while (false)
