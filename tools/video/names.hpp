// SPDX-License-Identifier: MIT
//
// V4L2's numbers as words, and back.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace v4lfence {

/// "YUYV", "NM12", "GREY"; a big-endian variant gets "-BE", unprintable bytes a '?'.
std::string fourcc_text(std::uint32_t fourcc);

/// Up to four characters, padded with spaces, "-BE" understood. Empty: no fourcc.
std::optional<std::uint32_t> fourcc_from_text(std::string_view text);

/// enum v4l2_memory: "mmap", "userptr", "dmabuf".
const char* memory_name(std::uint32_t memory);

/// enum v4l2_buf_type: "capture", "capture-mplane", ...
const char* buffer_type_name(std::uint32_t type);

/// A text field of a V4L2 struct, which may fill it without an end.
template <std::size_t size>
std::string field_text(const std::uint8_t (&bytes)[size]) {
    const std::string_view field(reinterpret_cast<const char*>(bytes), size);
    return std::string(field.substr(0, field.find('\0')));
}

/// "Device or resource busy (EBUSY)"; takes either sign.
std::string errno_text(int code);

/// A device of the library's own, such as "virtual:camera".
bool is_virtual_device(std::string_view path);

}  // namespace v4lfence
