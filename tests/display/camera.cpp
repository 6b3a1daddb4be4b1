// SPDX-License-Identifier: MIT

#include "tests/display/camera.hpp"

#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>

#include "tests/display/check.hpp"

namespace v4lfence::display {

namespace {

constexpr int patience_ms = 12'000;

void must_do(const api::File& file, unsigned long request, void* argument, const char* what) {
    if (const int status = file.ioctl(request, argument); status < 0) {
        give_up(status_wrong, "%s: %s", what, std::strerror(-status));
    }
}

}  // namespace

Camera::Camera(const char* device, Size size, unsigned rate_hz, std::span<const Picture> pictures)
    : file_(device, O_RDWR), pictures_(pictures) {
    if (!file_) {
        give_up(status_lacking, "%s: %s", device, std::strerror(errno));
    }
    if (v4lfence_set_provider(file_.fd(), "vgem") < 0) {
        give_up(status_lacking, "fences of vgem: %s", v4lfence_provider_reason("vgem"));
    }
    v4l2_format format{};
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    must_do(file_, VIDIOC_G_FMT, &format, "VIDIOC_G_FMT");
    v4l2_pix_format& pix = format.fmt.pix;
    pix.width = size.width;
    pix.height = size.height;
    pix.pixelformat = V4L2_PIX_FMT_XBGR32;
    pix.field = V4L2_FIELD_NONE;
    pix.bytesperline = pictures.front().pitch;
    pix.sizeimage = 0;
    must_do(file_, VIDIOC_S_FMT, &format, "VIDIOC_S_FMT");
    if (pix.width != size.width || pix.height != size.height ||
        pix.pixelformat != V4L2_PIX_FMT_XBGR32 || pix.bytesperline != pictures.front().pitch) {
        give_up(status_lacking, "%s has no %ux%u of four bytes a pixel", device, size.width,
                size.height);
    }
    v4l2_streamparm rate{};
    rate.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    rate.parm.capture.timeperframe = {1, rate_hz};
    must_do(file_, VIDIOC_S_PARM, &rate, "VIDIOC_S_PARM");
    v4l2_requestbuffers request{};
    request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    request.memory = V4L2_MEMORY_DMABUF;
    request.count = static_cast<std::uint32_t>(pictures.size());
    must_do(file_, VIDIOC_REQBUFS, &request, "VIDIOC_REQBUFS");
    if (request.count != pictures.size()) {
        give_up(status_lacking, "%s wants %u buffers", device, request.count);
    }
}

void Camera::leave_fences() {
    if (const int status = file_.set_implicit(V4LFENCE_IMPLICIT_OUT); status < 0) {
        give_up(status_lacking, "fences in dma-bufs: %s", std::strerror(-status));
    }
}

api::Fence Camera::queue(unsigned index, const api::Fence* in_fence) {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = V4L2_MEMORY_DMABUF;
    buffer.index = index;
    buffer.m.fd = pictures_[index].dma_buf.get();
    api::Fence out;
    if (const int status = file_.queue(buffer, in_fence, &out); status < 0) {
        give_up(status_wrong, "VIDIOC_QBUF: %s", std::strerror(-status));
    }
    return out;
}

void Camera::start() {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    must_do(file_, VIDIOC_STREAMON, &type, "VIDIOC_STREAMON");
}

Camera::Frame Camera::take() {
    pollfd entry{file_.fd(), POLLIN, 0};
    if (v4lfence_poll(&entry, 1, patience_ms) != 1) {
        give_up(status_wrong, "the camera sent no frame within %d ms", patience_ms);
    }
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = V4L2_MEMORY_DMABUF;
    must_do(file_, VIDIOC_DQBUF, &buffer, "VIDIOC_DQBUF");
    const auto seconds = static_cast<std::uint64_t>(buffer.timestamp.tv_sec);
    const auto microseconds = static_cast<std::uint64_t>(buffer.timestamp.tv_usec);
    return {buffer.index, buffer.sequence, seconds * 1'000'000'000 + microseconds * 1000,
            (buffer.flags & V4L2_BUF_FLAG_ERROR) != 0};
}

}  // namespace v4lfence::display
