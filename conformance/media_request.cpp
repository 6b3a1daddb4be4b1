// SPDX-License-Identifier: MIT

#include "conformance/media_request.hpp"

#include <fcntl.h>
#include <linux/media.h>
#include <linux/videodev2.h>

#include <cstring>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr int media_nodes_max = 16;

/// What the node and its video devices have in common.
bool is_at(int media, const v4l2_capability& video) {
    media_device_info info{};
    return sys::ioctl_retry(media, MEDIA_IOC_DEVICE_INFO, &info) &&
           std::strncmp(info.bus_info, reinterpret_cast<const char*>(video.bus_info),
                        sizeof(info.bus_info)) == 0;
}

}  // namespace

Checked<MediaRequest> MediaRequest::allocate(const Device& device) {
    v4l2_capability video{};
    TRY(answers(device.ioctl(VIDIOC_QUERYCAP, &video), 0, "QUERYCAP"));
    for (int number = 0; number < media_nodes_max; ++number) {
        const auto media = sys::open(fmt::format("/dev/media{}", number).c_str(), O_RDWR);
        if (!media || !is_at(media->get(), video)) {
            continue;
        }
        int request = -1;
        const auto made = sys::ioctl_retry(media->get(), MEDIA_IOC_REQUEST_ALLOC, &request);
        if (!made) {
            return skipped("the media device has no requests");
        }
        return MediaRequest(UniqueFd(request));
    }
    return skipped("the device is no part of a media device");
}

Checked<> MediaRequest::queue() const {
    const auto queued = sys::ioctl_retry(fd_.get(), MEDIA_REQUEST_IOC_QUEUE, nullptr);
    return answers(queued ? 0 : queued.error().code, 0, "MEDIA_REQUEST_IOC_QUEUE");
}

}  // namespace v4lfence
