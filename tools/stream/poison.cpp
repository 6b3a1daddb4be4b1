// SPDX-License-Identifier: MIT

#include "tools/stream/poison.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace v4lfence {

namespace {

constexpr std::size_t poison_size = 64;

constexpr std::array<std::byte, poison_size> make_pattern() {
    std::array<std::byte, poison_size> pattern{};
    std::uint32_t state = 0x9e3779b9;
    for (std::byte& entry : pattern) {
        state = state * 1664525U + 1013904223U;
        entry = static_cast<std::byte>(state >> 24);
    }
    return pattern;
}

constexpr std::array<std::byte, poison_size> pattern = make_pattern();

}  // namespace

void write_poison(std::span<std::byte> image) {
    if (image.size() >= 2 * poison_size) {
        std::copy(pattern.begin(), pattern.end(), image.begin());
        std::copy(pattern.begin(), pattern.end(), image.end() - poison_size);
    }
}

bool finds_poison(std::span<const std::byte> image, std::size_t bytes_used) {
    if (image.size() < 2 * poison_size || bytes_used < poison_size) {
        return false;
    }
    const bool at_start = std::equal(pattern.begin(), pattern.end(), image.begin());
    const bool at_end = bytes_used >= image.size() &&
                        std::equal(pattern.begin(), pattern.end(), image.end() - poison_size);
    return at_start || at_end;
}

}  // namespace v4lfence
