// SPDX-License-Identifier: MIT

#include "v4lfence/base/time.hpp"

#include <algorithm>
#include <limits>

namespace v4lfence {

int timeout_ms(Deadline deadline, MonotonicTime now) {
    if (!deadline) {
        return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - now).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

Deadline deadline_after_ms(int timeout_ms, MonotonicTime now) {
    if (timeout_ms < 0) {
        return std::nullopt;
    }
    return now + std::chrono::milliseconds(timeout_ms);
}

}  // namespace v4lfence
