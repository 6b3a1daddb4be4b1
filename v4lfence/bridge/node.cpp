// SPDX-License-Identifier: MIT

#include "v4lfence/bridge/node.hpp"

#include <linux/videodev2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// Capture drivers known to finish buffers in another order than they took them.
constexpr std::string_view unordered_drivers[] = {"cobalt"};

/// Of which QUERYBUF tells nothing.
constexpr std::string_view silent_drivers[] = {"v4l2 loopback"};

/// Formats with references between frames: a codec that reads or writes one may return frames in
/// another order.
constexpr std::array inter_frame_formats = {
    V4L2_PIX_FMT_MPEG,
    V4L2_PIX_FMT_MPEG1,
    V4L2_PIX_FMT_MPEG2,
    V4L2_PIX_FMT_MPEG2_SLICE,
    V4L2_PIX_FMT_MPEG4,
    V4L2_PIX_FMT_H263,
    V4L2_PIX_FMT_H264,
    V4L2_PIX_FMT_H264_NO_SC,
    V4L2_PIX_FMT_H264_MVC,
    V4L2_PIX_FMT_H264_SLICE,
    V4L2_PIX_FMT_HEVC,
    V4L2_PIX_FMT_HEVC_SLICE,
    V4L2_PIX_FMT_XVID,
    V4L2_PIX_FMT_VC1_ANNEX_G,
    V4L2_PIX_FMT_VC1_ANNEX_L,
    V4L2_PIX_FMT_VP8,
    V4L2_PIX_FMT_VP8_FRAME,
    V4L2_PIX_FMT_VP9,
    V4L2_PIX_FMT_VP9_FRAME,
    v4l2_fourcc('A', 'V', '0', '1'),
    v4l2_fourcc('A', 'V', '1', 'F'),
};

bool is_inter_frame(std::uint32_t format) {
    return std::find(inter_frame_formats.begin(), inter_frame_formats.end(), format) !=
           inter_frame_formats.end();
}

bool is_multiplanar(std::uint32_t type) {
    return type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE || type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
}

/// 0 when the queue does not exist.
std::uint32_t current_format(int fd, std::uint32_t type) {
    v4l2_format format{};
    format.type = type;
    if (!sys::ioctl_retry(fd, VIDIOC_G_FMT, &format)) {
        return 0;
    }
    return is_multiplanar(type) ? format.fmt.pix_mp.pixelformat : format.fmt.pix.pixelformat;
}

/// Which capabilities stand for a queue of a buffer type, by the type's number.
constexpr std::array<std::uint32_t, V4L2_BUF_TYPE_META_OUTPUT + 1> queue_capabilities = {
    0,
    V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_M2M,
    V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_VIDEO_M2M,
    0,  // overlays have no buffers
    V4L2_CAP_VBI_CAPTURE,
    V4L2_CAP_VBI_OUTPUT,
    V4L2_CAP_SLICED_VBI_CAPTURE,
    V4L2_CAP_SLICED_VBI_OUTPUT,
    0,
    V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_VIDEO_M2M_MPLANE,
    V4L2_CAP_VIDEO_OUTPUT_MPLANE | V4L2_CAP_VIDEO_M2M_MPLANE,
    V4L2_CAP_SDR_CAPTURE,
    V4L2_CAP_SDR_OUTPUT,
    V4L2_CAP_META_CAPTURE,
    V4L2_CAP_META_OUTPUT,
};

std::uint32_t node_capabilities(const v4l2_capability& caps) {
    return (caps.capabilities & V4L2_CAP_DEVICE_CAPS) ? caps.device_caps : caps.capabilities;
}

struct Node {
    bool known = false;
    bool listed_unordered = false;
    bool listed_silent = false;
    bool m2m = false;
    bool multiplanar = false;
};

bool is_listed(std::span<const std::string_view> drivers, std::string_view driver) {
    return std::find(drivers.begin(), drivers.end(), driver) != drivers.end();
}

Node identify(int fd) {
    v4l2_capability caps{};
    if (!sys::ioctl_retry(fd, VIDIOC_QUERYCAP, &caps)) {
        return {};
    }
    const auto* name = reinterpret_cast<const char*>(caps.driver);
    const std::string_view driver(name, strnlen(name, sizeof caps.driver));
    const std::uint32_t mine = node_capabilities(caps);
    return Node{true, is_listed(unordered_drivers, driver), is_listed(silent_drivers, driver),
                (mine & (V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE)) != 0,
                (mine & V4L2_CAP_VIDEO_M2M_MPLANE) != 0};
}

}  // namespace

Result<> check_kernel_queue(int fd, std::uint32_t buffer_type) {
    v4l2_capability caps{};
    V4LFENCE_TRY(sys::ioctl_retry(fd, VIDIOC_QUERYCAP, &caps));
    const bool exists = buffer_type < queue_capabilities.size() &&
                        (node_capabilities(caps) & queue_capabilities[buffer_type]) != 0;
    if (!exists) {
        return fail(-EINVAL, "no queue of this buffer type");
    }
    return {};
}

bool kernel_queue_is_ordered(int fd) {
    const Node node = identify(fd);
    if (!node.known || node.listed_unordered) {
        return false;
    }
    if (!node.m2m) {
        return true;
    }
    // A codec is one by the format of either side.
    const auto capture =
        node.multiplanar ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
    const auto output =
        node.multiplanar ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT;
    return !is_inter_frame(current_format(fd, capture)) &&
           !is_inter_frame(current_format(fd, output));
}

bool kernel_shows_buffer_states(int fd) {
    return !identify(fd).listed_silent;
}

bool kernel_queue_is_always_ordered(int fd, std::uint32_t buffer_type) {
    const Node node = identify(fd);
    if (!node.known || node.listed_unordered) {
        return false;
    }
    if (!node.m2m) {
        return true;
    }
    v4l2_fmtdesc entry{};
    entry.type = buffer_type;
    while (sys::ioctl_retry(fd, VIDIOC_ENUM_FMT, &entry)) {
        if (is_inter_frame(entry.pixelformat)) {
            return false;
        }
        ++entry.index;
    }
    return true;
}

}  // namespace v4lfence
