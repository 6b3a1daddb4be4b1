// SPDX-License-Identifier: MIT
//
// What the stamps of a virtual camera must say of a frame.

#pragma once

#include <optional>

#include "tools/stream/number_checks.hpp"
#include "tools/stream/picture.hpp"
#include "tools/stream/promises.hpp"
#include "v4lfence/drivers/picture/stamp.hpp"

namespace v4lfence {

/// Those that pictures of this size have room for.
void promise_stamps(Promises& promises, ImageSize size);

StampReading read_stamps(const ImageView& image);

/// `reading`: default-made where the frame is none that can be looked at, which breaks them all.
void check_stamps(Promises& promises, const TakenFrame& frame, const StampReading& reading);

/// `image`: empty where the frame is none that can be looked at, which breaks them all.
void check_stamps(Promises& promises, const TakenFrame& frame,
                  const std::optional<ImageView>& image);

}  // namespace v4lfence
