// SPDX-License-Identifier: MIT
//
// Camera: an opened capture node with its format and rate agreed.

#pragma once

#include <linux/videodev2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
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

/// Where the picture begins in each plane of a buffer, in bytes (v4l2_plane.data_offset). A driver
/// tells it of each frame, with DQBUF.
using DataOffsets = std::array<std::uint32_t, VIDEO_MAX_PLANES>;

/// What of a plane is picture. `offset` is the driver's word and may be anything.
template <class Byte>
std::span<Byte> picture_bytes(std::span<Byte> plane, std::uint32_t offset) {
    return plane.subspan(offset < plane.size() ? offset : plane.size());
}

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

/// How a capture node is opened.
struct CameraChoices {
    std::string device;
    VideoCalls calls = VideoCalls::Library;
    std::optional<ImageSize> size;
    std::optional<std::uint32_t> fourcc;
    RateChoice rate;
    bool fenced = false;                  ///< Fences are going to be used.
    std::optional<std::string> provider;  ///< As v4lfence_set_provider().
    unsigned deadline_ms = 0;             ///< 0: none.
    bool fence_names = false;             ///< As v4lfence_set_fence_names().
};

/// What is left empty stays as it is, or is the driver's to choose.
struct FormatWish {
    std::optional<ImageSize> size;
    std::optional<std::uint32_t> fourcc;
    std::uint32_t stride = 0;  ///< Of the first plane; 0: the driver's to choose.
};

class Camera {
public:
    /// Opens, sets format and rate, applies the fence options. Fails with a sentence.
    static Attempt<Camera> open(const CameraChoices& choices);

    const std::string& device() const { return choices_.device; }
    const VideoFile& file() const { return file_; }
    const CaptureFormat& format() const { return format_; }
    const QueueFences& fences() const { return fences_; }
    const std::string& card() const { return card_; }
    const std::string& driver() const { return driver_; }
    const std::string& bus() const { return bus_; }

    /// Another format, while there are no buffers; the driver may choose another size or stride
    /// than was wished for. The rate is asked for again. Fails with a sentence.
    Attempt<> change_format(const FormatWish& wish);

    /// Those that the driver lists for its queue, in its order.
    std::vector<std::uint32_t> formats() const;

    /// Of its present format, where the driver lists sizes one by one.
    std::vector<ImageSize> sizes() const;

    /// Buffers the driver wants before it yields frames, as far as it tells: what REQBUFS makes of
    /// 1, and the control that codecs have. Uses the queue: call it before buffers are asked for.
    Attempt<unsigned> driver_minimum() const;

    /// Colour bars that do not move: vivid's first test pattern.
    bool shows_colour_bars() const;

    /// The provider may have changed on the way (a bound ran out); so may the order.
    Attempt<QueueFences> query_fences() const;

private:
    Camera(VideoFile file, const CameraChoices& choices)
        : file_(std::move(file)), choices_(choices) {}

    Attempt<> identify();
    Attempt<> agree_format(const FormatWish& wish);
    void agree_rate();
    Attempt<> run_free() const;
    Attempt<> choose_fences();
    std::optional<std::uint32_t> find_control(const char* name) const;
    std::optional<std::int32_t> control_named(const char* name) const;

    VideoFile file_;
    CameraChoices choices_;
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
