// SPDX-License-Identifier: MIT
//
// Screen: one KMS display as a test sees it: a mode of its own making, pictures in memory that
// other devices can import, commits with fences both ways, and what was scanned out, where the
// driver can write that back (vkms). Plain libdrm. One thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/v4lfence.hpp"

namespace v4lfence::display {

struct Size {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
};

/// Four bytes a pixel (DRM_FORMAT_XRGB8888), in the display's memory.
struct Picture {
    std::uint32_t framebuffer = 0;
    std::uint32_t pitch = 0;
    UniqueFd dma_buf;
    std::span<const std::byte> pixels;  ///< Mapped as long as the program lives.

    /// The green of a pixel, which stands for its luma.
    int luma(std::uint32_t x, std::uint32_t y) const {
        return std::to_integer<int>(pixels[std::size_t{y} * pitch + std::size_t{x} * 4 + 1]);
    }
};

class Screen {
public:
    /// The display of `driver`, black, at `rate_hz`. With `writeback` its output is the connector
    /// that writes into memory, else the usual one. Gives up where there is no such display.
    Screen(const char* driver, Size size, unsigned rate_hz, bool writeback);

    Picture make_picture() const;

    struct Fences {
        api::Fence shown;    ///< Ends when the picture is on screen.
        api::Fence written;  ///< Ends when `writeback` holds what was scanned out.
    };
    /// For who looks at the picture's memory alone, and wants to read what a writer's fence stands
    /// for. Gives up where the kernel takes no fences into dma-bufs (before 6.0).
    static void leave_fence(const Picture& picture, const api::Fence& fence);

    /// Does not wait. `in_fence` -1: none. A commit must not be under way.
    Fences show(const Picture& picture, int in_fence, const Picture* writeback);

    struct Flip {
        std::uint32_t sequence = 0;  ///< The vertical blank at which it came on screen.
    };
    /// Of the commit under way.
    Flip wait_for_flip() const;

    /// Waits until what was scanned out is in `writeback` and the driver has let go of it. vkms
    /// does that later than it ends the fence, and looks at no commit's picture that came between.
    void wait_for_writeback(const Picture& writeback, const api::Fence& written) const;

    /// The number of the card, as debugfs names it.
    unsigned card_number() const;

private:
    void choose_output(bool writeback);
    void light(unsigned rate_hz);
    /// How many hold a framebuffer, as debugfs tells it.
    unsigned holders(std::uint32_t framebuffer) const;

    Size size_;
    UniqueFd card_;
    std::uint32_t connector_ = 0;
    std::vector<std::uint32_t> other_connectors_;  ///< Of the kernel's console, maybe.
    std::uint32_t crtc_ = 0;
    std::uint32_t plane_ = 0;
    struct {
        std::uint32_t framebuffer, crtc, in_fence;
    } of_plane_{};
    struct {
        std::uint32_t crtc, writeback, written;
    } of_connector_{};
    std::uint32_t out_fence_ = 0;
};

}  // namespace v4lfence::display
