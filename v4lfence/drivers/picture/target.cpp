// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/picture/target.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace v4lfence {
namespace {

constexpr Pixel white{255, 255, 255};
constexpr Pixel black{0, 0, 0};
constexpr Pixel amber{255, 196, 0};

constexpr std::uint32_t size_min = 16;
constexpr std::uint32_t places_max = 120;

std::uint32_t even(double value) {
    return static_cast<std::uint32_t>(std::lround(value / 2)) * 2;
}

struct Dot {
    Pixel colour;
    std::uint8_t alpha;
};

/// Black and amber quarters in a white ring in a thin black one.
Dot dot_at(std::uint32_t x, std::uint32_t y, std::uint32_t size) {
    const double middle = size / 2.0;
    const double right = x + 0.5 - middle;
    const double down = y + 0.5 - middle;
    const double distance = std::hypot(right, down);
    const double ring = std::max(size / 14.0, 1.0);
    const double cover = std::clamp(middle - distance + 0.5, 0.0, 1.0);
    Dot dot{black, static_cast<std::uint8_t>(std::lround(cover * 255))};
    if (distance < middle - 2 * ring) {
        dot.colour = (right < 0) == (down < 0) ? amber : black;
    } else if (distance < middle - 0.7 * ring) {
        dot.colour = white;
    }
    return dot;
}

void blend_row(std::byte* to, const std::byte* card, const std::byte* colour,
               const std::byte* alpha, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const int below = std::to_integer<int>(card[i]);
        const int share = std::to_integer<int>(alpha[i]) + (std::to_integer<int>(alpha[i]) >> 7);
        const int change = (std::to_integer<int>(colour[i]) - below) * share;
        to[i] = static_cast<std::byte>(below + ((change + 128) >> 8));
    }
}

}  // namespace

TargetPath target_path(const Area& scene, bool mirrored) {
    TargetPath path;
    const Circle rim = rim_of(scene);
    const std::uint32_t shorter = std::min(scene.width, scene.height);
    if (shorter < size_min + 8) {
        path.places.resize(1);
        return path;
    }
    path.size = std::max(even(rim.radius * 0.36), size_min);
    const double radius = std::min(rim.radius, (shorter - path.size) / 2 - 1);
    const auto count =
        std::clamp(static_cast<std::uint32_t>(2 * std::numbers::pi * radius / 3), 4U, places_max);
    for (std::uint32_t i = 0; i < count; ++i) {
        const double angle = 2 * std::numbers::pi * i / count;
        const std::uint32_t x = even(rim.x + radius * std::sin(angle) - path.size / 2.0);
        path.places.push_back({mirrored ? scene.width - path.size - x : x,
                               even(rim.y - radius * std::cos(angle) - path.size / 2.0)});
    }
    return path;
}

Result<TargetImage> TargetImage::create(std::uint32_t fourcc, std::uint32_t size, bool mirrored,
                                        const PixelCoder& code) {
    const PictureLayout layout = V4LFENCE_TRY(layout_of(fourcc, size, size));
    PictureMemory colours = V4LFENCE_TRY(PictureMemory::create(layout));
    PictureMemory alphas = V4LFENCE_TRY(PictureMemory::create(layout));
    const Surface colour(layout, colours.planes());
    const Surface alpha(layout, alphas.planes());
    std::vector<Pixel> dots(std::size_t{size} * 2);
    std::vector<Pixel> masks(dots.size());
    for (std::uint32_t y = 0; y < size; y += 2) {
        for (std::uint32_t i = 0; i < dots.size(); ++i) {
            const std::uint32_t x = mirrored ? size - 1 - i % size : i % size;
            const Dot dot = dot_at(x, y + i / size, size);
            dots[i] = dot.colour;
            masks[i] = {dot.alpha, dot.alpha, dot.alpha};
        }
        code(dots);
        colour.put_rows(y, std::span(dots).first(size), std::span(dots).last(size));
        alpha.put_rows(y, std::span(masks).first(size), std::span(masks).last(size));
    }
    return TargetImage(layout, std::move(colours), std::move(alphas));
}

TargetImage::TargetImage(const PictureLayout& layout, PictureMemory colours, PictureMemory alphas)
    : layout_(layout), colours_(std::move(colours)), alphas_(std::move(alphas)) {
    const Surface alpha(layout_, alphas_.planes());
    for (unsigned i = 0; i < alpha.component_count(); ++i) {
        for (std::uint32_t y = 0; y < alpha.component(i).rows; ++y) {
            runs_[i].push_back(run_of({alpha.row(i, y), alpha.component(i).row_bytes}));
        }
    }
}

TargetImage::Run TargetImage::run_of(std::span<const std::byte> alphas) {
    const auto touches = [](std::byte alpha) { return alpha != std::byte{0}; };
    const auto size = static_cast<std::uint32_t>(alphas.size());
    Run run;
    for (std::uint32_t at = 0, begin = 0; at < size; ++at) {
        begin = alphas[at] == std::byte{255} ? begin : at + 1;
        if (at + 1 - begin > run.hidden_end - run.hidden_begin) {
            run.hidden_begin = begin;
            run.hidden_end = at + 1;
        }
    }
    const auto first = std::find_if(alphas.begin(), alphas.end(), touches);
    const auto last = std::find_if(alphas.rbegin(), alphas.rend(), touches);
    run.begin = std::min(static_cast<std::uint32_t>(first - alphas.begin()), run.hidden_begin);
    run.end = std::max(static_cast<std::uint32_t>(last.base() - alphas.begin()), run.hidden_end);
    return run;
}

void TargetImage::draw(const TargetPath::Place& place, const Surface& card,
                       const Surface& to) const {
    const Surface colour(layout_, colours_.planes());
    const Surface alpha(layout_, alphas_.planes());
    for (unsigned i = 0; i < colour.component_count(); ++i) {
        const ComponentLayout& own = colour.component(i);
        const std::size_t left = std::size_t{own.row_bytes} * place.x / layout_.width;
        const std::uint32_t top = own.rows * place.y / layout_.height;
        for (std::uint32_t y = 0; y < own.rows; ++y) {
            const Run& run = runs_[i][y];
            std::byte* const onto = to.row(i, top + y) + left;
            const auto blend = [&](std::uint32_t begin, std::uint32_t end) {
                blend_row(onto + begin, card.row(i, top + y) + left + begin,
                          colour.row(i, y) + begin, alpha.row(i, y) + begin, end - begin);
            };
            blend(run.begin, run.hidden_begin);
            std::memcpy(onto + run.hidden_begin, colour.row(i, y) + run.hidden_begin,
                        run.hidden_end - run.hidden_begin);
            blend(run.hidden_end, run.end);
        }
    }
}

}  // namespace v4lfence
