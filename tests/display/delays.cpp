// SPDX-License-Identifier: MIT

#include "tests/display/delays.hpp"

#include "tests/display/check.hpp"

namespace v4lfence::display {

Delays::Delays(std::chrono::milliseconds most, unsigned seed)
    : chance_(seed), microseconds_(0, static_cast<int>(std::chrono::microseconds(most).count())),
      thread_([this] { run(); }) {}

Delays::~Delays() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

api::Fence Delays::next() {
    int fence = -1;
    v4lfence_promise* const promise = v4lfence_promise_create("vgem", &fence);
    if (promise == nullptr) {
        give_up(status_lacking, "a fence of vgem: %s", std::strerror(errno));
    }
    const std::chrono::microseconds after(microseconds_(chance_));
    {
        const std::lock_guard lock(mutex_);
        promises_.emplace(Clock::now() + after, promise);
    }
    changed_.notify_one();
    return api::Fence(fence);
}

void Delays::run() {
    std::unique_lock lock(mutex_);
    while (!ending_ || !promises_.empty()) {
        if (promises_.empty()) {
            changed_.wait(lock);
            continue;
        }
        const auto first = promises_.begin();
        if (!ending_ && first->first > Clock::now()) {
            changed_.wait_until(lock, first->first);
            continue;
        }
        v4lfence_promise* const promise = first->second;
        promises_.erase(first);
        lock.unlock();
        v4lfence_promise_end(promise, 0);
        lock.lock();
    }
}

}  // namespace v4lfence::display
