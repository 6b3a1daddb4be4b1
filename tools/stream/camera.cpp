// SPDX-License-Identifier: MIT

#include "tools/stream/camera.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tools/video/names.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

tl::unexpected<Failure> cannot_open(const std::string& path, int code) {
    if (code == -ENOENT || code == -ENODEV || code == -ENXIO) {
        return machine_lacks(
            fmt::format("{} does not exist here: {}. `v4lfence devices` lists what there is; "
                        "virtual:camera is always there.",
                        path, errno_text(code)));
    }
    if (code == -EACCES || code == -EPERM) {
        return job_failed(fmt::format(
            "{} cannot be opened: {}. Become a member of the group `video`, or run it as root.",
            path, errno_text(code)));
    }
    return job_failed(fmt::format("{} cannot be opened: {}.", path, errno_text(code)));
}

void take_format(CaptureFormat& format, const v4l2_format& agreed) {
    format.planes.clear();
    if (!format.multiplanar()) {
        const v4l2_pix_format& pix = agreed.fmt.pix;
        format.fourcc = pix.pixelformat;
        format.size = {pix.width, pix.height};
        format.planes.push_back({pix.bytesperline, pix.sizeimage});
        return;
    }
    const v4l2_pix_format_mplane& pix = agreed.fmt.pix_mp;
    format.fourcc = pix.pixelformat;
    format.size = {pix.width, pix.height};
    for (unsigned plane = 0; plane < pix.num_planes; ++plane) {
        format.planes.push_back(
            {pix.plane_fmt[plane].bytesperline, pix.plane_fmt[plane].sizeimage});
    }
}

void ask_format(v4l2_format& request, bool multiplanar, const FormatWish& wish) {
    if (multiplanar) {
        v4l2_pix_format_mplane& pix = request.fmt.pix_mp;
        if (wish.size) {
            pix.width = wish.size->width;
            pix.height = wish.size->height;
        }
        pix.pixelformat = wish.fourcc.value_or(+pix.pixelformat);
        // The driver's to choose: what is left from the last format would be a minimum.
        std::memset(pix.plane_fmt, 0, sizeof(pix.plane_fmt));
        pix.plane_fmt[0].bytesperline = wish.stride;
        return;
    }
    v4l2_pix_format& pix = request.fmt.pix;
    if (wish.size) {
        pix.width = wish.size->width;
        pix.height = wish.size->height;
    }
    pix.pixelformat = wish.fourcc.value_or(+pix.pixelformat);
    pix.bytesperline = wish.stride;
    pix.sizeimage = 0;
}

}  // namespace

Attempt<Camera> Camera::open(const CameraChoices& choices) {
    auto file = VideoFile::open(choices.device, choices.calls);
    if (!file) {
        return cannot_open(choices.device, file.error().code);
    }
    Camera camera(std::move(*file), choices);
    if (auto done = camera.identify(); !done) {
        return tl::unexpected(done.error());
    }
    if (auto done = camera.agree_format({choices.size, choices.fourcc, 0}); !done) {
        return tl::unexpected(done.error());
    }
    camera.agree_rate();
    if (auto done = camera.run_free(); !done) {
        return tl::unexpected(done.error());
    }
    if (auto done = camera.choose_fences(); !done) {
        return tl::unexpected(done.error());
    }
    return camera;
}

Attempt<> Camera::identify() {
    v4l2_capability capability{};
    if (const auto asked = file_.ioctl(VIDIOC_QUERYCAP, &capability); !asked) {
        return wrong_usage(
            fmt::format("{} is not a V4L2 device: {}.", device(), errno_text(asked.error().code)));
    }
    card_ = field_text(capability.card);
    driver_ = field_text(capability.driver);
    bus_ = field_text(capability.bus_info);
    const std::uint32_t caps = (capability.capabilities & V4L2_CAP_DEVICE_CAPS) != 0
                                   ? capability.device_caps
                                   : capability.capabilities;
    if ((caps & V4L2_CAP_VIDEO_CAPTURE_MPLANE) != 0) {
        format_.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    } else if ((caps & V4L2_CAP_VIDEO_CAPTURE) != 0) {
        format_.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    } else {
        return wrong_usage(fmt::format(
            "{} ({}) captures no video. `v4lfence devices` shows the kind of each device.",
            device(), card_));
    }
    if ((caps & V4L2_CAP_STREAMING) == 0) {
        return wrong_usage(fmt::format("{} ({}) can only be read(), it has no buffers to queue.",
                                       device(), card_));
    }
    return {};
}

