// SPDX-License-Identifier: MIT
//
// FrameMaker: what a streaming camera does: at the time of each frame it takes the buffer that
// waits longest, paints it, and finishes it when the next frame begins, or later. A frame for which
// no buffer waited when it was exposed is lost, and its number with it. One thread drives it by
// step().

#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "v4lfence/drivers/camera/controls.hpp"
#include "v4lfence/drivers/camera/fixed_ring.hpp"
#include "v4lfence/drivers/camera/frame_painter.hpp"
#include "v4lfence/drivers/camera/frame_schedule.hpp"
#include "v4lfence/vb2/buffer.hpp"

namespace v4lfence {

/// Buffers of a camera's queue: QueueTraits::buffers_max.
inline constexpr std::size_t camera_buffers_max = 64;

/// A frame that could not be made for so long is lost, whether a buffer waited for it or not.
inline constexpr Nanoseconds frame_lateness_max{100'000'000};

/// What may change while frames are made.
struct FrameSettings {
    FrameInterval interval;
    bool free_running = false;  ///< A frame for each buffer, finished at once; none is lost.
    bool freeze = false;        ///< No frame is made.
    bool out_of_order = false;  ///< Every second one is finished before the one before it.
    std::uint32_t end_jitter_us = 0;
    std::uint32_t seed = 1;
    std::uint32_t bad_percent = 0;
};

struct FrameCounts {
    std::uint64_t exposed = 0;  ///< Into a buffer.
    std::uint64_t lost = 0;
};

/// Thread: queue(), change() and counts() from any; the others from one at a time.
class FrameMaker {
public:
    /// Faults and clock are borrowed.
    FrameMaker(CameraFaults& faults, const Clock& clock) : faults_(faults), clock_(clock) {}

    /// Whether the stepping thread has to be woken for it. One too many is dropped.
    bool queue(ActiveBuffer buffer);

    /// With effect on the next frame. `painter` NULL: as before. The one that it replaces is
    /// destroyed here when another one comes, so that it costs no frame its time.
    void change(const FrameSettings& settings, std::unique_ptr<FramePainter> painter);

    FrameCounts counts() const { return {exposed_.load(), lost_.load()}; }

    /// The first frame is due now. There is a painter.
    void begin(MonotonicTime now);
    /// Does what is due; returns when the next thing is.
    Deadline step(MonotonicTime now);
    /// Lets every buffer go, and the painters, in whatever state it is.
    void drop_all();

private:
    struct Waiting {
        ActiveBuffer buffer;
        MonotonicTime since;
    };
    struct InFlight {
        ActiveBuffer buffer;
        FinishedBuffer finished;
        bool bad = false;
        MonotonicTime end;
    };

    void take_changes(MonotonicTime now);
    Deadline step_paced(MonotonicTime now);
    Deadline step_free(MonotonicTime now);
    std::optional<ActiveBuffer> take_buffer(MonotonicTime exposed_at);
    std::optional<ActiveBuffer> pop_waiting();
    bool is_starving();
    void expose(ActiveBuffer buffer, const Exposure& exposure);
    MonotonicTime end_of(const Exposure& exposure);
    bool is_bad(const Exposure& exposure);
    void finish_due(MonotonicTime now);
    void finish_in_turn(InFlight frame);
    void finish_kept_back();
    static void finish(InFlight frame);

    CameraFaults& faults_;
    const Clock& clock_;
    std::atomic<std::uint64_t> exposed_{0};
    std::atomic<std::uint64_t> lost_{0};

    std::mutex mutex_;  ///< Guards what follows.
    FixedRing<Waiting, camera_buffers_max> waiting_;
    bool starving_ = false;  ///< Free-running, and the next buffer has to wake the thread.
    FrameSettings wanted_;
    std::unique_ptr<FramePainter> next_painter_;
    std::unique_ptr<FramePainter> old_painter_;

    // The stepping thread's own.
    FrameSettings settings_;
    std::unique_ptr<FramePainter> painter_;
    std::optional<FrameSchedule> schedule_;
    FixedRing<InFlight, camera_buffers_max> in_flight_;
    std::optional<InFlight> kept_back_;  ///< Until the one after it is finished.
    MonotonicTime last_end_;
};

}  // namespace v4lfence
