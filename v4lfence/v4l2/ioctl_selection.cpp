// SPDX-License-Identifier: MIT
//
// Selection, and the older crop ioctls made of it.

#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/handlers.hpp"

namespace v4lfence::ioctls {

namespace {

/// The single-planar type of a direction. These ioctls take either.
std::uint32_t plain_type(std::uint32_t type) {
    switch (type) {
    case V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE:
        return V4L2_BUF_TYPE_VIDEO_CAPTURE;
    case V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE:
        return V4L2_BUF_TYPE_VIDEO_OUTPUT;
    default:
        return type;
    }
}

using Operation = Result<> (DeviceOps::*)(v4l2_selection&);

/// The type that the program gave is what it gets back.
Result<> transfer(FileHandle& file, Operation operation, v4l2_selection& selection) {
    VideoDevice& device = file.device();
    const std::uint32_t type = selection.type;
    if (plain_type(type) != plain_type(device.buffer_type())) {
        return fail(-EINVAL, "the device has no picture of this type");
    }
    selection.type = plain_type(type);
    const auto result = (device.ops().*operation)(selection);
    selection.type = type;
    return result;
}

/// What the old ioctls called cropping happens to the picture that enters or leaves memory: on
/// output devices that is composing.
struct Targets {
    std::uint32_t active;
    std::uint32_t bounds;
    std::uint32_t standard;
};

Targets targets_of(const FileHandle& file) {
    if (file.device().is_output()) {
        return {V4L2_SEL_TGT_COMPOSE, V4L2_SEL_TGT_COMPOSE_BOUNDS, V4L2_SEL_TGT_COMPOSE_DEFAULT};
    }
    return {V4L2_SEL_TGT_CROP, V4L2_SEL_TGT_CROP_BOUNDS, V4L2_SEL_TGT_CROP_DEFAULT};
}

Result<v4l2_rect> rectangle(FileHandle& file, std::uint32_t type, std::uint32_t target) {
    v4l2_selection selection{};
    selection.type = type;
    selection.target = target;
    V4LFENCE_TRY(transfer(file, &DeviceOps::g_selection, selection));
    return selection.r;
}

}  // namespace

Result<> g_selection(FileHandle& file, Call& call) {
    return transfer(file, &DeviceOps::g_selection, call.as<v4l2_selection>());
}

Result<> s_selection(FileHandle& file, Call& call) {
    return transfer(file, &DeviceOps::s_selection, call.as<v4l2_selection>());
}

Result<> cropcap(FileHandle& file, Call& call) {
    auto& cropcap = call.as<v4l2_cropcap>();
    const Targets targets = targets_of(file);
    cropcap.bounds = V4LFENCE_TRY(rectangle(file, cropcap.type, targets.bounds));
    cropcap.defrect = V4LFENCE_TRY(rectangle(file, cropcap.type, targets.standard));
    cropcap.pixelaspect = file.device().ops().g_pixelaspect();
    return {};
}

Result<> g_crop(FileHandle& file, Call& call) {
    auto& crop = call.as<v4l2_crop>();
    crop.c = V4LFENCE_TRY(rectangle(file, crop.type, targets_of(file).active));
    return {};
}

Result<> s_crop(FileHandle& file, Call& call) {
    const auto& crop = call.as<v4l2_crop>();
    v4l2_selection selection{};
    selection.type = crop.type;
    selection.target = targets_of(file).active;
    selection.r = crop.c;
    return transfer(file, &DeviceOps::s_selection, selection);
}

}  // namespace v4lfence::ioctls
