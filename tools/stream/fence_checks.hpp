// SPDX-License-Identifier: MIT
//
// What is checked of the fences of each frame.

#pragma once

#include <cstdint>
#include <string>

#include "tools/stream/camera.hpp"
#include "tools/stream/options.hpp"
#include "tools/stream/promises.hpp"
#include "tools/stream/result.hpp"

namespace v4lfence {

/// The fences of one queued frame, borrowed; -1: none.
struct FrameFences {
    std::uint64_t number = 0;
    int in = -1;
    int out = -1;
};

class FenceChecks {
public:
    /// Everything is borrowed and must outlive it.
    FenceChecks(const StreamChoices& options, const QueueFences& fences, Promises& promises,
                StreamCounters& counters);

    /// `held`: QBUF said that the in-fence is pending.
    void after_qbuf(const FrameFences& fences, bool held);
    void after_dqbuf(const FrameFences& fences, bool error);
    /// DQBUF hands out no descriptor and knows no pending fence.
    void check_cleared(std::uint64_t number, std::uint32_t flags, int fence_fd);
    void after_streamoff(const FrameFences& fences);

private:
    void check_sync_file(const FrameFences& fences);

    const QueueFences& queue_;
    Promises& promises_;
    StreamCounters& counters_;
};

}  // namespace v4lfence
