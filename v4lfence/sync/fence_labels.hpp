// SPDX-License-Identifier: MIT
//
// FenceLabels: names for the out-fences of one file, as the kernel shows them of a sync_file:
// "video0 capture 3 #17" is the 17th buffer of the queue, which had the index 3. A name costs two
// system calls a fence, so nobody gets any who does not ask.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// Thread: any.
class FenceLabels {
public:
    /// The device's name counts the first time only.
    void turn_on(std::string_view device);
    void turn_off() noexcept { on_.store(false, std::memory_order_relaxed); }
    bool on() const noexcept { return on_.load(std::memory_order_acquire); }

    /// The same fence with a name: `position` as Job has it. What is no sync_file, or cannot have
    /// one more descriptor for a moment, comes back as it was.
    UniqueFd put_on(UniqueFd fence, std::string_view queue, unsigned index,
                    std::uint64_t position) const;

private:
    std::atomic<bool> on_{false};
    std::once_flag named_;
    std::array<char, 16> device_{};
};

}  // namespace v4lfence
