// SPDX-License-Identifier: MIT
//
// A clock that stands still until a test moves it.

#pragma once

#include <atomic>

#include "v4lfence/base/time.hpp"

namespace v4lfence::testing {

/// Thread: any.
class ScriptedClock final : public Clock {
public:
    /// Not zero, so that a forgotten time stands out.
    explicit ScriptedClock(MonotonicTime start = from_ns(1'000'000'000)) : ns_(to_ns(start)) {}

    MonotonicTime now() const override { return from_ns(ns_.load()); }

    void advance(Nanoseconds by) { ns_.fetch_add(by.count()); }
    void set(MonotonicTime time) { ns_.store(to_ns(time)); }

private:
    std::atomic<std::int64_t> ns_;
};

}  // namespace v4lfence::testing
