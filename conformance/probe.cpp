// SPDX-License-Identifier: MIT

#include "conformance/probe.hpp"

#include <linux/sync_file.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "conformance/bounded.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// Smaller pictures are rare, and some drivers round them up.
constexpr unsigned side_min = 64;

/// How long a frame may take before it counts as one that never comes. Too short only makes the
/// minimum too large.
constexpr int no_frame_ms = 2500;

struct Size {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
};

struct PixelFormat {
    std::uint32_t fourcc = 0;
};

std::optional<Size> smallest_size(const Device& device, PixelFormat format) {
    std::optional<Size> best;
    v4l2_frmsizeenum sizes{};
    sizes.pixel_format = format.fourcc;
    for (; device.ioctl(VIDIOC_ENUM_FRAMESIZES, &sizes) == 0; ++sizes.index) {
        if (sizes.type != V4L2_FRMSIZE_TYPE_DISCRETE) {
            const auto& range = sizes.stepwise;
            return Size{std::clamp(320U, range.min_width, range.max_width),
                        std::clamp(180U, range.min_height, range.max_height)};
        }
        const Size size{sizes.discrete.width, sizes.discrete.height};
        const bool large_enough = size.width >= side_min && size.height >= side_min;
        if (large_enough && (!best || size.width * size.height < best->width * best->height)) {
            best = size;
        }
    }
    return best;
}

void set_fastest_rate(const Device& device, std::uint32_t type, PixelFormat format, Size size) {
    v4l2_frmivalenum rates{};
    rates.pixel_format = format.fourcc;
    rates.width = size.width;
    rates.height = size.height;
    v4l2_fract best{};
    for (; device.ioctl(VIDIOC_ENUM_FRAMEINTERVALS, &rates) == 0; ++rates.index) {
        const v4l2_fract rate =
            rates.type == V4L2_FRMIVAL_TYPE_DISCRETE ? rates.discrete : rates.stepwise.min;
        const bool faster = std::uint64_t{rate.numerator} * best.denominator <
                            std::uint64_t{best.numerator} * rate.denominator;
        if (best.denominator == 0 || faster) {
            best = rate;
        }
    }
    if (best.denominator != 0) {
        v4l2_streamparm parameters{};
        parameters.type = type;
        parameters.parm.capture.timeperframe = best;
        (void)device.ioctl(VIDIOC_S_PARM, &parameters);
    }
}

/// A device that refuses any of it streams as it is.
Checked<> set_small_and_fast(const Device& device, const Facts& facts) {
    v4l2_format format{};
    format.type = facts.type;
    TRY(answers(device.ioctl(VIDIOC_G_FMT, &format), 0, "G_FMT"));
    const PixelFormat pixels{facts.multi_planar ? format.fmt.pix_mp.pixelformat
                                                : format.fmt.pix.pixelformat};
    if (const auto size = smallest_size(device, pixels)) {
        if (facts.multi_planar) {
            format.fmt.pix_mp.width = size->width;
            format.fmt.pix_mp.height = size->height;
            std::memset(format.fmt.pix_mp.plane_fmt, 0, sizeof(format.fmt.pix_mp.plane_fmt));
        } else {
            format.fmt.pix.width = size->width;
            format.fmt.pix.height = size->height;
            format.fmt.pix.bytesperline = 0;
        }
        (void)device.ioctl(VIDIOC_S_FMT, &format);
        set_fastest_rate(device, facts.type, pixels, *size);
    }
    return {};
}

Checked<> count_buffers(const Device& device, Facts& facts) {
    constexpr unsigned wanted = 64;
    v4l2_requestbuffers request{};
    request.count = wanted;
    request.type = facts.type;
    request.memory = V4L2_MEMORY_MMAP;
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS of 64 buffers"));
    facts.buffers_max = request.count;
    constexpr std::uint32_t fences = V4L2_BUF_CAP_SUPPORTS_FENCES | V4L2_BUF_CAP_IS_ORDERED;
    facts.memory = request.capabilities & ~fences;
    facts.features =
        (request.capabilities & V4L2_BUF_CAP_IS_ORDERED) != 0 ? V4L2_FENCES_ORDERED : 0U;
    request.count = 0;
    return answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS of no buffers");
}

bool frame_comes(Stream& stream) {
    const int revents = stream.device().poll(POLLIN, no_frame_ms);
    return revents > 0 && (revents & POLLIN) != 0;
}

/// Queues one more buffer at a time until a frame comes, then fetches what comes without queueing.
Checked<> learn_minimum(Rig& rig, Facts& facts) {
    const unsigned count = std::min(8U, facts.buffers_max);
    Stream stream = TRY(Stream::open(rig, {.count = count, .fenced = false}));
    unsigned queued = 1;
    TRY(stream.queue(0));
    TRY(stream.start());
    while (!frame_comes(stream)) {
        CHECK(queued < count, "no frame came with {} buffers queued", queued);
        TRY(stream.queue(queued++));
    }
    facts.start_minimum = queued;
    facts.keeps = queued;
    while (facts.keeps > 0 && frame_comes(stream)) {
        TRY(stream.dequeue());
        --facts.keeps;
    }
    return stream.stop();
}

