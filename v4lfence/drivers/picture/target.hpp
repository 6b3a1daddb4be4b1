// SPDX-License-Identifier: MIT
//
// The target: a disc of four quarters that goes round on the rim of the zone plate, one place for
// each sequence number, so that a lost, repeated or torn frame shows.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "v4lfence/drivers/picture/card.hpp"
#include "v4lfence/drivers/picture/surface.hpp"

namespace v4lfence {

/// Even pixels, at most 120 places round a circle that are at least three pixels apart.
struct TargetPath {
    struct Place {
        std::uint32_t x = 0;  ///< Top left.
        std::uint32_t y = 0;

        bool operator==(const Place&) const = default;
    };

    std::uint32_t size = 0;  ///< Width and height of the target; 0: the scene has no room for it.
    std::vector<Place> places;

    const Place& at(std::uint32_t sequence) const { return places[sequence % places.size()]; }
};

/// It begins at the top and goes clockwise; mirrored it goes the other way.
TargetPath target_path(const Area& scene, bool mirrored);

/// Pixels of red, green and blue to the numbers in which the picture is stored.
using PixelCoder = std::function<void(std::span<Pixel>)>;

/// The disc in the bytes of one format.
class TargetImage {
public:
    /// Errors: ENOMEM.
    static Result<TargetImage> create(std::uint32_t fourcc, std::uint32_t size, bool mirrored,
                                      const PixelCoder& code);

    /// Onto `to`, before the card in `card`, which has the same layout. No heap.
    void draw(const TargetPath::Place& place, const Surface& card, const Surface& to) const;

private:
    /// The bytes of a row that the disc touches, and those that it hides.
    struct Run {
        std::uint32_t begin = 0;
        std::uint32_t hidden_begin = 0;
        std::uint32_t hidden_end = 0;
        std::uint32_t end = 0;
    };

    TargetImage(const PictureLayout& layout, PictureMemory colours, PictureMemory alphas);
    static Run run_of(std::span<const std::byte> alphas);

    PictureLayout layout_;
    PictureMemory colours_;
    PictureMemory alphas_;                  ///< How much of each byte of a colour is there.
    std::array<std::vector<Run>, 3> runs_;  ///< For each row of each component.
};

}  // namespace v4lfence
