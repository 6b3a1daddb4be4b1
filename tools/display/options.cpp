// SPDX-License-Identifier: MIT

#include "tools/display/options.hpp"

#include <fmt/format.h>

#include "tools/stream/frame_viewer.hpp"

namespace v4lfence {

TargetChoice parse_target(const std::string& text) {
    if (text == "kms") {
        return {Target::Kms, ""};
    }
    if (text == "null") {
        return {Target::Null, ""};
    }
    return {text.ends_with(".png") ? Target::Png : Target::Raw, text};
}

Attempt<bool> parse_plane(const std::string& text) {
    if (text == "primary" || text == "overlay") {
        return text == "overlay";
    }
    return wrong_usage(fmt::format("--plane {}: it is primary or overlay.", text));
}

Attempt<> settle_options(DisplayChoices& choices) {
    if (choices.provider == "auto") {
        choices.provider.reset();
    }
    const bool of_kms = !choices.card.empty() || !choices.connector.empty() ||
                        !choices.mode.empty() || choices.overlay;
    if (of_kms && !choices.on_kms()) {
        return wrong_usage(
            "--card, --connector, --mode and --plane are of a display of the machine's: leave them "
            "out, or --to.");
    }
    if (!choices.fences && (choices.provider || choices.implicit || choices.deadline_ms != 0)) {
        return wrong_usage(
            "--no-fences is the same loop without fences, so it takes no --fences, --implicit or "
            "--deadline. Leave those out, or --no-fences.");
    }
    if (choices.rate.free_running && choices.on_kms()) {
        return wrong_usage("--rate free: a display shows at its refreshes. Give a number.");
    }
    if (choices.to.target == Target::Raw && choices.fourcc && is_jpeg(*choices.fourcc)) {
        return wrong_usage(
            "--to FILE writes frames that have all the same size, and a JPEG has none. Choose "
            "another --format.");
    }
    return {};
}

}  // namespace v4lfence
