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

void ask_format(v4l2_format& request, bool multiplanar, const StreamChoices& options) {
    if (multiplanar) {
        v4l2_pix_format_mplane& pix = request.fmt.pix_mp;
        if (options.size) {
            pix.width = options.size->width;
            pix.height = options.size->height;
        }
        pix.pixelformat = options.fourcc.value_or(+pix.pixelformat);
        // The driver's to choose: what is left from the last format would be a minimum.
        std::memset(pix.plane_fmt, 0, sizeof(pix.plane_fmt));
        return;
    }
    v4l2_pix_format& pix = request.fmt.pix;
    if (options.size) {
        pix.width = options.size->width;
        pix.height = options.size->height;
    }
    pix.pixelformat = options.fourcc.value_or(+pix.pixelformat);
    pix.bytesperline = 0;
    pix.sizeimage = 0;
}

}  // namespace

Attempt<Camera> Camera::open(const StreamChoices& options) {
    auto file =
        VideoFile::open(options.device, options.raw ? VideoCalls::Plain : VideoCalls::Library);
    if (!file) {
        return cannot_open(options.device, file.error().code);
    }
    Camera camera(std::move(*file));
    if (auto done = camera.identify(options.device); !done) {
        return tl::unexpected(done.error());
    }
    if (auto done = camera.agree_format(options); !done) {
        return tl::unexpected(done.error());
    }
    camera.agree_rate(options);
    if (auto done = camera.run_free(options); !done) {
        return tl::unexpected(done.error());
    }
    if (auto done = camera.choose_fences(options); !done) {
        return tl::unexpected(done.error());
    }
    return camera;
}

Attempt<> Camera::identify(const std::string& path) {
    v4l2_capability capability{};
    if (const auto asked = file_.ioctl(VIDIOC_QUERYCAP, &capability); !asked) {
        return wrong_usage(
            fmt::format("{} is not a V4L2 device: {}.", path, errno_text(asked.error().code)));
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
            "{} ({}) captures no video. `v4lfence devices` shows the kind of each device.", path,
            card_));
    }
    if ((caps & V4L2_CAP_STREAMING) == 0) {
        return wrong_usage(
            fmt::format("{} ({}) can only be read(), it has no buffers to queue.", path, card_));
    }
    return {};
}

Attempt<> Camera::agree_format(const StreamChoices& options) {
    v4l2_format request{};
    request.type = format_.type;
    if (const auto asked = file_.ioctl(VIDIOC_G_FMT, &request); !asked) {
        return job_failed(fmt::format("{} does not tell its format: {}.", options.device,
                                      errno_text(asked.error().code)));
    }
    if (options.size || options.fourcc) {
        ask_format(request, format_.multiplanar(), options);
        if (const auto set = file_.ioctl(VIDIOC_S_FMT, &request); !set) {
            return job_failed(fmt::format(
                "{} refused the format: {}.{}", options.device, errno_text(set.error().code),
                set.error().code == -EBUSY ? " Another program is using it." : ""));
        }
    }
    take_format(format_, request);
    if (options.fourcc && *options.fourcc != format_.fourcc) {
        return machine_lacks(fmt::format(
            "{} does not have the format {} (it offers {} instead). `v4lfence devices {}` lists "
            "its formats.",
            options.device, fourcc_text(*options.fourcc), fourcc_text(format_.fourcc),
            options.device));
    }
    return {};
}

void Camera::agree_rate(const StreamChoices& options) {
    v4l2_streamparm parameters{};
    parameters.type = format_.type;
    v4l2_fract& interval = parameters.parm.capture.timeperframe;
    const auto& wanted = options.rate.per_second;
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

Attempt<> Camera::run_free(const StreamChoices& options) const {
    const auto id = find_control("Free Running");
    if (!id && options.rate.free_running) {
        return wrong_usage(fmt::format(
            "--rate free: {} (driver {}) cannot run free, only a virtual camera can. Give a number "
            "of frames a second, or take virtual:camera.",
            options.device, driver_));
    }
    if (!id) {
        return {};
    }
    v4l2_control control{};
    control.id = *id;
    control.value = options.rate.free_running ? 1 : 0;
    if (const auto set = file_.ioctl(VIDIOC_S_CTRL, &control); !set) {
        return job_failed(fmt::format("--rate: {} refused it: {}.", options.device,
                                      errno_text(set.error().code)));
    }
    return {};
}

Attempt<> Camera::choose_fences(const StreamChoices& options) {
    if (!options.fenced()) {
        return {};
    }
    if (options.provider && v4lfence_set_provider(file_.fd(), options.provider->c_str()) < 0) {
        const int code = errno;
        if (code == EINVAL) {
            return wrong_usage(fmt::format(
                "--fences {}: there is no such provider. It is auto, user, eventfd, vgem or "
                "sw_sync.",
                *options.provider));
        }
        const char* reason = v4lfence_provider_reason(options.provider->c_str());
        return machine_lacks(fmt::format("--fences {}: {}", *options.provider,
                                         reason != nullptr ? reason : errno_text(code)));
    }
    if (options.deadline_ms != 0 && v4lfence_set_deadline(file_.fd(), options.deadline_ms) < 0) {
        return job_failed(
            fmt::format("--deadline {}: {}.", options.deadline_ms, errno_text(errno)));
    }
    auto queried = query_fences();
    if (!queried) {
        return tl::unexpected(queried.error());
    }
    fences_ = std::move(*queried);
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
