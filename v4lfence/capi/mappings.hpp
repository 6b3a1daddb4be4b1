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

    /// One more at `address`.
    void add(const void* address, Count count);
    /// One less, if one begins there.
    void remove(const void* address);

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
