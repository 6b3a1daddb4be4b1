// SPDX-License-Identifier: MIT

#include "tools/video/names.hpp"

#include <fmt/format.h>
#include <linux/videodev2.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace v4lfence {

namespace {

constexpr std::uint32_t big_endian_bit = 1U << 31;
constexpr std::string_view big_endian_suffix = "-BE";

}  // namespace

std::string fourcc_text(std::uint32_t fourcc) {
    const std::uint32_t plain = fourcc & ~big_endian_bit;
    std::string text;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        const char letter = static_cast<char>((plain >> shift) & 0xffU);
        text += letter >= ' ' && letter <= '~' ? letter : '?';
    }
    text.erase(text.find_last_not_of(' ') + 1);
    if ((fourcc & big_endian_bit) != 0) {
        text += big_endian_suffix;
    }
    return text;
}

std::optional<std::uint32_t> fourcc_from_text(std::string_view text) {
    std::uint32_t fourcc = 0;
    if (text.size() > 4 && text.ends_with(big_endian_suffix)) {
        text.remove_suffix(big_endian_suffix.size());
        fourcc = big_endian_bit;
    }
    if (text.empty() || text.size() > 4) {
        return std::nullopt;
    }
    for (unsigned position = 0; position < 4; ++position) {
        const char letter = position < text.size() ? text[position] : ' ';
        if (letter < ' ' || letter > '~') {
            return std::nullopt;
        }
        fourcc |= static_cast<std::uint32_t>(letter) << (8 * position);
    }
    return fourcc;
}

const char* memory_name(std::uint32_t memory) {
    switch (memory) {
    case V4L2_MEMORY_MMAP:
        return "mmap";
    case V4L2_MEMORY_USERPTR:
        return "userptr";
    case V4L2_MEMORY_DMABUF:
        return "dmabuf";
    default:
        return "unknown";
    }
}

const char* buffer_type_name(std::uint32_t type) {
    constexpr std::array<const char*, 15> names = {
        "unknown",       "capture",        "output",        "overlay",        "vbi-capture",
        "vbi-output",    "sliced-capture", "sliced-output", "output-overlay", "capture-mplane",
        "output-mplane", "sdr-capture",    "sdr-output",    "meta-capture",   "meta-output"};
    return names[type < names.size() ? type : 0];
}

std::string errno_text(int code) {
    const int number = std::abs(code);
    const char* name = ::strerrorname_np(number);
    if (name == nullptr) {
        return fmt::format("error {}", number);
    }
    return fmt::format("{} ({})", ::strerrordesc_np(number), name);
}

bool is_virtual_device(std::string_view path) {
    return path.starts_with("virtual:");
}

}  // namespace v4lfence
