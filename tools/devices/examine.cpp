// SPDX-License-Identifier: MIT

#include "tools/devices/examine.hpp"

#include <fmt/format.h>
#include <linux/videodev2.h>

#include "tools/video/file.hpp"
#include "tools/video/names.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {

namespace {

struct KindRule {
    std::uint32_t capability;
    const char* kind;
};

/// The first that matches names the node.
constexpr KindRule kind_rules[] = {
    {V4L2_CAP_TOUCH, "touch"},
    {V4L2_CAP_VIDEO_M2M_MPLANE, "m2m-mplane"},
    {V4L2_CAP_VIDEO_M2M, "m2m"},
    {V4L2_CAP_VIDEO_CAPTURE_MPLANE, "capture-mplane"},
    {V4L2_CAP_VIDEO_CAPTURE, "capture"},
    {V4L2_CAP_VIDEO_OUTPUT_MPLANE, "output-mplane"},
    {V4L2_CAP_VIDEO_OUTPUT, "output"},
    {V4L2_CAP_META_CAPTURE, "metadata"},
    {V4L2_CAP_META_OUTPUT, "metadata-output"},
    {V4L2_CAP_VBI_CAPTURE | V4L2_CAP_SLICED_VBI_CAPTURE, "vbi"},
    {V4L2_CAP_VBI_OUTPUT | V4L2_CAP_SLICED_VBI_OUTPUT, "vbi-output"},
    {V4L2_CAP_SDR_CAPTURE, "sdr"},
    {V4L2_CAP_SDR_OUTPUT, "sdr-output"},
    {V4L2_CAP_RADIO | V4L2_CAP_TUNER | V4L2_CAP_MODULATOR, "radio"},
};

struct TypeRule {
    std::uint32_t capability;
    std::uint32_t type;
};

constexpr TypeRule type_rules[] = {
    {V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_M2M, V4L2_BUF_TYPE_VIDEO_CAPTURE},
    {V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_VIDEO_M2M_MPLANE, V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE},
    {V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_VIDEO_M2M, V4L2_BUF_TYPE_VIDEO_OUTPUT},
    {V4L2_CAP_VIDEO_OUTPUT_MPLANE | V4L2_CAP_VIDEO_M2M_MPLANE, V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE},
    {V4L2_CAP_META_CAPTURE, V4L2_BUF_TYPE_META_CAPTURE},
    {V4L2_CAP_META_OUTPUT, V4L2_BUF_TYPE_META_OUTPUT},
};

/// Drivers that never end a list would keep us for ever.
constexpr unsigned list_max = 256;

double rate_of(const v4l2_fract& interval) {
    return interval.numerator == 0 ? 0.0 : double(interval.denominator) / interval.numerator;
}

FrameRates rates_of(const VideoFile& file, std::uint32_t fourcc, std::uint32_t width,
                    std::uint32_t height) {
    FrameRates rates;
    for (unsigned index = 0; index < list_max; ++index) {
        v4l2_frmivalenum interval{};
        interval.index = index;
        interval.pixel_format = fourcc;
        interval.width = width;
        interval.height = height;
        if (!file.ioctl(VIDIOC_ENUM_FRAMEINTERVALS, &interval)) {
            break;
        }
        if (interval.type == V4L2_FRMIVAL_TYPE_DISCRETE) {
            rates.discrete.push_back(rate_of(interval.discrete));
        } else {
            rates.slowest = rate_of(interval.stepwise.max);
            rates.fastest = rate_of(interval.stepwise.min);
            break;
        }
    }
    return rates;
}

std::vector<FrameSize> sizes_of(const VideoFile& file, std::uint32_t fourcc) {
    std::vector<FrameSize> sizes;
    for (unsigned index = 0; index < list_max; ++index) {
        v4l2_frmsizeenum entry{};
        entry.index = index;
        entry.pixel_format = fourcc;
        if (!file.ioctl(VIDIOC_ENUM_FRAMESIZES, &entry)) {
            break;
        }
        FrameSize size;
        if (entry.type == V4L2_FRMSIZE_TYPE_DISCRETE) {
            size.width = entry.discrete.width;
            size.height = entry.discrete.height;
            size.rates = rates_of(file, fourcc, size.width, size.height);
            sizes.push_back(size);
            continue;
        }
        size.width = entry.stepwise.min_width;
        size.height = entry.stepwise.min_height;
        size.width_max = entry.stepwise.max_width;
        size.height_max = entry.stepwise.max_height;
        size.rates = rates_of(file, fourcc, size.width_max, size.height_max);
        sizes.push_back(size);
        break;
    }
    return sizes;
}

std::vector<PixelFormat> formats_of(const VideoFile& file, std::uint32_t type) {
    std::vector<PixelFormat> formats;
    for (unsigned index = 0; index < list_max; ++index) {
        v4l2_fmtdesc entry{};
        entry.index = index;
        entry.type = type;
        if (!file.ioctl(VIDIOC_ENUM_FMT, &entry)) {
            break;
        }
        PixelFormat format;
        format.fourcc = fourcc_text(entry.pixelformat);
        format.description = field_text(entry.description);
        format.compressed = (entry.flags & V4L2_FMT_FLAG_COMPRESSED) != 0;
        format.sizes = sizes_of(file, entry.pixelformat);
        formats.push_back(std::move(format));
    }
    return formats;
}

std::string current_text(const v4l2_format& format) {
    switch (format.type) {
    case V4L2_BUF_TYPE_VIDEO_CAPTURE:
    case V4L2_BUF_TYPE_VIDEO_OUTPUT:
        return fmt::format("{}x{} {}", format.fmt.pix.width, format.fmt.pix.height,
                           fourcc_text(format.fmt.pix.pixelformat));
    case V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE:
    case V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE:
        return fmt::format("{}x{} {}", +format.fmt.pix_mp.width, +format.fmt.pix_mp.height,
                           fourcc_text(format.fmt.pix_mp.pixelformat));
    default:
        return fourcc_text(format.fmt.meta.dataformat);
    }
}

/// CREATE_BUFS for no buffer changes nothing and answers with the capabilities.
std::vector<std::string> memory_types_of(const VideoFile& file, const v4l2_format& current) {
    v4l2_create_buffers request{};
    request.memory = V4L2_MEMORY_MMAP;
    request.format = current;
    std::vector<std::string> names;
    if (!file.ioctl(VIDIOC_CREATE_BUFS, &request)) {
        return names;
    }
    if ((request.capabilities & V4L2_BUF_CAP_SUPPORTS_MMAP) != 0) {
        names.emplace_back("mmap");
    }
    if ((request.capabilities & V4L2_BUF_CAP_SUPPORTS_USERPTR) != 0) {
        names.emplace_back("userptr");
    }
    if ((request.capabilities & V4L2_BUF_CAP_SUPPORTS_DMABUF) != 0) {
        names.emplace_back("dmabuf");
    }
    return names;
}

std::optional<bool> order_of(const VideoFile& file, std::uint32_t type) {
    v4l2_query_fences query{};
    query.size = sizeof(query);
    query.type = type;
    if (!file.ioctl(VIDIOC_QUERY_FENCES, &query)) {
        return std::nullopt;
    }
    return (query.features & V4L2_FENCES_ORDERED) != 0;
}

QueueFacts queue_facts(const VideoFile& file, std::uint32_t type) {
    QueueFacts queue;
    queue.type = buffer_type_name(type);
    queue.formats = formats_of(file, type);
    v4l2_format current{};
    current.type = type;
    if (file.ioctl(VIDIOC_G_FMT, &current)) {
        queue.current = current_text(current);
        queue.memory = memory_types_of(file, current);
    }
    queue.ordered = order_of(file, type);
    return queue;
}

}  // namespace

