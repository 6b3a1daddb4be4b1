// SPDX-License-Identifier: MIT
//
// Result: a value, or the negative errno of what went wrong and where. Errors are values everywhere
// below the C API.

#pragma once

#include <cerrno>
#include <tl/expected.hpp>
#include <utility>

namespace v4lfence {

struct Error {
    int code = -EIO;         ///< Negative errno, as an ioctl edge returns it.
    const char* where = "";  ///< A literal: the call or the rule that failed.
};

template <class T = void>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(int code, const char* where) {
    return tl::unexpected<Error>(Error{code, where});
}

/// The Error of the system call that has just returned -1.
[[nodiscard]] inline tl::unexpected<Error> fail_errno(const char* where) {
    return fail(-errno, where);
}

namespace detail {
template <class T>
T take(tl::expected<T, Error>&& result) {
    return std::move(*result);
}
inline void take(tl::expected<void, Error>&&) {}
}  // namespace detail

}  // namespace v4lfence

/// The value of a Result, or the end of the function with its Error.
#define V4LFENCE_TRY(expression)                                                                   \
    __extension__({                                                                                \
        auto try_result_ = (expression);                                                           \
        if (!try_result_) {                                                                        \
            return tl::unexpected<v4lfence::Error>(try_result_.error());                           \
        }                                                                                          \
        v4lfence::detail::take(std::move(try_result_));                                            \
    })
