// SPDX-License-Identifier: MIT
//
// The card in front of the camera: what a frame shows apart from stamps, text and the target that
// moves over it. Drawn once for each size and pattern, in red, green and blue.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "v4lfence/drivers/picture/stamp.hpp"
#include "v4lfence/drivers/picture/surface.hpp"

namespace v4lfence {

enum class Pattern : std::uint8_t {
    TestCard,  ///< Bars, ramp and steps, and a zone plate in their midst.
    Bars,
    ZonePlate,
    Ramp,
    SolidRed,  ///< The solid ones show nothing else but the stamps.
    SolidGreen,
    SolidBlue,
};
inline constexpr unsigned pattern_count = 7;

bool is_solid(Pattern pattern);

/// In pixels, all even. A scene reaches from the left to the right of the picture: its x is 0.
struct Area {
    std::uint32_t x = 0;
    std::uint32_t y = 0;
    std::uint32_t width = 0;
    std::uint32_t height = 0;
};

/// Text needs 288x64 pixels. Below there are only stamps.
inline constexpr std::uint32_t text_width_min = 288;

/// How a frame is divided: a dark band at the top and at the bottom, each with a stamp at its left
/// and text beside it, and the scene between them. Solid patterns have no bands and no text.
struct FramePlan {
    StampPlan stamp;
    std::uint32_t top_band = 0;  ///< Height.
    std::uint32_t bottom_band = 0;
    bool has_text = false;
    Area scene;
};

FramePlan frame_plan(std::uint32_t width, std::uint32_t height, Pattern pattern);

struct Circle {
    std::uint32_t x = 0;
    std::uint32_t y = 0;
    std::uint32_t radius = 0;
};

/// In the middle of the scene: the rim of the zone plate, on which the target moves.
Circle rim_of(const Area& scene);

class Card {
public:
    Card(Pattern pattern, const Area& scene);

    /// `y` is a row of the picture inside the scene; `row` has the scene's width.
    void draw_row(std::uint32_t y, std::span<Pixel> row) const;

private:
    /// Rows that are all alike, down to `end`.
    struct Section {
        std::uint32_t end;
        std::vector<Pixel> row;
    };

    void add(unsigned end_percent, std::vector<Pixel> row);
    void draw_plate(std::uint32_t y, std::span<Pixel> row) const;
    std::uint8_t wave(std::uint64_t square_distance) const {
        return wave_[static_cast<std::uint32_t>(square_distance * chirp_) >> 22];
    }

    Pattern pattern_;
    Area scene_;
    Circle rim_;
    std::uint64_t chirp_;  ///< Turns for each square pixel of distance, in 2^-32.
    std::array<std::uint8_t, 1024> wave_;
    std::vector<Section> sections_;
};

}  // namespace v4lfence