Attempt<> Camera::agree_format(const FormatWish& wish) {
    v4l2_format request{};
    request.type = format_.type;
    if (const auto asked = file_.ioctl(VIDIOC_G_FMT, &request); !asked) {
        return job_failed(fmt::format("{} does not tell its format: {}.", device(),
                                      errno_text(asked.error().code)));
    }
    if (wish.size || wish.fourcc || wish.stride != 0) {
        ask_format(request, format_.multiplanar(), wish);
        if (const auto set = file_.ioctl(VIDIOC_S_FMT, &request); !set) {
            return job_failed(
                fmt::format("{} refused the format: {}.{}", device(), errno_text(set.error().code),
                            set.error().code == -EBUSY ? " Another program is using it." : ""));
        }
    }
    take_format(format_, request);
    if (wish.fourcc && *wish.fourcc != format_.fourcc) {
        return machine_lacks(fmt::format(
            "{} does not have the format {} (it offers {} instead). `v4lfence devices {}` lists "
            "its formats.",
            device(), fourcc_text(*wish.fourcc), fourcc_text(format_.fourcc), device()));
    }
    return {};
}

Attempt<> Camera::change_format(const FormatWish& wish) {
    auto agreed = agree_format(wish);
    if (agreed) {
        agree_rate();
    }
    return agreed;
}

std::vector<std::uint32_t> Camera::formats() const {
    std::vector<std::uint32_t> list;
    v4l2_fmtdesc entry{};
    entry.type = format_.type;
    while (file_.ioctl(VIDIOC_ENUM_FMT, &entry)) {
        list.push_back(entry.pixelformat);
        ++entry.index;
    }
    return list;
}

std::vector<ImageSize> Camera::sizes() const {
    std::vector<ImageSize> list;
    v4l2_frmsizeenum entry{};
    entry.pixel_format = format_.fourcc;
    while (file_.ioctl(VIDIOC_ENUM_FRAMESIZES, &entry) &&
           entry.type == V4L2_FRMSIZE_TYPE_DISCRETE) {
        list.push_back({entry.discrete.width, entry.discrete.height});
        ++entry.index;
    }
    return list;
}

void Camera::agree_rate() {
    v4l2_streamparm parameters{};
    parameters.type = format_.type;
    v4l2_fract& interval = parameters.parm.capture.timeperframe;
    const auto& wanted = choices_.rate.per_second;
    if (wanted) {
        constexpr std::uint32_t precision = 1000;
        interval.numerator = precision;
        interval.denominator = static_cast<std::uint32_t>(std::lround(*wanted * precision));
    }
    const auto asked = file_.ioctl(wanted ? VIDIOC_S_PARM : VIDIOC_G_PARM, &parameters);
    if (asked && interval.numerator != 0) {
        format_.rate = double(interval.denominator) / interval.numerator;
    }
}

Attempt<> Camera::run_free() const {
    const auto id = find_control("Free Running");
    if (!id && choices_.rate.free_running) {
        return wrong_usage(fmt::format(
            "--rate free: {} (driver {}) cannot run free, only a virtual camera can. Give a number "
            "of frames a second, or take virtual:camera.",
            device(), driver_));
    }
    if (!id) {
        return {};
    }
    v4l2_control control{};
    control.id = *id;
    control.value = choices_.rate.free_running ? 1 : 0;
    if (const auto set = file_.ioctl(VIDIOC_S_CTRL, &control); !set) {
        return job_failed(
            fmt::format("--rate: {} refused it: {}.", device(), errno_text(set.error().code)));
    }
    return {};
}

