// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/format_names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace v4lfence {

namespace {

struct FormatName {
    std::uint32_t fourcc;
    std::string_view description;
    std::uint32_t flags = 0;
};

constexpr std::array names{
    // Packed RGB.
    FormatName{V4L2_PIX_FMT_RGB565, "16-bit RGB 5-6-5"},
    FormatName{V4L2_PIX_FMT_RGB24, "24-bit RGB 8-8-8"},
    FormatName{V4L2_PIX_FMT_BGR24, "24-bit BGR 8-8-8"},
    FormatName{V4L2_PIX_FMT_RGB32, "32-bit A/XRGB 8-8-8-8"},
    FormatName{V4L2_PIX_FMT_ARGB32, "32-bit ARGB 8-8-8-8"},
    FormatName{V4L2_PIX_FMT_XRGB32, "32-bit XRGB 8-8-8-8"},
    FormatName{V4L2_PIX_FMT_RGBA32, "32-bit RGBA 8-8-8-8"},
    FormatName{V4L2_PIX_FMT_RGBX32, "32-bit RGBX 8-8-8-8"},
    FormatName{V4L2_PIX_FMT_BGR32, "32-bit BGRA/X 8-8-8-8"},
    FormatName{V4L2_PIX_FMT_ABGR32, "32-bit BGRA 8-8-8-8"},
    FormatName{V4L2_PIX_FMT_XBGR32, "32-bit BGRX 8-8-8-8"},
    // Grey.
    FormatName{V4L2_PIX_FMT_GREY, "8-bit Greyscale"},
    FormatName{V4L2_PIX_FMT_Y10, "10-bit Greyscale"},
    FormatName{V4L2_PIX_FMT_Y12, "12-bit Greyscale"},
    FormatName{V4L2_PIX_FMT_Y16, "16-bit Greyscale"},
    // Packed YUV.
    FormatName{V4L2_PIX_FMT_YUYV, "YUYV 4:2:2"},
    FormatName{V4L2_PIX_FMT_YVYU, "YVYU 4:2:2"},
    FormatName{V4L2_PIX_FMT_UYVY, "UYVY 4:2:2"},
    FormatName{V4L2_PIX_FMT_VYUY, "VYUY 4:2:2"},
    // Planar YUV; N-C: planes in memories of their own.
    FormatName{V4L2_PIX_FMT_YUV420, "Planar YUV 4:2:0"},
    FormatName{V4L2_PIX_FMT_YVU420, "Planar YVU 4:2:0"},
    FormatName{V4L2_PIX_FMT_YUV422P, "Planar YUV 4:2:2"},
    FormatName{V4L2_PIX_FMT_NV12, "Y/CbCr 4:2:0"},
    FormatName{V4L2_PIX_FMT_NV21, "Y/CrCb 4:2:0"},
    FormatName{V4L2_PIX_FMT_NV16, "Y/CbCr 4:2:2"},
    FormatName{V4L2_PIX_FMT_NV61, "Y/CrCb 4:2:2"},
    FormatName{V4L2_PIX_FMT_NV24, "Y/CbCr 4:4:4"},
    FormatName{V4L2_PIX_FMT_NV42, "Y/CrCb 4:4:4"},
    FormatName{V4L2_PIX_FMT_NV12M, "Y/CbCr 4:2:0 (N-C)"},
    FormatName{V4L2_PIX_FMT_NV21M, "Y/CrCb 4:2:0 (N-C)"},
    FormatName{V4L2_PIX_FMT_NV16M, "Y/CbCr 4:2:2 (N-C)"},
    FormatName{V4L2_PIX_FMT_NV61M, "Y/CrCb 4:2:2 (N-C)"},
    FormatName{V4L2_PIX_FMT_YUV420M, "Planar YUV 4:2:0 (N-C)"},
    FormatName{V4L2_PIX_FMT_YVU420M, "Planar YVU 4:2:0 (N-C)"},
    FormatName{V4L2_PIX_FMT_YUV422M, "Planar YUV 4:2:2 (N-C)"},
    // Compressed.
    FormatName{V4L2_PIX_FMT_MJPEG, "Motion-JPEG", V4L2_FMT_FLAG_COMPRESSED},
    FormatName{V4L2_PIX_FMT_JPEG, "JFIF JPEG", V4L2_FMT_FLAG_COMPRESSED},
    FormatName{V4L2_PIX_FMT_MPEG4, "MPEG-4 Part 2 ES", V4L2_FMT_FLAG_COMPRESSED},
    FormatName{V4L2_PIX_FMT_H264, "H.264", V4L2_FMT_FLAG_COMPRESSED},
    FormatName{V4L2_PIX_FMT_HEVC, "HEVC", V4L2_FMT_FLAG_COMPRESSED},
    FormatName{V4L2_PIX_FMT_VP8, "VP8", V4L2_FMT_FLAG_COMPRESSED},
    FormatName{V4L2_PIX_FMT_VP9, "VP9", V4L2_FMT_FLAG_COMPRESSED},
    FormatName{V4L2_PIX_FMT_FWHT, "FWHT", V4L2_FMT_FLAG_COMPRESSED},
};

static_assert(std::all_of(names.begin(), names.end(), [](const FormatName& name) {
    return name.description.size() < sizeof(v4l2_fmtdesc::description);
}));

}  // namespace

void describe_format(v4l2_fmtdesc& format) {
    const auto found = std::find_if(names.begin(), names.end(), [&](const FormatName& name) {
        return name.fourcc == format.pixelformat;
    });
    if (found != names.end()) {
        std::memset(format.description, 0, sizeof format.description);
        std::memcpy(format.description, found->description.data(), found->description.size());
        format.flags |= found->flags;
    } else if (format.description[0] == 0) {
        std::memcpy(format.description, &format.pixelformat, sizeof format.pixelformat);
    }
}

}  // namespace v4lfence
