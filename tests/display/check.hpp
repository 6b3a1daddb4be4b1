// SPDX-License-Identifier: MIT
//
// How the programs of this folder give up: with a sentence on stderr, and exit status 1 where
// something is not as it should be, 77 where the machine lacks something.

#pragma once

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace v4lfence::display {

inline constexpr int status_wrong = 1;
inline constexpr int status_usage = 2;
inline constexpr int status_lacking = 77;

[[noreturn]] [[gnu::format(printf, 2, 3)]] inline void give_up(int status, const char* format,
                                                               ...) {
    va_list arguments;
    va_start(arguments, format);
    std::vfprintf(stderr, format, arguments);
    va_end(arguments);
    std::fputc('\n', stderr);
    std::_Exit(status);
}

/// What a call that must work has returned; `what` names it.
template <class Value>
Value must(Value value, const char* what) {
    if (value == static_cast<Value>(-1)) {
        give_up(status_wrong, "%s: %s", what, std::strerror(errno));
    }
    return value;
}

}  // namespace v4lfence::display
