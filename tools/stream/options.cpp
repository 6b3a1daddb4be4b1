// SPDX-License-Identifier: MIT

#include "tools/stream/options.hpp"

#include <fmt/format.h>
#include <linux/videodev2.h>

#include <charconv>
#include <iterator>

#include "tools/video/names.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

std::optional<unsigned> number_from(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

/// By their flags.
constexpr const char* implicit_names[] = {"none", "in", "out", "both"};
static_assert(V4LFENCE_IMPLICIT_IN == 1 && V4LFENCE_IMPLICIT_OUT == 2);

/// Fences in dma-bufs, with the other choices.
Attempt<> settle_implicit(StreamChoices& options) {
    if (options.implicit == 0) {
        return {};
    }
    if (options.memory == V4L2_MEMORY_USERPTR) {
        return wrong_usage(
            "--implicit: buffers of the memory userptr have no dma-bufs, where such fences lie. "
            "Choose --memory mmap or dmabuf.");
    }
    if ((options.implicit & V4LFENCE_IMPLICIT_IN) != 0 &&
        options.in_fence.mode == InFenceMode::None) {
        return wrong_usage(
            "--implicit in puts the in-fences into the dma-bufs, and there are none: add "
            "--in-fence timer or --in-fence chain.");
    }
    if (options.provider.value_or("vgem") != "vgem") {
        return wrong_usage(fmt::format(
            "--implicit with --fences {}: only the kernel's fences go into dma-bufs. Leave out "
            "--fences, or choose vgem.",
            *options.provider));
    }
    options.provider = "vgem";
    return {};
}

}  // namespace

Attempt<ImageSize> parse_size(std::string_view text) {
    const std::size_t cross = text.find('x');
    if (cross != std::string_view::npos) {
        const auto width = number_from(text.substr(0, cross));
        const auto height = number_from(text.substr(cross + 1));
        if (width && height && *width > 0 && *height > 0) {
            return ImageSize{*width, *height};
        }
    }
    return wrong_usage(fmt::format("--size {}: give it as WIDTHxHEIGHT, such as 640x360.", text));
}

Attempt<std::uint32_t> parse_fourcc(std::string_view text) {
    if (const auto fourcc = fourcc_from_text(text)) {
        return *fourcc;
    }
    return wrong_usage(fmt::format(
        "--format {}: a format is up to four characters, such as YUYV; `v4lfence devices` lists "
        "those of the device.",
        text));
}

Attempt<RateChoice> parse_rate(std::string_view text) {
    if (text == "free") {
        return RateChoice{std::nullopt, true};
    }
    constexpr double slowest = 0.01;
    constexpr double fastest = 1000;
    double rate = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
    if (error != std::errc() || end != text.data() + text.size() ||
        !(rate >= slowest && rate <= fastest)) {
        return wrong_usage(
            fmt::format("--rate {}: it is a number of frames a second, from {} to {}, or free.",
                        text, slowest, fastest));
    }
    return RateChoice{rate, false};
}

Attempt<std::uint32_t> parse_memory(std::string_view text) {
    for (const std::uint32_t memory : {V4L2_MEMORY_MMAP, V4L2_MEMORY_USERPTR, V4L2_MEMORY_DMABUF}) {
        if (text == memory_name(memory)) {
            return memory;
        }
    }
    return wrong_usage(fmt::format("--memory {}: it is mmap, userptr or dmabuf.", text));
}

Attempt<InFenceChoice> parse_in_fence(std::string_view text) {
    if (text == "none") {
        return InFenceChoice{};
    }
    if (text == "timer") {
        return InFenceChoice{InFenceMode::Timer, std::nullopt};
    }
    if (text == "chain") {
        return InFenceChoice{InFenceMode::Chain, std::nullopt};
    }
    constexpr std::string_view prefix = "chain=";
    if (text.starts_with(prefix)) {
        const auto depth = number_from(text.substr(prefix.size()));
        if (depth && *depth > 0) {
            return InFenceChoice{InFenceMode::Chain, depth};
        }
    }
    return wrong_usage(fmt::format(
        "--in-fence {}: it is none, timer, chain or chain=K with K of at least 1.", text));
}

Attempt<DelayRange> parse_delays(std::string_view text) {
    const std::size_t dots = text.find("..");
    const auto low = number_from(text.substr(0, dots));
    const auto high = dots == std::string_view::npos ? low : number_from(text.substr(dots + 2));
    if (low && high && *low <= *high) {
        return DelayRange{*low, *high};
    }
    return wrong_usage(
        fmt::format("--timer-ms {}: give it as MIN..MAX in milliseconds, such as 5..60.", text));
}

Attempt<unsigned> parse_implicit(std::string_view text) {
    for (unsigned implicit = 0; implicit < std::size(implicit_names); ++implicit) {
        if (text == implicit_names[implicit]) {
            return implicit;
        }
    }
    return wrong_usage(fmt::format("--implicit {}: it is none, in, out or both.", text));
}

Attempt<PixelCheck> parse_pixels(std::string_view text) {
    if (text == "auto") {
        return PixelCheck::Auto;
    }
    if (text == "painted") {
        return PixelCheck::Painted;
    }
    if (text == "stamped") {
        return PixelCheck::Stamped;
    }
    if (text == "bars") {
        return PixelCheck::Bars;
    }
    if (text == "none") {
        return PixelCheck::None;
    }
    return wrong_usage(
        fmt::format("--pixels {}: it is auto, painted, stamped, bars or none.", text));
}

Attempt<> settle_options(StreamChoices& options) {
    if (options.raw && is_virtual_device(options.device)) {
        return wrong_usage(fmt::format(
            "--raw is a loop without v4lfence, and {} is a part of v4lfence. Leave out --raw.",
            options.device));
    }
    if (options.raw && options.fenced()) {
        return wrong_usage(
            "--raw is the same loop without v4lfence, so it takes no --in-fence, --out-fence, "
            "--fences, --implicit or --deadline. Leave those out, or --raw.");
    }
    if (options.deadline_ms != 0 && options.in_fence.mode == InFenceMode::None) {
        return wrong_usage(
            "--deadline limits how long a buffer waits for its in-fence, and there is none: add "
            "--in-fence timer or --in-fence chain.");
    }
    if (options.fence_names && !options.out_fence && options.in_fence.mode != InFenceMode::Chain) {
        return wrong_usage("--fence-names names out-fences, and there are none: add --out-fence.");
    }
    if (options.frames == 0) {
        return wrong_usage("--frames 0: at least one frame is needed to check anything.");
    }
    if (options.in_fence.mode == InFenceMode::Chain) {
        options.out_fence = true;
    }
    return settle_implicit(options);
}

const char* implicit_name(unsigned implicit) {
    return implicit_names[implicit];
}

const char* in_fence_name(InFenceMode mode) {
    switch (mode) {
    case InFenceMode::Timer:
        return "timer";
    case InFenceMode::Chain:
        return "chain";
    case InFenceMode::None:
        break;
    }
    return "none";
}

}  // namespace v4lfence
