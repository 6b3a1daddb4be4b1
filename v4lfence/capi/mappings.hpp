// SPDX-License-Identifier: MIT
//
// Mappings: the program's mappings of virtual buffers by address, so that a buffer knows whether it
// is mapped (V4L2_BUF_FLAG_MAPPED).

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "v4lfence/bridge/context.hpp"

namespace v4lfence::capi {

/// Thread: every member may be called from any thread.
class Mappings final : public Context::ForkMember {
public:
    using Count = std::shared_ptr<std::atomic<unsigned>>;

    /// From now on what is mapped at `address` is counted by `count`; NULL: it is no buffer's. What
    /// was there before has been replaced.
    void add(const void* address, Count count);
    /// Forgets what begins at `address`, still counted: the caller counts it down or puts it back.
    /// NULL: no buffer's mapping does, or the buffer is gone.
    Count take(const void* address);
    void put_back(const void* address, Count count);

    void lock_for_fork() override { mutex_.lock(); }
    void unlock_after_fork() override { mutex_.unlock(); }
    /// The child has copies of the mappings and none of the devices.
    void abandon() noexcept override {}

private:
    std::mutex mutex_;
    std::map<const void*, std::weak_ptr<std::atomic<unsigned>>> counts_;
    std::atomic<bool> any_{false};
};

}  // namespace v4lfence::capi
