// SPDX-License-Identifier: MIT
//
// What the stamps of a virtual camera must say of a frame.

#pragma once

#include <optional>

#include "tools/stream/number_checks.hpp"
#include "tools/stream/picture.hpp"
#include "tools/stream/promises.hpp"

namespace v4lfence {

/// Those that pictures of this size have room for.
void promise_stamps(Promises& promises, ImageSize size);

/// `image`: empty where the frame is none that can be looked at, which breaks them all.
void check_stamps(Promises& promises, const TakenFrame& frame,
                  const std::optional<ImageView>& image);

}  // namespace v4lfence
