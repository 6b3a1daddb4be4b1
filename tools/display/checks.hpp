// SPDX-License-Identifier: MIT
//
// DisplayChecks: what is measured and checked of each picture that was shown.

#pragma once

#include <cstdint>
#include <optional>

#include "tools/display/result.hpp"
#include "tools/stream/number_checks.hpp"

namespace v4lfence {

class DisplayChecks final : public CycleListener {
public:
    /// `memory` is borrowed. Makes the promises that this run can be held to. `expected`: about how
    /// many frames.
    DisplayChecks(const Camera& camera, const ConsumerInfo& consumer, PictureMemory& memory,
                  std::size_t expected);

    void taken(const TakenFrame& frame) override;
    void shown(const ShownFrame& shown) override;
    void queued_again(bool on_screen) override;

    /// At the end, when the device has been stopped. `frames_asked`: empty where none were, or
    /// somebody ended the run.
    void check_end(std::optional<std::uint64_t> frames_asked, std::uint64_t fences_pending);

    void collect(DisplayResult& result) const;
    std::optional<LastShown> last() const { return last_; }

private:
    /// When it ended; empty: there was none, or it does not know.
    std::optional<std::int64_t> check_out_fence(const ShownFrame& shown);
    void check_order(const ShownFrame& shown);
    void check_picture(const ShownFrame& shown);
    void note_times(const ShownFrame& shown, std::optional<std::int64_t> ended_ns);
    void note_refreshes(const Flip& flip);

    const ConsumerInfo consumer_;
    PictureMemory& memory_;
    const std::int64_t refresh_ns_;  ///< 0: not known.
    const std::size_t samples_max_;
    bool stamped_ = false;
    Promises promises_;
    StreamCounters camera_counters_;
    DisplayCounters counters_;
    NumberChecks numbers_;
    LatencySamples capture_to_flip_;
    LatencySamples done_to_flip_;
    std::optional<Flip> last_flip_;
    std::optional<std::uint64_t> last_number_;
    std::optional<LastShown> last_;
    std::int64_t first_flip_ns_ = 0;
};

}  // namespace v4lfence
