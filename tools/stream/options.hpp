// SPDX-License-Identifier: MIT
//
// What `v4lfence stream` was asked to do, and the texts of its arguments as values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tools/failure.hpp"

namespace v4lfence {

struct ImageSize {
    std::uint32_t width = 0;
    std::uint32_t height = 0;

    bool operator==(const ImageSize&) const = default;
};

/// What each QBUF waits for.
enum class InFenceMode : std::uint8_t {
    None,
    Timer,  ///< A fence of our own that ends after a delay, also out of order.
    Chain,  ///< The out-fence of K frames ago.
};

struct InFenceChoice {
    InFenceMode mode = InFenceMode::None;
    std::optional<unsigned> chain_depth;  ///< K; empty: chosen for the driver.
};

struct DelayRange {
    unsigned min_ms = 0;
    unsigned max_ms = 0;
};

/// How fast frames come; neither: as the device is.
struct RateChoice {
    std::optional<double> per_second;  ///< The driver chooses the nearest that it has.
    bool free_running = false;         ///< One for each buffer, as fast as they come.
};

/// How frames are recognised.
enum class PixelCheck : std::uint8_t {
    Auto,     ///< What the driver's name and its controls tell.
    Painted,  ///< The frame's number in 32 squares at the top left.
    Stamped,  ///< The virtual camera's number and time, at the top and at the bottom.
    Bars,     ///< vivid's colour bars in the first row.
    None,
};

struct StreamChoices {
    std::string device;
    unsigned frames = 300;
    std::optional<ImageSize> size;
    std::optional<std::uint32_t> fourcc;
    RateChoice rate;
    std::uint32_t memory = 0;  ///< enum v4l2_memory
    std::optional<unsigned> buffers;
    InFenceChoice in_fence;
    bool out_fence = false;
    std::optional<std::string> provider;
    unsigned implicit = 0;     ///< V4LFENCE_IMPLICIT_*
    unsigned deadline_ms = 0;  ///< 0: none.
    bool fence_names = false;
    DelayRange timer = {5, 60};
    std::uint64_t seed = 1;
    PixelCheck pixels = PixelCheck::Auto;
    unsigned bad_frames_allowed = 0;  ///< Lost, with an error, or numbered as the one before.
    unsigned timeout_s = 5;
    std::optional<std::string> save;
    std::optional<std::string> report;
    bool raw = false;
    bool json = false;

    bool fenced() const {
        return in_fence.mode != InFenceMode::None || out_fence || provider || implicit != 0 ||
               deadline_ms != 0;
    }
};

Attempt<ImageSize> parse_size(std::string_view text);
Attempt<std::uint32_t> parse_fourcc(std::string_view text);
Attempt<RateChoice> parse_rate(std::string_view text);
Attempt<std::uint32_t> parse_memory(std::string_view text);
Attempt<InFenceChoice> parse_in_fence(std::string_view text);
Attempt<unsigned> parse_implicit(std::string_view text);
Attempt<DelayRange> parse_delays(std::string_view text);
Attempt<PixelCheck> parse_pixels(std::string_view text);

/// Choices that contradict each other. A chain implies out-fences: sets `out_fence`; fences in
/// dma-bufs are the kernel's: sets `provider`.
Attempt<> settle_options(StreamChoices& options);

/// "none", "in", "out", "both".
const char* implicit_name(unsigned implicit);

/// "none", "timer", "chain".
const char* in_fence_name(InFenceMode mode);

}  // namespace v4lfence
