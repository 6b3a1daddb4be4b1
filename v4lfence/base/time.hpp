// SPDX-License-Identifier: MIT
//
// Time is CLOCK_MONOTONIC in nanoseconds, as V4L2 and sync_file stamp it. A Clock is a parameter,
// so that tests script it.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace v4lfence {

using Nanoseconds = std::chrono::nanoseconds;
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Nanoseconds>;

/// Empty: never.
using Deadline = std::optional<MonotonicTime>;

class Clock {
public:
    virtual ~Clock() = default;
    virtual MonotonicTime now() const = 0;
};

class SystemClock final : public Clock {
public:
    MonotonicTime now() const override { return std::chrono::steady_clock::now(); }
};

/// What a system call that counts from now wants: -1 for ever, 0 past, rounded up so that it never
/// returns early.
int timeout_ms(Deadline deadline, MonotonicTime now);

/// `timeout_ms` as poll() takes it: negative is never.
Deadline deadline_after_ms(int timeout_ms, MonotonicTime now);

inline std::int64_t to_ns(MonotonicTime time) {
    return time.time_since_epoch().count();
}

inline MonotonicTime from_ns(std::int64_t ns) {
    return MonotonicTime(Nanoseconds(ns));
}

}  // namespace v4lfence
