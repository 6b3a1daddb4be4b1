// SPDX-License-Identifier: MIT
//
// A dma-buf of another V4L2 device, for tests of layers that know none.

#pragma once

#include <fcntl.h>
#include <linux/videodev2.h>

#include <cstring>
#include <string>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence::testing {

/// Errors: ENODEV no vivid here.
inline Result<UniqueFd> open_vivid_capture() {
    constexpr int nodes_max = 64;
    for (int node = 0; node < nodes_max; ++node) {
        auto video = sys::open(("/dev/video" + std::to_string(node)).c_str(), O_RDWR);
        v4l2_capability capability{};
        if (video && sys::ioctl(video->get(), VIDIOC_QUERYCAP, &capability) &&
            std::strcmp(reinterpret_cast<const char*>(capability.driver), "vivid") == 0 &&
            (capability.device_caps & V4L2_CAP_VIDEO_CAPTURE) != 0) {
            return video;
        }
    }
    return fail(-ENODEV, "module vivid is not loaded: no capture node of it");
}

/// The memory of a buffer of vivid, which no queue has any more. `flags` as VIDIOC_EXPBUF.
inline Result<UniqueFd> vivid_dma_buf(unsigned flags) {
    const UniqueFd video = V4LFENCE_TRY(open_vivid_capture());
    v4l2_requestbuffers request{};
    request.count = 1;
    request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    request.memory = V4L2_MEMORY_MMAP;
    V4LFENCE_TRY(sys::ioctl(video.get(), VIDIOC_REQBUFS, &request));
    v4l2_exportbuffer exported{};
    exported.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    exported.flags = flags | O_CLOEXEC;
    V4LFENCE_TRY(sys::ioctl(video.get(), VIDIOC_EXPBUF, &exported));
    return UniqueFd(exported.fd);
}

}  // namespace v4lfence::testing
