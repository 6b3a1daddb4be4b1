// SPDX-License-Identifier: MIT

#include "v4lfence/fence/end_order.hpp"

#include <atomic>
#include <cstdint>

namespace v4lfence {

namespace {
/// Every store to it is a read-modify-write: a load that sees any of them synchronizes with all
/// earlier ones.
constinit std::atomic<std::uint64_t> ends{0};
}  // namespace

void publish_before_end() noexcept {
    ends.fetch_add(1, std::memory_order_release);
}

void acquire_after_end() noexcept {
    static_cast<void>(ends.load(std::memory_order_acquire));
}

}  // namespace v4lfence
