// SPDX-License-Identifier: MIT

#include "v4lfence/sync/wake.hpp"

#include <sys/eventfd.h>

#include <cstdint>
#include <span>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

Result<> Wake::open() {
    if (!fd_) {
        fd_ = sys::move_high(V4LFENCE_TRY(sys::eventfd(0, EFD_NONBLOCK)));
    }
    return {};
}

void Wake::begin() noexcept {
    waiters_.fetch_add(1);
    // Who was woken by the byte may be here before its mark is.
    if (rung_.exchange(false) || ringing_.load() > 0) {
        std::uint64_t count = 0;
        (void)sys::read(fd_.get(), std::as_writable_bytes(std::span(&count, 1)));
    }
}

void Wake::notify() noexcept {
    if (waiters_.load() > 0) {
        const std::uint64_t one = 1;
        ringing_.fetch_add(1);
        // In this order: a mark without its byte would be cleared for nothing, and the byte stay.
        (void)sys::write(fd_.get(), std::as_bytes(std::span(&one, 1)));
        rung_.store(true);
        ringing_.fetch_sub(1);
    }
}

}  // namespace v4lfence
