// SPDX-License-Identifier: MIT
//
// Camera: an opened capture node with its format and rate agreed.

#pragma once

#include <linux/videodev2.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/failure.hpp"
#include "tools/stream/options.hpp"
#include "tools/video/file.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {

struct PlaneLayout {
    std::uint32_t stride = 0;
    std::uint32_t size = 0;
};

/// What the driver agreed to.
struct CaptureFormat {
    std::uint32_t type = 0;  ///< enum v4l2_buf_type
    std::uint32_t fourcc = 0;
    ImageSize size;
    std::vector<PlaneLayout> planes;
    double rate = 0;  ///< Frames a second; 0: the driver does not say.

    bool multiplanar() const { return type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE; }
};

/// What fences the queue does; all empty when none were asked for.
struct QueueFences {
    bool ordered = false;
    bool errors = false;
    bool kernel_waitable = false;
    std::uint32_t bound_ms = 0;
    std::string provider;
};

class Camera {
public:
    /// Opens, sets format and rate, applies the fence options. Fails with a sentence.
    static Attempt<Camera> open(const StreamChoices& options);

    const VideoFile& file() const { return file_; }
    const CaptureFormat& format() const { return format_; }
    const QueueFences& fences() const { return fences_; }
    const std::string& card() const { return card_; }
    const std::string& driver() const { return driver_; }
    const std::string& bus() const { return bus_; }

    /// Buffers the driver wants before it yields frames, as far as it tells: what REQBUFS makes of
    /// 1, and the control that codecs have. Uses the queue: call it before buffers are asked for.
    Attempt<unsigned> driver_minimum() const;

    /// Colour bars that do not move: vivid's first test pattern.
    bool shows_colour_bars() const;

    /// The provider may have changed on the way (a bound ran out); so may the order.
    Attempt<QueueFences> query_fences() const;

private:
    explicit Camera(VideoFile file) : file_(std::move(file)) {}

    Attempt<> identify(const std::string& path);
    Attempt<> agree_format(const StreamChoices& options);
    void agree_rate(const StreamChoices& options);
    Attempt<> run_free(const StreamChoices& options) const;
    Attempt<> choose_fences(const StreamChoices& options);
    std::optional<std::uint32_t> find_control(const char* name) const;
    std::optional<std::int32_t> control_named(const char* name) const;

    VideoFile file_;
    CaptureFormat format_;
    QueueFences fences_;
    std::string card_;
    std::string driver_;
    std::string bus_;
};

/// A camera that paints each frame's number is recognised by its name.
bool paints_numbers(const Camera& camera);

/// So is a virtual one, which stamps number and time.
bool stamps_frames(const Camera& camera);

}  // namespace v4lfence
