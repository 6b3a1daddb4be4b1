// SPDX-License-Identifier: MIT

#include "tools/stream/fence_checks.hpp"

#include <fmt/format.h>
#include <linux/sync_file.h>

#include <optional>
#include <string_view>

#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

/// Empty: the descriptor is no fence.
std::optional<v4lfence_fence_result> status_of(int fence_fd) {
    v4lfence_fence_result status{};
    if (v4lfence_fence_status(fence_fd, &status) < 0) {
        return std::nullopt;
    }
    return status;
}

bool has_ended(int fence_fd) {
    const auto status = status_of(fence_fd);
    return status && status->state != V4LFENCE_PENDING;
}

}  // namespace

FenceChecks::FenceChecks(const StreamChoices& options, const QueueFences& fences,
                         Promises& promises, StreamCounters& counters)
    : queue_(fences), promises_(promises), counters_(counters) {
    if (!options.fenced()) {
        return;
    }
    promises.make(PromiseId::FlagsCleared);
    const bool in_fences = options.in_fence.mode != InFenceMode::None;
    if (in_fences) {
        promises.make(PromiseId::InFenceEndedBeforeFrame);
    }
    if (options.out_fence) {
        promises.make(PromiseId::OutFenceReturned);
        promises.make(PromiseId::OutFenceEndedAtDqbuf);
        promises.make(PromiseId::NothingPending);
    }
    if (options.out_fence && in_fences) {
        promises.make(PromiseId::OutFencePendingWhileHeld);
    }
    if (options.out_fence && fences.errors) {
        promises.make(PromiseId::OutFenceTellsError);
    }
    if (options.out_fence && fences.kernel_waitable) {
        promises.make(PromiseId::SyncFileInfo);
    }
}

void FenceChecks::after_qbuf(const FrameFences& fences, bool held) {
    if (fences.in >= 0) {
        ++counters_.in_fences;
        counters_.held_at_qbuf += held ? 1 : 0;
    }
    promises_.check(PromiseId::OutFenceReturned, status_of(fences.out).has_value(), [&] {
        return fmt::format("QBUF of frame {} returned fence_fd {}", fences.number, fences.out);
    });
    if (fences.out < 0) {
        return;
    }
    ++counters_.out_fences_made;
    if (queue_.kernel_waitable) {
        check_sync_file(fences);
    }
    if (held) {
        // In this order: an in-fence that is pending afterwards was pending all the time.
        const bool out_ended = has_ended(fences.out);
        const bool in_pending = !has_ended(fences.in);
        promises_.check(PromiseId::OutFencePendingWhileHeld, !(out_ended && in_pending), [&] {
            return fmt::format("frame {} is held and its out-fence has ended", fences.number);
        });
    }
}

void FenceChecks::check_sync_file(const FrameFences& fences) {
    sync_fence_info fence{};
    sync_file_info info{};
    info.num_fences = 1;
    info.sync_fence_info = reinterpret_cast<__u64>(&fence);
    const auto asked = sys::ioctl_retry(fences.out, SYNC_IOC_FILE_INFO, &info);
    const bool ok = asked && info.num_fences == 1 &&
                    std::string_view(fence.driver_name).starts_with(queue_.provider);
    counters_.sync_file_info_ok += ok ? 1 : 0;
    promises_.check(PromiseId::SyncFileInfo, ok, [&] {
        return asked ? fmt::format("the out-fence of frame {} has {} fences of driver \"{}\"",
                                   fences.number, info.num_fences, fence.driver_name)
                     : fmt::format("the out-fence of frame {}: {}", fences.number,
                                   errno_text(asked.error().code));
    });
}

void FenceChecks::after_dqbuf(const FrameFences& fences, bool error) {
    if (fences.in >= 0) {
        // A deadline gives up on a fence that stays pending.
        promises_.check(PromiseId::InFenceEndedBeforeFrame, error || has_ended(fences.in), [&] {
            return fmt::format("frame {} came and its in-fence is pending", fences.number);
        });
    }
    if (fences.out < 0) {
        return;
    }
    const v4lfence_fence_result status = status_of(fences.out).value_or(v4lfence_fence_result{});
    const bool ended = status.state != V4LFENCE_PENDING;
    counters_.out_fences_ended += ended ? 1 : 0;
    promises_.check(PromiseId::OutFenceEndedAtDqbuf, ended, [&] {
        return fmt::format("frame {} came and its out-fence is pending", fences.number);
    });
    promises_.check(PromiseId::OutFenceTellsError, (status.state == V4LFENCE_FAILED) == error, [&] {
        return fmt::format("frame {} {} the error flag and its out-fence ended with {}",
                           fences.number, error ? "has" : "does not have", status.error);
    });
}

void FenceChecks::check_cleared(std::uint64_t number, std::uint32_t flags, int fence_fd) {
    const std::uint32_t fence_flags = flags & (V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE);
    promises_.check(PromiseId::FlagsCleared, fence_flags == 0 && fence_fd == 0, [&] {
        return fmt::format("DQBUF of frame {} returned flags {:#x} and fence_fd {}", number,
                           fence_flags, fence_fd);
    });
}

void FenceChecks::after_streamoff(const FrameFences& fences) {
    if (fences.out < 0) {
        return;
    }
    const bool ended = has_ended(fences.out);
    counters_.out_fences_cancelled += ended ? 1 : 0;
    promises_.check(PromiseId::NothingPending, ended, [&] {
        return fmt::format("the out-fence of frame {} is pending after STREAMOFF", fences.number);
    });
}

}  // namespace v4lfence
