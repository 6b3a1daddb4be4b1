// SPDX-License-Identifier: MIT

#include "v4lfence/kms/layout.hpp"

#include <algorithm>

namespace v4lfence {

PictureLayout fitted(Extent picture, Extent screen) {
    PictureLayout layout;
    layout.source = picture;
    const std::uint64_t by_width = std::uint64_t{screen.width} * picture.height;
    const std::uint64_t by_height = std::uint64_t{screen.height} * picture.width;
    layout.screen = screen;
    if (by_width < by_height) {
        layout.screen.height =
            std::max<std::uint32_t>(1, static_cast<std::uint32_t>(by_width / picture.width));
    } else {
        layout.screen.width =
            std::max<std::uint32_t>(1, static_cast<std::uint32_t>(by_height / picture.height));
    }
    layout.screen_x = (screen.width - layout.screen.width) / 2;
    layout.screen_y = (screen.height - layout.screen.height) / 2;
    return layout;
}

PictureLayout centred(Extent picture, Extent screen) {
    PictureLayout layout;
    layout.source = {std::min(picture.width, screen.width),
                     std::min(picture.height, screen.height)};
    layout.screen = layout.source;
    constexpr std::uint32_t even = ~1U;
    layout.source_x = (picture.width - layout.source.width) / 2 & even;
    layout.source_y = (picture.height - layout.source.height) / 2 & even;
    layout.screen_x = (screen.width - layout.screen.width) / 2;
    layout.screen_y = (screen.height - layout.screen.height) / 2;
    return layout;
}

PictureLayout moved(PictureLayout layout, std::uint32_t x, std::uint32_t y) {
    layout.source_x += x;
    layout.source_y += y;
    return layout;
}

}  // namespace v4lfence
