// SPDX-License-Identifier: MIT
//
// NativeCall: an ioctl of a 32-bit program that was built with 32-bit times, as the library that it
// got, which has 64-bit times, knows it (SEMANTICS 7.6). Any other ioctl is left as it is.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "v4lfence/base/pointer.hpp"
#include "v4lfence/uapi/layouts.hpp"

namespace v4lfence {

/// Thread: one. No allocation.
template <Layout layout>
class NativeCallOf {
public:
    /// `argument` is the program's, and must stay where it is.
    NativeCallOf(std::uint32_t request, void* argument) noexcept
        : request_(request), program_(argument) {
        const std::uint32_t native = request_in(layout, Layout::NarrowTime32, request);
        if (native != request) {
            request_ = native;
            // One that is no pointer is so for the native call too.
            converted_ = is_plausible(argument);
            if (converted_) {
                convert(layout, Layout::NarrowTime32, request, bytes(), native_.data());
            }
        }
    }

    std::uint32_t request() const noexcept { return request_; }
    void* argument() noexcept { return converted_ ? native_.data() : program_; }

    /// After a call that succeeded: the answer becomes the program's.
    void give_back() {
        if (converted_) {
            convert(Layout::NarrowTime32, layout, request_, native_.data(), bytes());
        }
    }

    NativeCallOf(const NativeCallOf&) = delete;
    NativeCallOf& operator=(const NativeCallOf&) = delete;

private:
    std::byte* bytes() const { return static_cast<std::byte*>(program_); }

    std::uint32_t request_;
    void* program_;
    bool converted_ = false;
    alignas(8) std::array<std::byte, layout_size_max> native_;
};

/// 64-bit programs have one kind of time.
template <>
class NativeCallOf<Layout::Wide> {
public:
    NativeCallOf(std::uint32_t request, void* argument) noexcept
        : request_(request), program_(argument) {}
    std::uint32_t request() const noexcept { return request_; }
    void* argument() const noexcept { return program_; }
    void give_back() {}

private:
    std::uint32_t request_;
    void* program_;
};

using NativeCall = NativeCallOf<native_layout>;

}  // namespace v4lfence
