// SPDX-License-Identifier: MIT
//
// Delays: fences that end by themselves after a time that chance chose, on a thread of their own.
// Merged with another fence they delay who waits for that.

#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "v4lfence/v4lfence.hpp"

namespace v4lfence::display {

class Delays {
public:
    /// Of 0 to `most`. The same seed, the same times.
    Delays(std::chrono::milliseconds most, unsigned seed);
    ~Delays();
    Delays(const Delays&) = delete;
    Delays& operator=(const Delays&) = delete;

    /// A sync_file. Gives up where the machine has none that a program can end.
    api::Fence next();

private:
    using Clock = std::chrono::steady_clock;

    void run();

    std::mt19937 chance_;
    std::uniform_int_distribution<int> microseconds_;

    std::mutex mutex_;  ///< Guards what follows.
    std::condition_variable changed_;
    std::multimap<Clock::time_point, v4lfence_promise*> promises_;
    bool ending_ = false;

    std::thread thread_;
};

}  // namespace v4lfence::display
