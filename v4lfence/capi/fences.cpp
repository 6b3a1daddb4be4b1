// SPDX-License-Identifier: MIT
//
// v4lfence.h: fences, the program's own promises, the loop, counters.

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "v4lfence/capi/merge.hpp"
#include "v4lfence/capi/process.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/v4lfence.h"

using namespace v4lfence;
using capi::failed;
using capi::process;

struct v4lfence_promise {
    capi::OwnedPromise& owned;
};

namespace {

void report(const FenceStatus& status, v4lfence_fence_result* result) {
    if (result == nullptr) {
        return;
    }
    *result = {};
    result->state = status.state == FenceState::Pending    ? V4LFENCE_PENDING
                    : status.state == FenceState::Signaled ? V4LFENCE_SIGNALED
                                                           : V4LFENCE_FAILED;
    result->error = status.error;
    result->ended_at_ns = status.ended_at ? to_ns(*status.ended_at) : 0;
}

Result<v4lfence_promise*> create_promise(const char* provider, int* fence_fd) {
    FenceProvider* source = V4LFENCE_TRY(process().context.core().provider(provider));
    auto context = V4LFENCE_TRY(source->open_context());
    V4LFENCE_TRY(context->begin_generation(false));
    MintedFence minted = V4LFENCE_TRY(context->mint(0));
    capi::OwnedPromise& owned =
        process().promises.add(std::move(context), std::move(minted.promise));
    auto* promise = new v4lfence_promise{owned};
    *fence_fd = std::move(minted.fd).release();
    return promise;
}

}  // namespace

extern "C" {

const char* v4lfence_provider_reason(const char* name) {
    const auto reason = process().context.core().reason(name != nullptr ? name : "");
    return reason ? *reason : "there is no fence provider of this name";
}

int v4lfence_fence_status(int fence_fd, struct v4lfence_fence_result* result) {
    const auto imported = Fence::import(fence_fd, DmaBufAccess::Write);
    if (!imported) {
        return failed(imported.error());
    }
    report(imported->status, result);
    return 0;
}

int v4lfence_fence_wait(int fence_fd, int timeout_ms, struct v4lfence_fence_result* result) {
    const auto imported = Fence::import(fence_fd, DmaBufAccess::Write);
    if (!imported) {
        return failed(imported.error());
    }
    FenceStatus status = imported->status;
    if (imported->pending) {
        const SystemClock clock;
        const auto ended =
            imported->pending->wait(deadline_after_ms(timeout_ms, clock.now()), clock);
        if (!ended) {
            return failed(ended.error());
        }
        status = *ended;
    }
    report(status, result);
    return 0;
}

int v4lfence_fence_merge(const char* name, int first, int second) {
    auto merged = capi::merge_fences(process(), name != nullptr ? name : "merged", first, second);
    return merged ? std::move(*merged).release() : failed(merged.error());
}

struct v4lfence_promise* v4lfence_promise_create(const char* provider, int* fence_fd) {
    if (provider == nullptr || fence_fd == nullptr) {
        failed(Error{-EINVAL, "v4lfence_promise_create"});
        return nullptr;
    }
    const auto promise = create_promise(provider, fence_fd);
    if (!promise) {
        failed(promise.error());
        return nullptr;
    }
    return *promise;
}

void v4lfence_promise_end(struct v4lfence_promise* promise, int error) {
    if (promise != nullptr) {
        process().promises.end(promise->owned, error > 0 ? -error : error);
        delete promise;
    }
}

int v4lfence_use_own_loop(void) {
    const auto fd = process().context.core().use_own_loop();
    return fd ? *fd : failed(fd.error());
}

int v4lfence_dispatch(void) {
    Core* core = process().context.existing_core();
    return core == nullptr ? 0 : static_cast<int>(core->reactor().dispatch());
}

int v4lfence_use_board(int on) {
    const auto chosen = process().context.use_board(on != 0);
    return chosen ? 0 : failed(chosen.error());
}

int v4lfence_get_stats(struct v4lfence_stats* stats, size_t size) {
    if (stats == nullptr || size == 0) {
        return failed(Error{-EINVAL, "v4lfence_get_stats"});
    }
    v4lfence_stats all{};
    if (Core* core = process().context.existing_core()) {
        all.wakeups = core->reactor().wakeups();
        all.fences_made = core->counters().made.load();
        all.fences_ended = core->counters().ended.load();
        all.in_fences = core->counters().in_fences.load();
        all.threads = core->reactor().has_thread() ? 1 : 0;
        all.fenced_files = process().context.fenced_files() + process().devices.fenced_files();
    }
    std::memset(stats, 0, size);
    std::memcpy(stats, &all, std::min(size, sizeof all));
    return 0;
}

}  // extern "C"
