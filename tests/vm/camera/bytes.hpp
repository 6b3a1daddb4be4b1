// SPDX-License-Identifier: MIT
//
// ByteWriter: builds what USB sends, little-endian throughout.

#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace v4lfence {

using Bytes = std::vector<std::uint8_t>;

class ByteWriter {
public:
    /// Values above 255 are cut.
    ByteWriter& u8(std::initializer_list<unsigned> values) {
        for (unsigned value : values) {
            bytes_.push_back(static_cast<std::uint8_t>(value));
        }
        return *this;
    }
    ByteWriter& u16(std::uint32_t value) { return u8({value & 0xff, value >> 8 & 0xff}); }
    ByteWriter& u32(std::uint32_t value) { return u16(value & 0xffff).u16(value >> 16); }
    ByteWriter& text(std::string_view characters) {
        bytes_.insert(bytes_.end(), characters.begin(), characters.end());
        return *this;
    }
    ByteWriter& append(const Bytes& more) {
        bytes_.insert(bytes_.end(), more.begin(), more.end());
        return *this;
    }
    std::size_t size() const { return bytes_.size(); }
    Bytes take() && { return std::move(bytes_); }

private:
    Bytes bytes_;
};

}  // namespace v4lfence
