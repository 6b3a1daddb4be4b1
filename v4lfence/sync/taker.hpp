// SPDX-License-Identifier: MIT
//
// The two neighbours of a Sync: who takes ready buffers, and who waits for fences and for time.

#pragma once

#include <cstdint>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/sync/line.hpp"

namespace v4lfence {

/// The kernel, or the driver of a virtual device. Called by the owner of the token, one call at a
/// time, with no lock held; may block, and may finish the buffer before it returns.
class Taker {
public:
    enum class Verdict : std::uint8_t {
        Taken,
        Refused,      ///< This buffer is no good; later ones may be.
        StartFailed,  ///< The buffer would do, but the stream could not be started with it.
        Gone,         ///< The device or the whole queue is broken.
    };
    struct Answer {
        Verdict verdict = Verdict::Taken;
        int error = 0;  ///< Negative errno unless Taken.
    };

    virtual Answer give(unsigned index) = 0;

    /// Starts the stream with `count` buffers given; StartFailed gives them back.
    /// Never called where SyncOptions::taker_starts.
    virtual Answer start(unsigned count) = 0;

protected:
    ~Taker() = default;
};

/// Waits for in-fences and deadlines. Reports to Sync::on_in_fence() and Sync::on_deadline(), one
/// report at a time and with no lock of its own held, so that a report may call back in.
class FenceWaits {
public:
    /// `fence` stays where it is until unwatch(). Never reports before it returns.
    /// Errors: ENOMEM, ENOSPC.
    virtual Result<> watch(Job job, const Fence& fence) = 0;

    /// When it returns no report of that buffer is under way on another thread, and none will come.
    /// From within a report it only forbids further ones.
    virtual void unwatch(unsigned index) = 0;

    /// Empty: no longer needed.
    virtual void set_deadline(Deadline deadline) = 0;

    /// A Failed buffer may have its turn, or the queue has failed or was cancelled: whoever waits
    /// should look again.
    virtual void wake() = 0;

    /// The device was given buffers.
    virtual void on_given() = 0;

protected:
    ~FenceWaits() = default;
};

}  // namespace v4lfence
