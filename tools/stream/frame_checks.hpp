// SPDX-License-Identifier: MIT
//
// What is checked of each frame, apart from its fences: its numbers, its memory, and what is in the
// picture.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tools/stream/buffers.hpp"
#include "tools/stream/frame_viewer.hpp"
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
    std::optional<ImageView> view(const TakenFrame& frame) {
        return viewer_.view(frame.index, frame.bytes_used, frame.data_offsets);
    }

private:
    /// What the format says that a picture takes of a plane.
    std::span<std::byte> image(unsigned index, unsigned plane, const DataOffsets& offsets) const;
    void check_memory(const TakenFrame& frame);
    void check_picture(const TakenFrame& frame);

    const Camera& camera_;
    const BufferPool& pool_;
    Promises& promises_;
    NumberChecks numbers_;
    PixelCheck pixels_;
    DataOffsets offsets_{};  ///< Of the last frame: the next is likely to begin there.
    FrameViewer viewer_;
};

/// What `Auto` means for this camera.
PixelCheck recognise_picture(PixelCheck choice, const Camera& camera);

}  // namespace v4lfence
