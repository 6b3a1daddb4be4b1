// SPDX-License-Identifier: MIT
//
// StreamSession: the loop that queues, waits, takes and checks. Start here for `v4lfence stream`.
//
// The life of frame N: poison its memory; choose its in-fence; QBUF; wait for its out-fence (or for
// the device, without one); DQBUF; check it; queue the same buffer as a later frame.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "tools/stream/buffers.hpp"
#include "tools/stream/chain.hpp"
#include "tools/stream/fence_checks.hpp"
#include "tools/stream/frame_checks.hpp"
#include "tools/stream/given_probe.hpp"
#include "tools/stream/implicit_checks.hpp"
#include "tools/stream/interrupt.hpp"
#include "tools/stream/latency.hpp"
#include "tools/stream/progress.hpp"
#include "tools/stream/timer.hpp"

namespace v4lfence {

/// What a buffer is queued as.
struct QueuedBuffer {
    bool queued = false;
    std::uint64_t number = 0;
    int in_fence = -1;             ///< Borrowed from `own_in_fence`.
    int out_fence = -1;            ///< Borrowed from the chain.
    UniqueFd own_in_fence;         ///< Of the timer's, or a hold on the chain's.
    std::int64_t out_seen_ns = 0;  ///< When the out-fence was seen ended; 0: not yet.
};

/// Everything is borrowed and must outlive it. Used once, by one thread.
class StreamSession {
public:
    StreamSession(const StreamChoices& options, const Camera& camera, const BufferPool& pool,
                  const ChainPlan& plan, const Interrupt& interrupt, Progress& progress);

    StreamResult run();

private:
    enum class Wake : std::uint8_t { Ready, Interrupted };

    Attempt<> stream();
    Attempt<> queue(unsigned index);
    Attempt<> choose_in_fence(QueuedBuffer& buffer, unsigned index);
    Attempt<Wake> wait_for_frame();
    /// Whether there was one.
    Attempt<bool> take_frame();
    void note_latencies(QueuedBuffer& buffer, std::int64_t timestamp_ns, std::int64_t taken_ns);
    void save_picture(const TakenFrame& frame);
    void note_footprint();
    void stop();
    void collect(StreamResult& result) const;
    tl::unexpected<Failure> lost_device(int code) const;
    tl::unexpected<Failure> no_frame() const;
    /// After stop(): a sentence of its own line.
    std::string fences_left_text() const;
    FrameFences fences_of(const QueuedBuffer& buffer) const {
        return {buffer.number, buffer.in_fence, buffer.out_fence};
    }

    const StreamChoices& options_;
    const Camera& camera_;
    const BufferPool& pool_;
    const ChainPlan& plan_;
    const Interrupt& interrupt_;
    Progress& progress_;

    Promises promises_;
    StreamCounters counters_;
    FrameChecks frame_checks_;
    FenceChecks fence_checks_;
    ImplicitChecks implicit_;

    ChainFences out_fences_;
    std::vector<QueuedBuffer> buffers_;
    std::uint64_t next_number_ = 0;
    std::optional<unsigned> previous_index_;
    std::vector<pollfd> poll_set_;
    std::vector<unsigned> polled_;  ///< Buffer of each entry of poll_set_ from the second on.
    short device_events_ = 0;       ///< What the last poll said of the device.

    std::mt19937_64 random_;
    GivenProbe given_probe_;
    std::optional<FenceTimer> timer_;
    LatencySamples capture_to_out_fence_;
    LatencySamples out_fence_to_dqbuf_;
    std::int64_t started_ns_ = 0;
    std::int64_t first_frame_ns_ = 0;
    std::int64_t last_frame_ns_ = 0;
    std::optional<Footprint> warm_;
    std::optional<Footprint> at_end_;
    bool interrupted_ = false;
    std::optional<std::string> saved_;
    std::optional<std::string> save_failure_;
};

}  // namespace v4lfence