std::string node_kind(std::uint32_t capabilities) {
    for (const KindRule& rule : kind_rules) {
        if ((capabilities & rule.capability) != 0) {
            return rule.kind;
        }
    }
    return "other";
}

NodeFacts examine_node(const std::string& path) {
    NodeFacts facts;
    facts.path = path;
    facts.is_virtual = is_virtual_device(path);
    if (path.find("v4l-subdev") != std::string::npos) {
        facts.kind = "subdevice";
        return facts;
    }
    const auto file = VideoFile::open(path, VideoCalls::Library);
    if (!file) {
        facts.kind = "unknown";
        facts.error = errno_text(file.error().code);
        return facts;
    }
    v4l2_capability capability{};
    if (const auto asked = file->ioctl(VIDIOC_QUERYCAP, &capability); !asked) {
        facts.kind = "unknown";
        facts.error = "not a V4L2 device: " + errno_text(asked.error().code);
        return facts;
    }
    const std::uint32_t caps = (capability.capabilities & V4L2_CAP_DEVICE_CAPS) != 0
                                   ? capability.device_caps
                                   : capability.capabilities;
    facts.kind = node_kind(caps);
    facts.card = field_text(capability.card);
    facts.driver = field_text(capability.driver);
    facts.bus = field_text(capability.bus_info);
    for (const TypeRule& rule : type_rules) {
        if ((caps & rule.capability) != 0 && (caps & V4L2_CAP_STREAMING) != 0) {
            facts.queues.push_back(queue_facts(*file, rule.type));
        }
    }
    return facts;
}

}  // namespace v4lfence
