// SPDX-License-Identifier: MIT
//
// DisplaySession: the loop that waits for flips, and the end of it.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "tools/display/checks.hpp"
#include "tools/display/options.hpp"
#include "tools/stream/interrupt.hpp"
#include "tools/stream/progress.hpp"

namespace v4lfence {

/// Everything is borrowed and must outlive it. Used once, by one thread.
class DisplaySession {
public:
    DisplaySession(const DisplayChoices& choices, const Camera& camera, Consumer& consumer,
                   PictureMemory& memory, const CycleRules& rules, const Interrupt& interrupt,
                   Progress& progress);

    /// The result lacks what was settled before: memory and fences in words.
    DisplayResult run();

private:
    enum class Wake : std::uint8_t { Ready, Interrupted, TimedOut };

    Attempt<> show();
    bool all_shown() const { return choices_.frames != 0 && cycle_.told() >= choices_.frames; }
    Attempt<Wake> wait(int fd, std::chrono::milliseconds patience);
    /// Lets the commit under way come to the screen; stops the device if it does not in time.
    void drain(bool failed);
    void hold();
    void save_picture();
    void collect(DisplayResult& result) const;

    const DisplayChoices& choices_;
    const Camera& camera_;
    Consumer& consumer_;
    PictureMemory& memory_;
    const Interrupt& interrupt_;
    Progress& progress_;
    const CycleRules rules_;
    DisplayChecks checks_;
    DisplayCycle cycle_;
    std::uint64_t wakeups_ = 0;
    std::int64_t started_ns_ = 0;
    bool interrupted_ = false;
    std::optional<std::string> saved_;
    std::optional<Failure> save_failure_;
};

}  // namespace v4lfence
