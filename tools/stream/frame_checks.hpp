// SPDX-License-Identifier: MIT
//
// What is checked of each frame, apart from its fences: its numbers, its memory, and what is in the
// picture.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tools/stream/buffers.hpp"
#include "tools/stream/jpeg_reader.hpp"
#include "tools/stream/number_checks.hpp"
#include "tools/stream/options.hpp"
#include "tools/stream/picture.hpp"
#include "tools/stream/promises.hpp"
#include "tools/stream/result.hpp"

namespace v4lfence {

class FrameChecks {
public:
    /// Everything is borrowed and must outlive it. Makes the promises that this stream can be held
    /// to.
    FrameChecks(const StreamChoices& options, const Camera& camera, const BufferPool& pool,
                Promises& promises, StreamCounters& counters);

    /// Before QBUF: the device has to write over it.
    void prepare(unsigned index);
    void queued(std::uint64_t number) { numbers_.queued(number); }
    void check(const TakenFrame& frame);

    /// Frame numbers in QBUF order that have not come back.
    const std::vector<std::uint64_t>& outstanding() const { return numbers_.outstanding(); }

    /// Good until the next call. Empty when the format is not one that can be shown.
    std::optional<ImageView> view(const TakenFrame& frame);

private:
    void check_memory(const TakenFrame& frame);
    void check_picture(const TakenFrame& frame);
    std::optional<ImageView> raw_view(unsigned index) const;
    bool can_show_colour() const;

    const Camera& camera_;
    const BufferPool& pool_;
    Promises& promises_;
    NumberChecks numbers_;
    PixelCheck pixels_;
    std::vector<std::uint32_t> strides_;
    std::optional<JpegReader> jpeg_;  ///< Of a format that needs it.
};

/// What `Auto` means for this camera.
PixelCheck recognise_picture(PixelCheck choice, const Camera& camera);

}  // namespace v4lfence
