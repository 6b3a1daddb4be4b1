// SPDX-License-Identifier: MIT
//
// The picture of the virtual camera, frame by frame. What changes seldom is drawn once, into a card
// in the frame's own format; a frame is a copy of it, and over that the target, the stamps and the
// text.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "v4lfence/drivers/picture/card.hpp"
#include "v4lfence/drivers/picture/jpeg.hpp"
#include "v4lfence/drivers/picture/layout.hpp"
#include "v4lfence/drivers/picture/surface.hpp"
#include "v4lfence/drivers/picture/target.hpp"

namespace v4lfence {

/// Of one frame in seconds, as v4l2_fract; a numerator of 0: as fast as it can.
struct FrameInterval {
    std::uint32_t numerator = 1;
    std::uint32_t denominator = 30;
};

struct PictureSettings {
    Pattern pattern = Pattern::TestCard;
    /// 128 leaves the scene as it is; it goes down to black at 0 and up to white at 255.
    std::uint8_t brightness = 128;
    /// 128 leaves the scene as it is, 0 makes it an even grey, 255 doubles its distance from grey.
    std::uint8_t contrast = 128;
    /// Left and right of the scene change places; those of stamps and text never do.
    bool mirror = false;
    std::string name = "v4lfence";  ///< Of the device, to be shown where there is room for it.
    FrameInterval interval;
};

struct FrameFacts {
    std::uint32_t sequence = 0;
    std::uint64_t captured_at_ns = 0;  ///< CLOCK_MONOTONIC.
};

/// One thread at a time.
class Painter {
public:
    /// Draws the card, which takes tens of milliseconds at 3840x2160.
    /// Errors: EINVAL, not a layout of layout_of(); ENOMEM.
    static Result<Painter> create(const PictureLayout& layout, const PictureSettings& settings);

    const PictureLayout& layout() const { return layout_; }

    /// Draws the card anew, in the same memory; takes as long as create(). Errors: ENOMEM, and
    /// nothing has changed.
    Result<void> change(const PictureSettings& settings);

    using BytesUsed = std::array<std::uint32_t, picture_planes_max>;

    /// Paints all of a frame, what lies behind the rows included. No heap, but for that of libjpeg.
    /// Errors: EINVAL, other planes than the layout's or one is smaller than its sizeimage; of
    /// MJPEG: ENOSPC, it does not fit into sizeimage; EIO.
    Result<BytesUsed> paint(std::span<const std::span<std::byte>> planes, const FrameFacts& facts);

private:
    /// What MJPEG has besides.
    struct Jpeg {
        JpegEncoder encoder;
        PictureMemory frame;
    };

    Painter(const PictureLayout& layout, const PictureLayout& raw, PictureMemory card)
        : layout_(layout), raw_(raw), card_(std::move(card)) {}

    Coding coding() const;
    void draw_card(const PictureSettings& settings);
    void draw_labels(const Surface& card, const PictureSettings& settings) const;
    void paint_raw(std::span<const std::span<std::byte>> planes, const FrameFacts& facts) const;
    void draw_facts(const Surface& to, const FrameFacts& facts) const;
    Result<BytesUsed> paint_jpeg(std::span<std::byte> to, const FrameFacts& facts);

    PictureLayout layout_;
    PictureLayout raw_;  ///< As the card is; for MJPEG, what is encoded.
    PictureMemory card_;
    FramePlan plan_;
    TargetPath path_;
    std::optional<TargetImage> target_;
    std::optional<Jpeg> jpeg_;
};

}  // namespace v4lfence
