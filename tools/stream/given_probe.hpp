// SPDX-License-Identifier: MIT
//
// GivenProbe: how long it takes from the end of an in-fence until its buffer is with the driver,
// seen through QUERYBUF.

#pragma once

#include "tools/stream/buffers.hpp"
#include "tools/stream/latency.hpp"
#include "tools/stream/timer.hpp"

namespace v4lfence {

/// Looks only at a buffer that is the next to be given: behind others it would measure their
/// fences. Lives on the timer's thread; the samples may be read once that has stopped. The Camera
/// must outlive it.
class GivenProbe final : public FenceTimer::Listener {
public:
    GivenProbe(const Camera& camera, std::uint32_t memory, std::size_t expected)
        : camera_(camera), memory_(memory), samples_(expected) {}

    bool about_to_end(const TimedFence& fence) override;
    void ended(const TimedFence& fence, std::int64_t ended_at_ns) override;

    const LatencySamples& samples() const { return samples_; }

private:
    bool held(unsigned index) const;

    const Camera& camera_;
    std::uint32_t memory_;
    LatencySamples samples_;
};

}  // namespace v4lfence
