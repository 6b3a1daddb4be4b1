// SPDX-License-Identifier: MIT
//
// Layouts: the ioctl arguments of videodev2.h whose layout a 32-bit x86 program does not share with
// a 64-bit kernel, as fixed structs, and the way from each layout to each other. Everything a
// program says arrives, fence_fd (reserved2) included; nothing is left out in either direction.
//
// Sizes and offsets: the uapi header compiled for each (layouts_check.cpp compares them), and what
// the kernel answers to (its v4l2-compat-ioctl32.c).

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace v4lfence {

enum class Layout : std::uint8_t {
    Wide,          ///< 64 bit.
    Narrow,        ///< 32-bit x86 with 64-bit times.
    NarrowTime32,  ///< 32-bit x86 with 32-bit times.
};

/// This library's own: it is always built with 64-bit times.
inline constexpr Layout native_layout = sizeof(void*) == 8 ? Layout::Wide : Layout::Narrow;

/// The same request in another layout. What has one layout everywhere, or is not known, keeps its
/// number.
std::uint32_t request_in(Layout to, Layout from, std::uint32_t request);

/// Is it one that has another number in the other layout?
inline bool differs(Layout to, Layout from, std::uint32_t request) {
    return request_in(to, from, request) != request;
}

/// `request` is `from`'s. Pointers and `userptr` are widened with zeros and cut as numbers; arrays
/// behind them are not followed. `target` has room for _IOC_SIZE(request_in()).
/// An overlay's window (v4l2_format) is copied as bytes: no device here has one.
void convert(Layout to, Layout from, std::uint32_t request, const std::byte* source,
             std::byte* target);

/// Does its argument lead to an array of planes? `request` is `layout`'s.
bool has_planes(Layout layout, std::uint32_t request);
/// Bytes of one v4l2_plane.
constexpr std::size_t plane_size(Layout layout) {
    return layout == Layout::Wide ? 64 : 60;
}
/// `source` holds whole planes; `target` has room for as many.
void convert_planes(Layout to, Layout from, std::span<const std::byte> source,
                    std::span<std::byte> target);

inline constexpr std::size_t layout_size_max = 256;

// --- the structs ---------------------------------------------------------------------------------

// Whatever the compiler's own alignment of 64-bit numbers is: padding is written out.
#pragma pack(push, 4)

struct Buffer64 {
    std::uint32_t index, type, bytesused, flags, field, pad;
    std::int64_t tv_sec, tv_usec;
    std::array<std::uint32_t, 4> timecode;
    std::uint32_t sequence, memory;
    std::uint64_t m;
    std::uint32_t length, reserved2;
    std::int32_t request_fd;
    std::uint32_t pad2;
};
static_assert(sizeof(Buffer64) == 88 && offsetof(Buffer64, tv_sec) == 24 &&
              offsetof(Buffer64, m) == 64 && offsetof(Buffer64, reserved2) == 76);

struct Buffer32 {
    std::uint32_t index, type, bytesused, flags, field;
    std::int64_t tv_sec, tv_usec;
    std::array<std::uint32_t, 4> timecode;
    std::uint32_t sequence, memory, m, length, reserved2;
    std::int32_t request_fd;
};
static_assert(sizeof(Buffer32) == 76 && offsetof(Buffer32, tv_sec) == 20 &&
              offsetof(Buffer32, m) == 60 && offsetof(Buffer32, reserved2) == 68);

struct Buffer32Time32 {
    std::uint32_t index, type, bytesused, flags, field;
    std::int32_t tv_sec, tv_usec;
    std::array<std::uint32_t, 4> timecode;
    std::uint32_t sequence, memory, m, length, reserved2;
    std::int32_t request_fd;
};
static_assert(sizeof(Buffer32Time32) == 68 && offsetof(Buffer32Time32, tv_sec) == 20 &&
              offsetof(Buffer32Time32, m) == 52 && offsetof(Buffer32Time32, reserved2) == 60);

struct Plane64 {
    std::uint32_t bytesused, length;
    std::uint64_t m;
    std::uint32_t data_offset;
    std::array<std::uint32_t, 11> reserved;
};
static_assert(sizeof(Plane64) == plane_size(Layout::Wide) && offsetof(Plane64, data_offset) == 16);

struct Plane32 {
    std::uint32_t bytesused, length, m, data_offset;
    std::array<std::uint32_t, 11> reserved;
};
static_assert(sizeof(Plane32) == plane_size(Layout::Narrow) &&
              offsetof(Plane32, data_offset) == 12);

struct Event64 {
    std::uint32_t type, pad;
    std::array<std::uint32_t, 16> u;
    std::uint32_t pending, sequence;
    std::int64_t tv_sec, tv_nsec;
    std::uint32_t id;
    std::array<std::uint32_t, 8> reserved;
    std::uint32_t pad2;
};
static_assert(sizeof(Event64) == 136 && offsetof(Event64, u) == 8 &&
              offsetof(Event64, tv_sec) == 80 && offsetof(Event64, id) == 96);

/// glibc has a 32-bit tv_nsec and as much padding, the kernel one of 64 bits: the same bytes.
struct Event32 {
    std::uint32_t type;
    std::array<std::uint32_t, 16> u;
    std::uint32_t pending, sequence;
    std::int64_t tv_sec, tv_nsec;
    std::uint32_t id;
    std::array<std::uint32_t, 8> reserved;
};
static_assert(sizeof(Event32) == 128 && offsetof(Event32, u) == 4 &&
              offsetof(Event32, tv_sec) == 76 && offsetof(Event32, id) == 92);

struct Event32Time32 {
    std::uint32_t type;
    std::array<std::uint32_t, 16> u;
    std::uint32_t pending, sequence;
    std::int32_t tv_sec, tv_nsec;
    std::uint32_t id;
    std::array<std::uint32_t, 8> reserved;
};
static_assert(sizeof(Event32Time32) == 120 && offsetof(Event32Time32, tv_sec) == 76 &&
              offsetof(Event32Time32, id) == 84);

/// The elements (v4l2_ext_control) have one layout everywhere: they are packed, and their union
/// holds an s64. A narrow pointer in it leaves the upper half as it was.
struct ExtControls64 {
    std::uint32_t which, count, error_idx;
    std::int32_t request_fd;
    std::uint32_t reserved, pad;
    std::uint64_t controls;
};
static_assert(sizeof(ExtControls64) == 32 && offsetof(ExtControls64, controls) == 24);

struct ExtControls32 {
    std::uint32_t which, count, error_idx;
    std::int32_t request_fd;
    std::uint32_t reserved, controls;
};
static_assert(sizeof(ExtControls32) == 24 && offsetof(ExtControls32, controls) == 20);

struct Format64 {
    std::uint32_t type, pad;
    std::array<std::uint32_t, 50> fmt;
};
static_assert(sizeof(Format64) == 208 && offsetof(Format64, fmt) == 8);

struct Format32 {
    std::uint32_t type;
    std::array<std::uint32_t, 50> fmt;
};
static_assert(sizeof(Format32) == 204 && offsetof(Format32, fmt) == 4);

/// The last words are capabilities and what later headers made of `reserved`.
struct CreateBuffers64 {
    std::uint32_t index, count, memory, pad;
    Format64 format;
    std::array<std::uint32_t, 8> last;
};
static_assert(sizeof(CreateBuffers64) == 256 && offsetof(CreateBuffers64, format) == 16);

struct CreateBuffers32 {
    std::uint32_t index, count, memory;
    Format32 format;
    std::array<std::uint32_t, 8> last;
};
static_assert(sizeof(CreateBuffers32) == 248 && offsetof(CreateBuffers32, format) == 12);

/// Here the padding at the end alone differs.
struct Input64 {
    std::array<std::uint32_t, 19> all;
    std::uint32_t pad;
};
static_assert(sizeof(Input64) == 80);

struct Input32 {
    std::array<std::uint32_t, 19> all;
};
static_assert(sizeof(Input32) == 76);

struct Standard64 {
    std::uint32_t index, pad;
    std::uint64_t id;
    std::array<std::uint32_t, 13> rest;
    std::uint32_t pad2;
};
static_assert(sizeof(Standard64) == 72 && offsetof(Standard64, rest) == 16);

struct Standard32 {
    std::uint32_t index;
    std::uint64_t id;
    std::array<std::uint32_t, 13> rest;
};
static_assert(sizeof(Standard32) == 64 && offsetof(Standard32, rest) == 12);

#pragma pack(pop)

}  // namespace v4lfence
