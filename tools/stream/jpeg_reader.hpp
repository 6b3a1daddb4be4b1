// SPDX-License-Identifier: MIT
//
// JpegReader: frames of MJPEG as pictures.

#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "tools/stream/picture.hpp"

namespace v4lfence {

/// Thread: one.
class JpegReader {
public:
    explicit JpegReader(ImageSize size);
    JpegReader(JpegReader&&) noexcept;
    ~JpegReader();

    /// Good until the next call. Empty: no JPEG, one that is cut off or spoilt, or another size.
    std::optional<ImageView> read(std::span<const std::byte> jpeg);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace v4lfence
