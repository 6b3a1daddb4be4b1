// SPDX-License-Identifier: MIT
//
// What `v4lfence display` was asked to do.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/failure.hpp"
#include "tools/stream/options.hpp"

namespace v4lfence {

enum class Target : std::uint8_t {
    Kms,
    Null,  ///< A display of software that shows to nobody.
    Png,   ///< ... and leaves its last picture in a file.
    Raw,   ///< ... and appends each picture to a file.
};

struct TargetChoice {
    Target target = Target::Kms;
    std::string path;
};

struct DisplayChoices {
    std::string device;
    TargetChoice to;
    std::string card;  ///< As the three below, of a KMS display; empty: the best there is.
    std::string connector;
    std::string mode;
    bool overlay = false;
    std::optional<ImageSize> size;
    std::optional<std::uint32_t> fourcc;
    RateChoice rate;
    bool fences = true;
    std::optional<std::string> provider;
    bool implicit = false;
    unsigned frames = 300;  ///< 0: until Ctrl-C.
    unsigned buffers = 4;
    unsigned deadline_ms = 0;  ///< 0: none.
    unsigned timeout_s = 12;
    unsigned hold_s = 0;
    std::optional<std::string> shot;
    std::optional<std::string> report;
    bool json = false;

    bool on_kms() const { return to.target == Target::Kms; }
};

/// "kms", "null", else a file.
TargetChoice parse_target(const std::string& text);
/// Whether it is the overlay.
Attempt<bool> parse_plane(const std::string& text);

/// Choices that contradict each other. `auto` as a provider is none.
Attempt<> settle_options(DisplayChoices& choices);

}  // namespace v4lfence
