// SPDX-License-Identifier: MIT
//
// An ioctl as it travels between processes: in the layout of a 64-bit kernel, whatever the
// program's is. In a 64-bit program that is what is there already: nothing is copied.

#pragma once

#include <linux/ioctl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "v4lfence/uapi/layouts.hpp"

namespace v4lfence {

struct WideCall {
    std::uint32_t request = 0;
    std::span<const std::byte> argument{};
    std::span<const std::byte> payload{};  ///< The array that the argument leads to.
};

/// Where a call is widened to. Empty where there is nothing to do.
template <Layout layout>
struct WideRoomOf {
    std::array<std::byte, layout_size_max> argument;
    std::array<std::byte, 8 * plane_size(Layout::Wide)> planes;
};
template <>
struct WideRoomOf<Layout::Wide> {};
using WideRoom = WideRoomOf<native_layout>;

/// `call` in `layout`, of at most 8 planes. Pointers in it are copied as numbers: what comes from
/// another process is none. What is returned lies in `room`, or is `call`'s own.
template <Layout layout>
WideCall to_wide(const WideCall& call, WideRoomOf<layout>& room) {
    if constexpr (layout == Layout::Wide) {
        return call;
    } else {
        WideCall wide{request_in(Layout::Wide, layout, call.request), call.argument, call.payload};
        if (wide.request == call.request) {
            return wide;
        }
        convert(Layout::Wide, layout, call.request, call.argument.data(), room.argument.data());
        wide.argument = std::span(room.argument).first(_IOC_SIZE(wide.request));
        if (has_planes(layout, call.request)) {
            const std::size_t count = call.payload.size() / plane_size(layout);
            const auto planes = std::span(room.planes).first(count * plane_size(Layout::Wide));
            convert_planes(Layout::Wide, layout, call.payload, planes);
            wide.payload = planes;
        }
        return wide;
    }
}
inline WideCall to_wide(const WideCall& call, WideRoom& room) {
    return to_wide<native_layout>(call, room);
}

/// Writes a wide answer over `argument` and `payload` of the call with the number `request`, both
/// in `layout`. Each part has the size that to_wide() gave it, or is empty and leaves what is
/// there; the caller has seen to it.
template <Layout layout = native_layout>
void from_wide(const WideCall& answer, std::uint32_t request, std::span<std::byte> argument,
               std::span<std::byte> payload) {
    if (answer.argument.empty()) {
        // Nothing to write.
    } else if (layout == Layout::Wide || !differs(Layout::Wide, layout, request)) {
        std::memcpy(argument.data(), answer.argument.data(), answer.argument.size());
    } else {
        convert(layout, Layout::Wide, request_in(Layout::Wide, layout, request),
                answer.argument.data(), argument.data());
    }
    if (answer.payload.empty()) {
        // Nor here.
    } else if (layout == Layout::Wide || !has_planes(layout, request)) {
        std::memcpy(payload.data(), answer.payload.data(), answer.payload.size());
    } else {
        convert_planes(layout, Layout::Wide, answer.payload, payload);
    }
}

}  // namespace v4lfence
