// SPDX-License-Identifier: MIT

#include "tools/stream/timer.hpp"

#include <algorithm>
#include <utility>

#include "v4lfence/v4lfence.h"

namespace v4lfence {

FenceTimer::FenceTimer(std::string provider, Listener& listener)
    : provider_(std::move(provider)), listener_(listener), thread_([this] { run(); }) {}

FenceTimer::~FenceTimer() {
    stop();
}

Result<UniqueFd> FenceTimer::arm(std::chrono::milliseconds delay, const TimedFence& fence) {
    int fd = -1;
    v4lfence_promise* promise = v4lfence_promise_create(provider_.c_str(), &fd);
    if (promise == nullptr) {
        return fail_errno("v4lfence_promise_create");
    }
    {
        const std::lock_guard lock(mutex_);
        heap_.push_back({SystemClock().now() + delay, fence, promise});
        std::push_heap(heap_.begin(), heap_.end());
    }
    changed_.notify_one();
    return UniqueFd(fd);
}

void FenceTimer::stop() {
    if (!thread_.joinable()) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
    for (const Entry& entry : std::exchange(heap_, {})) {
        v4lfence_promise_end(entry.promise, -ECANCELED);
    }
}

void FenceTimer::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (heap_.empty()) {
            changed_.wait(lock);
            continue;
        }
        const MonotonicTime due = heap_.front().due;
        if (SystemClock().now() < due) {
            changed_.wait_until(lock, due);
            continue;
        }
        std::pop_heap(heap_.begin(), heap_.end());
        const Entry entry = heap_.back();
        heap_.pop_back();
        lock.unlock();
        end(entry);
        lock.lock();
    }
}

void FenceTimer::end(const Entry& entry) {
    const bool told = listener_.about_to_end(entry.fence);
    const std::int64_t ended_at_ns = to_ns(SystemClock().now());
    v4lfence_promise_end(entry.promise, 0);
    if (told) {
        listener_.ended(entry.fence, ended_at_ns);
    }
}

}  // namespace v4lfence
