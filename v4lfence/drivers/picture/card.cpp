// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/picture/card.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace v4lfence {
namespace {

constexpr Pixel white{255, 255, 255};
constexpr Pixel dark{19, 19, 19};

// The bars of 75 % of SMPTE EG 1, and the row below them that mirrors the blue ones.
constexpr Pixel grey75{191, 191, 191};
constexpr Pixel yellow{191, 191, 0};
constexpr Pixel cyan{0, 191, 191};
constexpr Pixel green{0, 191, 0};
constexpr Pixel magenta{191, 0, 191};
constexpr Pixel red{191, 0, 0};
constexpr Pixel blue{0, 0, 191};
constexpr Pixel bars[] = {grey75, yellow, cyan, green, magenta, red, blue};
constexpr Pixel castellation[] = {blue, dark, magenta, dark, cyan, dark, grey75};

constexpr std::uint32_t grey_steps = 11;

constexpr std::uint32_t even(std::uint32_t value) {
    return value / 2 * 2;
}

template <class ColourAt>
std::vector<Pixel> row_of(std::uint32_t width, ColourAt&& colour_at) {
    std::vector<Pixel> row(width);
    for (std::uint32_t x = 0; x < width; ++x) {
        row[x] = colour_at(x);
    }
    return row;
}

/// Fields of equal width, which begin at even pixels.
std::vector<Pixel> fields(std::uint32_t width, std::span<const Pixel> colours) {
    const auto count = static_cast<std::uint32_t>(colours.size());
    return row_of(width, [=](std::uint32_t x) { return colours[even(x) * count / width]; });
}

Pixel shade(std::uint32_t value) {
    const auto level = static_cast<std::uint8_t>(value);
    return {level, level, level};
}

std::vector<Pixel> ramp(std::uint32_t width) {
    return row_of(width, [=](std::uint32_t x) { return shade(x * 255 / (width - 1)); });
}

std::vector<Pixel> steps(std::uint32_t width) {
    return row_of(width, [=](std::uint32_t x) {
        return shade(255 - even(x) * grey_steps / width * 255 / (grey_steps - 1));
    });
}

std::vector<Pixel> plain(std::uint32_t width, const Pixel& colour) {
    return std::vector<Pixel>(width, colour);
}

Pixel mix(const Pixel& below, const Pixel& above, float share) {
    Pixel mixed;
    for (unsigned i = 0; i < 3; ++i) {
        mixed[i] = static_cast<std::uint8_t>(std::lround(
            static_cast<float>(below[i]) * (1 - share) + static_cast<float>(above[i]) * share));
    }
    return mixed;
}

/// How much of a pixel at `distance` from the centre lies within the radius.
float inside(float distance, float radius) {
    return std::clamp(radius - distance + 0.5F, 0.0F, 1.0F);
}

}  // namespace

bool is_solid(Pattern pattern) {
    return pattern >= Pattern::SolidRed;
}

FramePlan frame_plan(std::uint32_t width, std::uint32_t height, Pattern pattern) {
    FramePlan plan;
    plan.stamp = stamp_plan(width, height);
    if (!is_solid(pattern)) {
        plan.has_text = plan.stamp.has_time && width >= text_width_min;
        const std::uint32_t margin = plan.has_text ? plan.stamp.square : 0;
        plan.top_band = plan.stamp.height() + margin;
        plan.bottom_band = plan.stamp.has_bottom ? plan.top_band : 0;
    }
    plan.scene = {0, plan.top_band, width, height - plan.top_band - plan.bottom_band};
    return plan;
}

Circle rim_of(const Area& scene) {
    const std::uint32_t radius = std::min(scene.width, scene.height) * 36 / 100;
    return {scene.x + scene.width / 2, scene.y + scene.height / 2, radius};
}

Card::Card(Pattern pattern, const Area& scene)
    : pattern_(pattern), scene_(scene), rim_(rim_of(scene)) {
    // The finest rings: a period of four pixels at the rim, of two at the sides of the picture.
    const std::uint64_t finest = pattern == Pattern::ZonePlate ? scene.width * 2 : rim_.radius * 8;
    chirp_ = (std::uint64_t{1} << 32) / std::max<std::uint64_t>(finest, 1);
    for (std::size_t i = 0; i < wave_.size(); ++i) {
        const double turn = static_cast<double>(i) / static_cast<double>(wave_.size());
        wave_[i] = static_cast<std::uint8_t>(
            std::lround(127.5 + 127.5 * std::cos(2 * std::numbers::pi * turn)));
    }
    const std::uint32_t width = scene.width;
    switch (pattern) {
    case Pattern::TestCard:
        add(60, fields(width, bars));
        add(68, fields(width, castellation));
        add(84, ramp(width));
        add(100, steps(width));
        break;
    case Pattern::Bars:
        add(75, fields(width, bars));
        add(84, fields(width, castellation));
        add(100, ramp(width));
        break;
    case Pattern::Ramp:
        add(100, ramp(width));
        break;
    case Pattern::SolidRed:
        add(100, plain(width, {255, 0, 0}));
        break;
    case Pattern::SolidGreen:
        add(100, plain(width, {0, 255, 0}));
        break;
    case Pattern::SolidBlue:
        add(100, plain(width, {0, 0, 255}));
        break;
    case Pattern::ZonePlate:
        break;
    }
}

void Card::add(unsigned end_percent, std::vector<Pixel> row) {
    const std::uint32_t end = scene_.y + even(scene_.height * end_percent / 100);
    sections_.push_back({end, std::move(row)});
}

void Card::draw_row(std::uint32_t y, std::span<Pixel> row) const {
    if (pattern_ == Pattern::ZonePlate) {
        const std::uint64_t down = y > rim_.y ? y - rim_.y : rim_.y - y;
        for (std::uint32_t x = 0; x < scene_.width; ++x) {
            const std::uint64_t along = x > rim_.x ? x - rim_.x : rim_.x - x;
            row[x] = shade(wave(along * along + down * down));
        }
        return;
    }
    const auto section = std::find_if(sections_.begin(), sections_.end() - 1,
                                      [=](const Section& each) { return y < each.end; });
    std::copy(section->row.begin(), section->row.end(), row.begin());
    if (pattern_ == Pattern::TestCard) {
        draw_plate(y, row);
    }
}

void Card::draw_plate(std::uint32_t y, std::span<Pixel> row) const {
    const std::uint32_t line = std::max(rim_.radius / 48, 1U);
    const std::uint32_t reach = std::min(rim_.radius + 2 * line, rim_.x);
    const std::uint32_t within = rim_.radius - std::min(rim_.radius, line + 1);
    const std::int64_t down = std::int64_t{y} - rim_.y;
    for (std::uint32_t x = rim_.x - reach; x < std::min(rim_.x + reach + 1, scene_.width); ++x) {
        const std::int64_t along = std::int64_t{x} - rim_.x;
        const auto square_distance = static_cast<std::uint64_t>(along * along + down * down);
        if (square_distance > std::uint64_t{reach} * reach) {
            continue;
        }
        if (square_distance < std::uint64_t{within} * within) {
            row[x] = shade(wave(square_distance));
            continue;
        }
        const auto distance = std::sqrt(static_cast<float>(square_distance));
        const auto radius = static_cast<float>(rim_.radius);
        const auto width = static_cast<float>(line);
        const Pixel edged = mix(row[x], dark, inside(distance, radius + 1.5F * width));
        const Pixel rimmed = mix(edged, white, inside(distance, radius + width / 2));
        row[x] = mix(rimmed, shade(wave(square_distance)), inside(distance, radius - width / 2));
    }
}

}  // namespace v4lfence
