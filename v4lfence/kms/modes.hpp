// SPDX-License-Identifier: MIT
//
// The modes of a connector: how a person names one, and which is chosen.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "v4lfence/kms/drm.hpp"
#include "v4lfence/kms/error.hpp"

namespace v4lfence {

/// Thousandths of a Hz: of fields, where the mode is interlaced.
std::uint64_t refresh_mhz(const DrmMode& mode);

/// "1280x720@60.00", with an "i" behind the height when it is interlaced.
std::string mode_name(const DrmMode& mode);

/// What a person asks for: "1280x720", "1280x720@60", "1280x720@59.94".
struct ModeWish {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::optional<std::uint64_t> refresh_mhz;
};
/// Empty: it is none, as not_a_mode() says.
std::optional<ModeWish> parse_mode_wish(std::string_view text);
std::string not_a_mode(std::string_view text);

/// `wanted` empty: the smallest mode that holds a picture of this size (0: not known); where none
/// does, or the size is not known, the preferred one. Among modes of a size: the nearest to the
/// wanted refresh (half a Hz away at most), else the preferred, else the fastest. Interlaced ones
/// come last. Errors: EINVAL `wanted` is no mode, or not one of these; ENODEV there are none.
Outcome<DrmMode> choose_mode(std::span<const DrmMode> modes, std::string_view wanted,
                             std::uint32_t picture_width, std::uint32_t picture_height);

}  // namespace v4lfence
