// SPDX-License-Identifier: MIT
//
// The program's timelines, and what the loop needs of each.

#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "v4lfence/bridge/context.hpp"
#include "v4lfence/fence/timeline/ended_sync_file.hpp"
#include "v4lfence/fence/timeline/timeline.hpp"
#include "v4lfence/sync/core.hpp"

namespace v4lfence::capi {

struct OwnedTimeline {
    std::unique_ptr<Timeline> timeline;
    Core::LoopUse loop;  ///< Since the first fence that had to be watched.
    std::list<OwnedTimeline>::iterator self;
};

/// Thread: every member may be called from any thread.
class Timelines final : public Context::ForkMember {
public:
    OwnedTimeline& add(std::unique_ptr<Timeline> timeline);
    void remove(OwnedTimeline& timeline);

    /// Timeline::promise(), with the loop of `core` running where it is needed. Errors: its own;
    /// EAGAIN no thread can be made.
    Result<> promise(Core& core, OwnedTimeline& owned, std::uint64_t point, int fence);

    /// See EndedSyncFile.
    Result<UniqueFd> ended_sync_file();

    void lock_for_fork() override;
    void unlock_after_fork() override;
    void abandon() noexcept override;

private:
    bool has_loop(const OwnedTimeline& owned);

    std::mutex mutex_;  ///< Guards what follows, and each `loop`.
    std::list<OwnedTimeline> timelines_;
    EndedSyncFile ended_;
};

}  // namespace v4lfence::capi
