// SPDX-License-Identifier: MIT
//
// Where on the screen a picture goes.

#pragma once

#include <cstdint>

namespace v4lfence {

struct Extent {
    std::uint32_t width = 0;
    std::uint32_t height = 0;

    bool operator==(const Extent&) const = default;
};

/// A part of a picture, in whole pixels.
struct PicturePart {
    std::uint32_t x = 0;
    std::uint32_t y = 0;
    Extent size;

    bool operator==(const PicturePart&) const = default;
};

/// A part of the picture, and the part of the screen that shows it.
struct PictureLayout {
    std::uint32_t source_x = 0;
    std::uint32_t source_y = 0;
    Extent source;
    std::uint32_t screen_x = 0;
    std::uint32_t screen_y = 0;
    Extent screen;

    bool operator==(const PictureLayout&) const = default;
};

/// The whole picture, as large as the screen allows, its shape kept. Of equal sizes: as it is.
PictureLayout fitted(Extent picture, Extent screen);

/// A pixel a pixel; the edges are cut off where the picture is larger than the screen. What is cut
/// off in front is an even number, so that no chroma sample is cut in two.
PictureLayout centred(Extent picture, Extent screen);

/// The layout of a picture that has been cut out of a larger one at `x`, `y`.
PictureLayout moved(PictureLayout layout, std::uint32_t x, std::uint32_t y);

}  // namespace v4lfence