Attempt<> Camera::choose_fences() {
    if (!choices_.fenced) {
        return {};
    }
    const auto& provider = choices_.provider;
    if (provider && v4lfence_set_provider(file_.fd(), provider->c_str()) < 0) {
        const int code = errno;
        if (code == EINVAL) {
            return wrong_usage(fmt::format(
                "--fences {}: there is no such provider. It is auto, user, eventfd, vgem or "
                "sw_sync.",
                *provider));
        }
        const char* reason = v4lfence_provider_reason(provider->c_str());
        return machine_lacks(fmt::format("--fences {}: {}", *provider,
                                         reason != nullptr ? reason : errno_text(code)));
    }
    const unsigned deadline_ms = choices_.deadline_ms;
    if (deadline_ms != 0 && v4lfence_set_deadline(file_.fd(), deadline_ms) < 0) {
        return job_failed(fmt::format("--deadline {}: {}.", deadline_ms, errno_text(errno)));
    }
    auto queried = query_fences();
    if (!queried) {
        return tl::unexpected(queried.error());
    }
    fences_ = std::move(*queried);
    if (choices_.fence_names && !fences_.kernel_waitable) {
        return wrong_usage(fmt::format(
            "--fence-names: fences of {} have no names, only those of vgem and sw_sync have: add "
            "--fences vgem.",
            fences_.provider));
    }
    if (choices_.fence_names && v4lfence_set_fence_names(file_.fd(), 1) < 0) {
        return job_failed(fmt::format("--fence-names: {}.", errno_text(errno)));
    }
    return {};
}

Attempt<QueueFences> Camera::query_fences() const {
    v4l2_query_fences query{};
    query.size = sizeof(query);
    query.type = format_.type;
    if (const auto asked = file_.ioctl(VIDIOC_QUERY_FENCES, &query); !asked) {
        return job_failed(fmt::format("the device does not answer about fences: {}.",
                                      errno_text(asked.error().code)));
    }
    return QueueFences{
        (query.features & V4L2_FENCES_ORDERED) != 0, (query.features & V4L2_FENCES_ERRORS) != 0,
        (query.features & V4L2_FENCES_KERNEL_WAITABLE) != 0, query.bound_ms,
        std::string(query.provider, ::strnlen(query.provider, sizeof(query.provider)))};
}

Attempt<unsigned> Camera::driver_minimum() const {
    v4l2_requestbuffers request{};
    request.count = 1;
    request.type = format_.type;
    request.memory = V4L2_MEMORY_MMAP;
    if (const auto asked = file_.ioctl(VIDIOC_REQBUFS, &request); !asked) {
        return job_failed(fmt::format(
            "the device gives no buffers: {}.{}", errno_text(asked.error().code),
            asked.error().code == -EBUSY ? " Another program is streaming from it." : ""));
    }
    unsigned minimum = std::max(request.count, 1U);
    request.count = 0;
    if (const auto freed = file_.ioctl(VIDIOC_REQBUFS, &request); !freed) {
        return job_failed(fmt::format("the device does not take its buffers back: {}.",
                                      errno_text(freed.error().code)));
    }
    v4l2_control control{};
    control.id = V4L2_CID_MIN_BUFFERS_FOR_CAPTURE;
    if (file_.ioctl(VIDIOC_G_CTRL, &control) && control.value > 0) {
        minimum = std::max(minimum, static_cast<unsigned>(control.value));
    }
    return minimum;
}

std::optional<std::uint32_t> Camera::find_control(const char* name) const {
    v4l2_queryctrl query{};
    query.id = V4L2_CTRL_FLAG_NEXT_CTRL;
    while (file_.ioctl(VIDIOC_QUERYCTRL, &query)) {
        if (field_text(query.name) == name) {
            return query.id;
        }
        query.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
    }
    return std::nullopt;
}

std::optional<std::int32_t> Camera::control_named(const char* name) const {
    const auto id = find_control(name);
    v4l2_control control{};
    control.id = id.value_or(0);
    return id && file_.ioctl(VIDIOC_G_CTRL, &control) ? std::optional(control.value) : std::nullopt;
}

bool Camera::shows_colour_bars() const {
    // The third speed is "no movement".
    return driver_ == "vivid" && control_named("Test Pattern") == 0 &&
           control_named("Horizontal Movement").value_or(3) == 3;
}

bool stamps_frames(const Camera& camera) {
    return camera.driver() == "v4lfence";
}

bool paints_numbers(const Camera& camera) {
    return camera.driver() == "uvcvideo" &&
           camera.card().find("Software UVC camera") != std::string::npos;
}

}  // namespace v4lfence
