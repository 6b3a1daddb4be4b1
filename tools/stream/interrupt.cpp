// SPDX-License-Identifier: MIT

#include "tools/stream/interrupt.hpp"

#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <span>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

std::atomic<int> event_of_handler{-1};

extern "C" void raise_event(int /*signal*/) {
    const int saved_errno = errno;
    const std::uint64_t one = 1;
    // A full counter is as readable as one more.
    static_cast<void>(sys::write(event_of_handler.load(std::memory_order_relaxed),
                                 std::as_bytes(std::span(&one, 1))));
    errno = saved_errno;
    // The other signal is a second one as well.
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
}

void set_handler(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

Result<Interrupt> Interrupt::create() {
    UniqueFd event = V4LFENCE_TRY(sys::eventfd(0, EFD_NONBLOCK));
    event_of_handler.store(event.get(), std::memory_order_relaxed);
    set_handler(raise_event);
    return Interrupt(std::move(event));
}

Interrupt::~Interrupt() {
    if (event_) {
        set_handler(SIG_DFL);
        event_of_handler.store(-1, std::memory_order_relaxed);
    }
}

bool Interrupt::raised() const {
    const auto shown = sys::poll_now(event_.get(), POLLIN);
    return shown && *shown != 0;
}

}  // namespace v4lfence
