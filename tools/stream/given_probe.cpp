// SPDX-License-Identifier: MIT

#include "tools/stream/given_probe.hpp"

#include <chrono>
#include <thread>

namespace v4lfence {

namespace {

/// A hand-over that takes longer is not measured: the probe would only be in its way.
constexpr std::int64_t patience_ns = 5'000'000;

/// Looking without a pause would keep the lock that the hand-over needs. It is the resolution of
/// what is measured.
constexpr auto pause = std::chrono::microseconds(20);

}  // namespace

bool GivenProbe::held(unsigned index) const {
    IoctlBuffer argument(camera_.format(), memory_, index);
    return camera_.file().ioctl(VIDIOC_QUERYBUF, argument.get()) &&
           (argument->flags & V4L2_BUF_FLAG_IN_FENCE) != 0;
}

bool GivenProbe::about_to_end(const TimedFence& fence) {
    return held(fence.index) && !(fence.previous_index && held(*fence.previous_index));
}

void GivenProbe::ended(const TimedFence& fence, std::int64_t ended_at_ns) {
    std::int64_t now_ns = ended_at_ns;
    while (now_ns - ended_at_ns < patience_ns) {
        const bool waiting = held(fence.index);
        now_ns = to_ns(SystemClock().now());
        if (!waiting) {
            samples_.add(now_ns - ended_at_ns);
            return;
        }
        std::this_thread::sleep_for(pause);
    }
}

}  // namespace v4lfence
