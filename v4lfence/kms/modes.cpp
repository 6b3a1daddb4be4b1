// SPDX-License-Identifier: MIT

#include "v4lfence/kms/modes.hpp"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <vector>

namespace v4lfence {

namespace {

constexpr std::uint64_t refresh_tolerance_mhz = 500;
constexpr std::size_t named_modes_max = 8;

bool interlaced(const DrmMode& mode) {
    return (mode.flags & DRM_MODE_FLAG_INTERLACE) != 0;
}

bool preferred(const DrmMode& mode) {
    return (mode.type & DRM_MODE_TYPE_PREFERRED) != 0;
}

std::uint64_t distance(std::uint64_t first, std::uint64_t second) {
    return first > second ? first - second : second - first;
}

/// The number that `text` begins with, which it then has no more.
std::optional<std::uint32_t> take_number(std::string_view& text) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

/// "60" or "59.94", all of it.
std::optional<std::uint64_t> parse_refresh(std::string_view text) {
    constexpr std::uint32_t hz_max = 100'000;
    const auto whole = take_number(text);
    if (!whole || *whole > hz_max) {
        return std::nullopt;
    }
    std::uint64_t mhz = std::uint64_t{*whole} * 1000;
    if (text.empty()) {
        return mhz;
    }
    if (text.front() != '.' || text.size() < 2 || text.size() > 4) {
        return std::nullopt;
    }
    std::uint64_t place = 100;
    for (const char digit : text.substr(1)) {
        if (digit < '0' || digit > '9') {
            return std::nullopt;
        }
        mhz += place * static_cast<unsigned>(digit - '0');
        place /= 10;
    }
    return mhz;
}

std::uint64_t area(std::uint64_t width, std::uint64_t height) {
    return width * height;
}

/// The nearest in size first.
std::string list_modes(std::span<const DrmMode> modes, const ModeWish& wish) {
    std::vector<const DrmMode*> nearest;
    for (const DrmMode& mode : modes) {
        nearest.push_back(&mode);
    }
    const auto away = [&wish](const DrmMode* mode) {
        return distance(area(mode->hdisplay, mode->vdisplay), area(wish.width, wish.height));
    };
    std::stable_sort(nearest.begin(), nearest.end(),
                     [&away](const auto* a, const auto* b) { return away(a) < away(b); });
    std::string list;
    for (std::size_t i = 0; i < nearest.size() && i < named_modes_max; ++i) {
        list += words(i == 0 ? "" : ", ", mode_name(*nearest[i]));
    }
    return nearest.size() > named_modes_max ? words(list, " and more") : list;
}

/// The better one is the greater.
auto merit(const DrmMode& mode) {
    return std::tuple(!interlaced(mode), preferred(mode), refresh_mhz(mode));
}

const DrmMode* best_of(const std::vector<const DrmMode*>& modes) {
    const auto best =
        std::max_element(modes.begin(), modes.end(),
                         [](const auto* a, const auto* b) { return merit(*a) < merit(*b); });
    return best == modes.end() ? nullptr : *best;
}

const DrmMode* find_wish(std::span<const DrmMode> modes, const ModeWish& wish) {
    std::vector<const DrmMode*> fitting;
    std::uint64_t nearest = refresh_tolerance_mhz;
    for (const DrmMode& mode : modes) {
        if (mode.hdisplay != wish.width || mode.vdisplay != wish.height) {
            continue;
        }
        const std::uint64_t away =
            wish.refresh_mhz ? distance(refresh_mhz(mode), *wish.refresh_mhz) : nearest;
        if (away < nearest) {
            fitting.clear();
            nearest = away;
        }
        if (away <= nearest) {
            fitting.push_back(&mode);
        }
    }
    return best_of(fitting);
}

const DrmMode* smallest_that_holds(std::span<const DrmMode> modes, std::uint32_t width,
                                   std::uint32_t height) {
    const DrmMode* best = nullptr;
    const auto pixels = [](const DrmMode& mode) { return area(mode.hdisplay, mode.vdisplay); };
    for (const DrmMode& mode : modes) {
        if (mode.hdisplay < width || mode.vdisplay < height) {
            continue;
        }
        const auto cost = [&pixels](const DrmMode& one) {
            return std::tuple(interlaced(one), pixels(one));
        };
        if (best == nullptr || cost(mode) < cost(*best) ||
            (cost(mode) == cost(*best) && merit(mode) > merit(*best))) {
            best = &mode;
        }
    }
    return best;
}

}  // namespace

std::uint64_t refresh_mhz(const DrmMode& mode) {
    std::uint64_t lines = std::uint64_t{mode.htotal} * mode.vtotal;
    if (mode.vscan > 1) {
        lines *= mode.vscan;
    }
    if ((mode.flags & DRM_MODE_FLAG_DBLSCAN) != 0) {
        lines *= 2;
    }
    if (mode.clock == 0 || lines == 0) {
        return std::uint64_t{mode.vrefresh} * 1000;
    }
    constexpr std::uint64_t khz_in_mhz = 1'000'000;
    const std::uint64_t fields = interlaced(mode) ? 2 : 1;
    return (mode.clock * khz_in_mhz * fields + lines / 2) / lines;
}

std::string mode_name(const DrmMode& mode) {
    // In whole numbers: how a fraction is written is the program's locale.
    const std::uint64_t hundredths = (refresh_mhz(mode) + 5) / 10;
    const std::uint64_t fraction = hundredths % 100;
    return words(mode.hdisplay, "x", mode.vdisplay, interlaced(mode) ? "i" : "", "@",
                 hundredths / 100, fraction < 10 ? ".0" : ".", fraction);
}

std::optional<ModeWish> parse_mode_wish(std::string_view text) {
    ModeWish wish;
    const auto width = take_number(text);
    if (!width || text.empty() || text.front() != 'x') {
        return std::nullopt;
    }
    text.remove_prefix(1);
    const auto height = take_number(text);
    if (!height || *width == 0 || *height == 0) {
        return std::nullopt;
    }
    wish.width = *width;
    wish.height = *height;
    if (text.empty()) {
        return wish;
    }
    if (text.front() != '@') {
        return std::nullopt;
    }
    wish.refresh_mhz = parse_refresh(text.substr(1));
    return wish.refresh_mhz ? std::optional(wish) : std::nullopt;
}

std::string not_a_mode(std::string_view text) {
    return words("\"", text, "\" is no mode: one is written as 1280x720 or 1280x720@60");
}

Outcome<DrmMode> choose_mode(std::span<const DrmMode> modes, std::string_view wanted,
                             std::uint32_t picture_width, std::uint32_t picture_height) {
    if (modes.empty()) {
        return refuse(-ENODEV, "the display lists no modes");
    }
    if (!wanted.empty()) {
        const auto wish = parse_mode_wish(wanted);
        if (!wish) {
            return refuse(-EINVAL, not_a_mode(wanted));
        }
        if (const DrmMode* const found = find_wish(modes, *wish)) {
            return *found;
        }
        return refuse(-EINVAL, "the display has no mode ", wanted, "; it has ",
                      list_modes(modes, *wish));
    }
    if (picture_width != 0 && picture_height != 0) {
        if (const auto* found = smallest_that_holds(modes, picture_width, picture_height)) {
            return *found;
        }
    }
    const auto found = std::find_if(modes.begin(), modes.end(), preferred);
    return found != modes.end() ? *found : modes.front();
}

}  // namespace v4lfence
