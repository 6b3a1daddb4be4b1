// SPDX-License-Identifier: MIT
//
// Camera: a capture device of the library's that fills pictures of a display, with fences of the
// kernel's. One thread.

#pragma once

#include <cstdint>
#include <span>

#include "tests/display/screen.hpp"
#include "v4lfence/v4lfence.hpp"

namespace v4lfence::display {

class Camera {
public:
    /// Fills `pictures`, which are borrowed, as they are queued. `device`: a node, or a virtual
    /// device. Gives up where that has no such format.
    Camera(const char* device, Size size, unsigned rate_hz, std::span<const Picture> pictures);

    /// From now on each out-fence lies in the picture's memory too. Gives up where that cannot be.
    void leave_fences();

    /// Returns the out-fence. `in_fence` NULL: none.
    api::Fence queue(unsigned index, const api::Fence* in_fence);

    void start();

    struct Frame {
        unsigned index = 0;
        std::uint32_t sequence = 0;
        std::uint64_t captured_at_ns = 0;
        bool bad = false;
    };
    /// The next one; waits for it.
    Frame take();

private:
    api::File file_;
    std::span<const Picture> pictures_;
};

}  // namespace v4lfence::display