/// A stock kernel echoes the flags, so that only what has to fail proves anything.
Checked<bool> refuses_bad_in_fence(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    TRY(stream.queue(0));
    const int status = stream.try_queue(1, {.in = -1});
    CHECK(status == 0 || status == -EINVAL, "QBUF with the in-fence -1 answered {}",
          errno_name(status));
    return status == -EINVAL;
}

/// What the fences of a kernel are, whose word for it nobody knows yet.
Checked<> learn_kernel_fences(Rig& rig, Facts& facts) {
    facts.fenced = true;
    facts.provider = "kernel";
    facts.features |= V4L2_FENCES_IN | V4L2_FENCES_OUT;
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    TRY(stream.queue(0, {.out = true}));
    sync_file_info info{};
    if (sys::ioctl_retry(stream.out_fence(0), SYNC_IOC_FILE_INFO, &info)) {
        facts.features |= V4L2_FENCES_KERNEL_WAITABLE | V4L2_FENCES_ERRORS;
    }
    const UniqueFd ended = TRY(sys::eventfd(1, 0));
    facts.takes_pollables = stream.try_queue(1, {.in = ended.get()}) == 0;
    (void)stream.try_stop();
    if (!facts.takes_pollables && (rig.provider() == "user" || rig.provider() == "eventfd")) {
        return skipped(fmt::format(
            "in-fences of {} are no sync_files, which this device wants: --fences vgem or sw_sync",
            rig.provider()));
    }
    return {};
}

/// A preloaded program may get a connection more for each thread that calls at once, and keep it.
Checked<> learn_connections(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.open_flags = O_RDWR, .fenced = false}));
    TRY(stream.start());
    BoundedThread waiter([&stream]() -> Checked<> {
        (void)stream.try_dequeue();
        return {};
    });
    TRY(waiter.falls_asleep("a blocking DQBUF with nothing queued"));
    TRY(stream.stop());
    return waiter.finish("a blocking DQBUF after STREAMOFF");
}

/// Asks for the fences of the provider, and lets the library open what it keeps open.
Checked<> learn_fences(Rig& rig, Facts& facts) {
    Stream stream = TRY(Stream::open(rig, {.count = facts.needed()}));
    TRY(stream.queue(0, {.out = true}));
    v4l2_query_fences fences = rig.query();
    TRY(answers(stream.device().ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
    facts.features = fences.features;
    facts.provider.assign(fences.provider, ::strnlen(fences.provider, sizeof(fences.provider)));
    facts.bound_ms = fences.bound_ms;
    return stream.stop();
}

/// From here on `facts` says what any device shows; its fences come later.
Checked<Facts> look_at(const Device& device, const std::string& path) {
    v4l2_capability capability{};
    if (device.ioctl(VIDIOC_QUERYCAP, &capability) != 0) {
        return skipped(fmt::format("{} is no V4L2 device", path));
    }
    Facts facts;
    facts.driver = reinterpret_cast<const char*>(capability.driver);
    facts.card = reinterpret_cast<const char*>(capability.card);
    facts.type = capture_type(capability.device_caps);
    if (facts.type == 0) {
        return skipped(fmt::format("{} is no capture device", path));
    }
    if ((capability.device_caps & V4L2_CAP_STREAMING) == 0) {
        return skipped(fmt::format("{} has no buffers, only read()", path));
    }
    facts.multi_planar = facts.type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    facts.has_read = (capability.device_caps & V4L2_CAP_READWRITE) != 0;
    return facts;
}

}  // namespace

std::uint32_t capture_type(std::uint32_t device_caps) {
    if ((device_caps & V4L2_CAP_VIDEO_CAPTURE) != 0) {
        return V4L2_BUF_TYPE_VIDEO_CAPTURE;
    }
    if ((device_caps & V4L2_CAP_VIDEO_CAPTURE_MPLANE) != 0) {
        return V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    }
    return 0;
}

Checked<Facts> probe_device(const DeviceCalls& calls, const std::string& path,
                            const std::string& provider) {
    const int fd = calls.open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return skipped(fmt::format("cannot open {}: {}", path, errno_name(errno)));
    }
    Device device(calls, fd);
    Facts facts = TRY(look_at(device, path));
    v4l2_query_fences fences = Rig(calls, path, provider, facts).query();
    facts.query = device.ioctl(VIDIOC_QUERY_FENCES, &fences) != -ENOTTY;
    facts.fenced = facts.query;
    facts.takes_pollables = facts.query;
    if (facts.query) {
        TRY(FenceMaker::open(provider));
    }
    TRY(set_small_and_fast(device, facts));
    TRY(count_buffers(device, facts));
    (void)device.shut();

    Rig rig(calls, path, provider, facts);
    TRY(learn_minimum(rig, facts));
    Rig informed(calls, path, provider, facts);
    if (calls.preloaded) {
        TRY(learn_connections(informed));
    }
    if (facts.query) {
        TRY(learn_fences(informed, facts));
    } else if (TRY(refuses_bad_in_fence(informed))) {
        TRY(learn_kernel_fences(informed, facts));
        TRY(FenceMaker::open(provider));
    }
    return facts;
}

}  // namespace v4lfence
