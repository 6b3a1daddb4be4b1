// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/testing/camera_rig.hpp"

#include <algorithm>
#include <cstdlib>

namespace v4lfence::testing {

CameraRig::CameraRig(CameraOptions options) {
    options.pacer = &pacer_;
    auto camera = make_camera(options);
    auto device = camera ? VideoDevice::create(std::move(*camera), core_, makers_)
                         : tl::unexpected(camera.error());
    if (!device) {
        std::abort();
    }
    device_ = std::move(*device);
}

v4l2_format CameraRig::format() {
    v4l2_format format{};
    format.type = device_->buffer_type();
    static_cast<void>(ops().g_fmt(format));
    return format;
}

Result<> CameraRig::set_format(std::uint32_t fourcc, std::uint32_t width, std::uint32_t height) {
    v4l2_format format{};
    format.type = device_->buffer_type();
    if (device_->multi_planar()) {
        format.fmt.pix_mp.pixelformat = fourcc;
        format.fmt.pix_mp.width = width;
        format.fmt.pix_mp.height = height;
    } else {
        format.fmt.pix.pixelformat = fourcc;
        format.fmt.pix.width = width;
        format.fmt.pix.height = height;
    }
    return ops().s_fmt(format);
}

Result<> CameraRig::set_interval(v4l2_fract interval) {
    v4l2_streamparm parm{};
    parm.type = device_->buffer_type();
    parm.parm.capture.timeperframe = interval;
    return ops().s_parm(parm);
}

Result<> CameraRig::set_control(std::uint32_t id, std::int32_t value) {
    v4l2_control control{id, value};
    return device_->controls()->set(control, nullptr);
}

std::int64_t CameraRig::control(std::uint32_t id) {
    const auto value = ops().g_volatile_ctrl(id);
    return value ? *value : device_->controls()->value(id);
}

Result<> CameraRig::request(unsigned count) {
    V4LFENCE_TRY(queue().request_buffers(MemoryKind::Mmap, count));
    return {};
}

Result<> CameraRig::enqueue(unsigned index) {
    BufferSettings settings;
    settings.plane_count = V4LFENCE_TRY(queue().query(index)).plane_count;
    const FileOptions options;
    V4LFENCE_TRY(queue().queue(index, settings, {}, options));
    return {};
}

bool CameraRig::stream(unsigned count) {
    if (!request(count)) {
        return false;
    }
    for (unsigned index = 0; index < queue().count(); ++index) {
        if (!enqueue(index)) {
            return false;
        }
    }
    return queue().stream_on() && pacer_.settle();
}

std::span<std::byte> CameraRig::bytes(unsigned index, unsigned plane) {
    const auto report = queue().query(index);
    const auto mappable = queue().mappable(report->planes[plane].offset);
    return mappable->plane->bytes().first(report->planes[plane].length);
}

}  // namespace v4lfence::testing
