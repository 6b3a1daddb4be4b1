// SPDX-License-Identifier: MIT
//
// DisplayCycle: buffers go round between a camera and a display. Start here for `v4lfence display`.
//
// The round of buffer B that is shown as picture N, where fences go both ways:
//
//     QBUF B                     gives an out-fence
//     show B, in-fence: that     before there is a frame; the display waits
//     flip N                     B is on screen, so its frame was done: DQBUF B finds it
//     show N+1                   gives the fence that ends when N+1 is on screen, and B is not
//     QBUF B, in-fence: that     at once; the device gets B when the display has let go of it
//
// So the program waits for flips alone, and every buffer is queued or one step from it: two buffers
// go round, three keep the device busy while one is on screen.
//
// Without early shows (the display cannot wait for this camera's fences, or there are none) the CPU
// waits: for the frame's fence, or the device; then DQBUF, and the buffer is shown without an
// in-fence. Without release fences a buffer is queued again when the flip has been taken that
// replaced it.

#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/display/capture_queue.hpp"
#include "tools/display/consumer.hpp"

namespace v4lfence {

struct CycleRules {
    bool early = false;             ///< Pictures are shown before their frame exists.
    bool implicit = false;          ///< ... and the display finds their fences in the dma-bufs.
    bool release_fences = false;    ///< The display's fences go to the camera.
    std::uint64_t commits_max = 0;  ///< Then nothing more is shown; 0: no limit.
};

struct CycleCounters {
    std::uint64_t commits = 0;
    std::uint64_t early_commits = 0;  ///< Before the frame's out-fence had ended.
    std::uint64_t fences_to_display = 0;
    std::uint64_t fences_to_camera = 0;
    std::uint64_t held_at_qbuf = 0;  ///< The display's fence had not ended yet.
    std::uint64_t cpu_waits = 0;     ///< Frames that the CPU waited for.
    std::uint64_t skipped = 0;       ///< Frames with the error flag that were not shown.
};

/// A picture that came to the screen, once its frame has been taken too.
struct ShownFrame {
    TakenFrame frame;
    Flip flip;
    std::int64_t seen_ns = 0;  ///< When the flip was taken.
    std::int64_t done_ns = 0;  ///< When the frame was seen to be done; 0: not before the flip.
    int out_fence = -1;        ///< Borrowed; -1: there was none.
};

class CycleListener {
public:
    virtual ~CycleListener() = default;

    /// In DQBUF's order, shown or not.
    virtual void taken(const TakenFrame& frame) = 0;
    /// In the order of flips. The buffer is on screen, or has just left it, and is not queued.
    virtual void shown(const ShownFrame& shown) = 0;
    /// A buffer that was shown is queued again; `on_screen`: and the device got it too early.
    virtual void queued_again(bool on_screen) = 0;
};

class DisplayCycle {
public:
    /// All are borrowed; `pictures` has one for each buffer of the queue.
    DisplayCycle(CaptureQueue& queue, Consumer& consumer, std::span<const int> pictures,
                 const CycleRules& rules, CycleListener& listener);

    /// Queues all buffers and starts the device.
    Attempt<> start();

    /// What to wait for: a flip, or the descriptor returned. Empty: nothing will happen any more.
    std::optional<int> awaited() const;

    /// Does all that can be done now. Never blocks. Call it when the awaited descriptor is ready.
    Attempt<> step();

    /// Nothing more is shown; what is on its way is.
    void show_no_more() { rules_.commits_max = counters_.commits; }

    /// Stops the device, which ends all out-fences.
    void stop();

    bool commit_under_way() const { return committed_.has_value(); }
    /// Its frame has been taken unless the device never finished it.
    std::optional<unsigned> on_screen() const { return on_screen_; }
    const CycleRules& rules() const { return rules_; }
    const CycleCounters& counters() const { return counters_; }
    /// Pictures that came to the screen, and those of them whose frame has been taken too.
    std::uint64_t shown() const { return shown_; }
    std::uint64_t told() const { return told_; }
    /// How many fences of buffers that the device never finished are still pending.
    std::uint64_t fences_pending() const;

    /// A line for each buffer: where it is and what it waits for.
    std::string diagnosis() const;

private:
    struct Buffer {
        int picture = 0;
        bool queued = false;              ///< The camera has it.
        bool free = false;                ///< The display has let go of it, or will by `release`.
        UniqueFd out_fence;               ///< Of its last QBUF.
        UniqueFd release;                 ///< Ends when it is off the screen.
        std::optional<TakenFrame> frame;  ///< Since it was taken, until it is queued.
        std::int64_t ready_ns = 0;        ///< When the CPU, which waited for it, took it; else 0.
        std::optional<ShownFrame> shown;  ///< Told once the frame has been taken.
    };

    Attempt<> take_flips();
    Attempt<> flipped(const Flip& flip);
    Attempt<> take_shown(unsigned index);
    Attempt<> commit_next();
    Attempt<> commit(unsigned index, int in_fence);
    Attempt<> take_frames();
    Attempt<> keep(const TakenFrame& frame);
    void tell(unsigned index);
    Attempt<> release(unsigned index);
    Attempt<> queue(unsigned index);
    /// Something was shown whose frame has not been taken yet.
    bool any_late() const;
    bool needs_frames() const;
    bool may_commit() const {
        return !committed_ && (rules_.commits_max == 0 || counters_.commits < rules_.commits_max);
    }
    std::string place_text(unsigned index) const;

    CaptureQueue& queue_;
    Consumer& consumer_;
    CycleRules rules_;
    CycleListener& listener_;
    std::vector<Buffer> buffers_;
    std::deque<unsigned> waiting_;  ///< Queued and not yet handed to the display, in QBUF order.
    std::deque<unsigned> ready_;    ///< Taken and not yet handed to the display.
    std::optional<unsigned> committed_;
    std::optional<unsigned> on_screen_;
    bool device_announced_ = false;  ///< A fence ended and DQBUF had nothing: the device will tell.
    bool stopped_ = false;
    std::int64_t committed_ns_ = 0;  ///< When the commit under way was made.
    std::uint64_t shown_ = 0;
    std::uint64_t told_ = 0;
    CycleCounters counters_;
};

}  // namespace v4lfence
