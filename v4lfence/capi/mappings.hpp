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
#include "v4lfence/uapi/file.hpp"

namespace v4lfence::capi {

/// Thread: every member may be called from any thread.
class Mappings final : public Context::ForkMember {
public:
    using Counter = std::unique_ptr<MappingCounter>;

    /// From now on what is mapped at `address` is counted; NULL: it is no buffer's. What was there
    /// before has been replaced.
    void add(const void* address, Counter counter);
    /// Forgets what begins at `address`, still counted: the caller counts it down or puts it back.
    /// NULL: no buffer's mapping does.
    Counter take(const void* address);
    void put_back(const void* address, Counter counter);

    void lock_for_fork() override { mutex_.lock(); }
    void unlock_after_fork() override { mutex_.unlock(); }
    /// The child has copies of the mappings and none of the devices.
    void abandon() noexcept override {}

private:
    /// A program's own malloc() may call munmap(): nothing is allocated or freed under it.
    std::mutex mutex_;
    std::map<const void*, Counter> counters_;
    std::atomic<bool> any_{false};
};

}  // namespace v4lfence::capi
