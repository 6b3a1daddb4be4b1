// SPDX-License-Identifier: MIT
//
// v4lfence.h: timelines, and the sync_file of a fence that has ended.

#include "v4lfence/capi/timelines.hpp"

#include <cerrno>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/capi/process.hpp"
#include "v4lfence/fence/sync_file.hpp"
#include "v4lfence/fence/timeline/timeline_nodes.hpp"
#include "v4lfence/v4lfence.h"

using namespace v4lfence;
using capi::failed;
using capi::process;

struct v4lfence_timeline {
    capi::OwnedTimeline& owned;
};

namespace v4lfence::capi {

OwnedTimeline& Timelines::add(std::unique_ptr<Timeline> timeline) {
    const std::lock_guard lock(mutex_);
    timelines_.push_front(OwnedTimeline{std::move(timeline), {}, {}});
    timelines_.front().self = timelines_.begin();
    return timelines_.front();
}

void Timelines::remove(OwnedTimeline& timeline) {
    std::list<OwnedTimeline> removed;
    {
        const std::lock_guard lock(mutex_);
        removed.splice(removed.begin(), timelines_, timeline.self);
    }
    // Its callbacks end before the loop may.
    removed.front().timeline.reset();
}

bool Timelines::has_loop(const OwnedTimeline& owned) {
    const std::lock_guard lock(mutex_);
    return static_cast<bool>(owned.loop);
}

Result<> Timelines::promise(Core& core, OwnedTimeline& owned, std::uint64_t point, int fence) {
    if (!has_loop(owned)) {
        const auto placed = owned.timeline->promise_unwatched(point, fence);
        if (placed || placed.error().code != -EAGAIN) {
            return placed;
        }
        Core::LoopUse use = V4LFENCE_TRY(core.use_loop());
        const std::lock_guard lock(mutex_);
        if (!owned.loop) {
            owned.loop = std::move(use);
        }
    }
    return owned.timeline->promise(point, fence);
}

Result<UniqueFd> Timelines::ended_sync_file() {
    const std::lock_guard lock(mutex_);
    return ended_.get();
}

void Timelines::lock_for_fork() {
    mutex_.lock();
    for (OwnedTimeline& owned : timelines_) {
        owned.timeline->lock_for_fork();
    }
}

void Timelines::unlock_after_fork() {
    for (OwnedTimeline& owned : timelines_) {
        owned.timeline->unlock_after_fork();
    }
    mutex_.unlock();
}

void Timelines::abandon() noexcept {
    for (OwnedTimeline& owned : timelines_) {
        owned.timeline->abandon();
        owned.loop.forget();
    }
}

}  // namespace v4lfence::capi

namespace {

std::optional<std::string> path_of(const char* node) {
    return node != nullptr ? std::optional<std::string>(node) : std::nullopt;
}

Result<v4lfence_timeline*> create_timeline(const char* node, int syncobj_fd) {
    FoundTimelineNode found = find_timeline_node(path_of(node));
    SyncobjDevice device = V4LFENCE_TRY(std::move(found.device));
    auto kernel = V4LFENCE_TRY(DrmTimeline::create(
        std::move(device), syncobj_fd != -1 ? std::optional(syncobj_fd) : std::nullopt));
    auto timeline =
        V4LFENCE_TRY(Timeline::create(process().context.core().reactor(), std::move(kernel)));
    return new v4lfence_timeline{process().timelines.add(std::move(timeline))};
}

Result<UniqueFd> sync_file_of(int fence_fd) {
    if (query_sync_state(fence_fd)) {
        return sys::dup(fence_fd);
    }
    const auto imported = V4LFENCE_TRY(Fence::import(fence_fd, DmaBufAccess::Write));
    if (imported.pending && imported.pending->kind() == FenceKind::SyncFile) {
        return sys::dup(imported.pending->fd());  // The fences of a dma-buf.
    }
    switch (imported.status.state) {
    case FenceState::Pending:
        return fail(-EAGAIN, "a fence that the kernel does not know, and pending");
    case FenceState::Failed:
        return fail(-EIO, "the fence has failed");
    case FenceState::Signaled:
        break;
    }
    return process().timelines.ended_sync_file();
}

/// The descriptor for the program, or -1 and errno.
int given(Result<UniqueFd> fd) {
    return fd ? std::move(*fd).release() : failed(fd.error());
}

}  // namespace

extern "C" {

int v4lfence_fence_sync_file(int fence_fd) {
    return given(sync_file_of(fence_fd));
}

struct v4lfence_timeline* v4lfence_timeline_create(const char* node, int syncobj_fd) {
    const auto timeline = create_timeline(node, syncobj_fd);
    if (!timeline) {
        failed(timeline.error());
        return nullptr;
    }
    return *timeline;
}

void v4lfence_timeline_destroy(struct v4lfence_timeline* timeline) {
    if (timeline != nullptr) {
        process().timelines.remove(timeline->owned);
        delete timeline;
    }
}

int v4lfence_timeline_export(struct v4lfence_timeline* timeline) {
    if (timeline == nullptr) {
        return failed(Error{-EINVAL, "v4lfence_timeline_export"});
    }
    return given(timeline->owned.timeline->export_fd());
}

int v4lfence_timeline_promise(struct v4lfence_timeline* timeline, uint64_t point, int fence_fd) {
    if (timeline == nullptr) {
        return failed(Error{-EINVAL, "v4lfence_timeline_promise"});
    }
    const auto promised =
        process().timelines.promise(process().context.core(), timeline->owned, point, fence_fd);
    return promised ? 0 : failed(promised.error());
}

int v4lfence_timeline_value(struct v4lfence_timeline* timeline, uint64_t* value) {
    if (timeline == nullptr || value == nullptr) {
        return failed(Error{-EINVAL, "v4lfence_timeline_value"});
    }
    const auto reached = timeline->owned.timeline->reached();
    if (!reached) {
        return failed(reached.error());
    }
    *value = *reached;
    return 0;
}

int v4lfence_timeline_fence(struct v4lfence_timeline* timeline, uint64_t point) {
    if (timeline == nullptr) {
        return failed(Error{-EINVAL, "v4lfence_timeline_fence"});
    }
    return given(timeline->owned.timeline->fence_of(point));
}

const char* v4lfence_timeline_reason(const char* node) {
    thread_local std::string reason;
    FoundTimelineNode found = find_timeline_node(path_of(node));
    reason = std::move(found.reason);
    return found.device ? nullptr : reason.c_str();
}

}  // extern "C"
