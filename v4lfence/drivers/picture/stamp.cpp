// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/picture/stamp.hpp"

#include <algorithm>
#include <span>

namespace v4lfence {
namespace {

constexpr std::uint32_t check_key = 0x5a5a5a5a;  // or white would be the check of all ones

/// The CRC-32 of IEEE 802.3, bit by bit: there are twelve bytes at most.
std::uint32_t check_of(std::span<const std::uint8_t> bytes) {
    std::uint32_t crc = ~0U;
    for (const std::uint8_t byte : bytes) {
        crc ^= byte;
        for (unsigned bit = 0; bit < 8; ++bit) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320U : 0);
        }
    }
    return ~crc ^ check_key;
}

void put(std::span<std::uint8_t> to, std::uint64_t value) {
    for (std::size_t i = to.size(); i-- > 0; value >>= 8) {
        to[i] = static_cast<std::uint8_t>(value);
    }
}

std::uint64_t get(std::span<const std::uint8_t> from) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : from) {
        value = value << 8 | byte;
    }
    return value;
}

constexpr std::size_t number_bytes = 4;
constexpr std::size_t time_bytes = 8;

std::size_t said_bytes(const StampPlan& plan) {
    return number_bytes + (plan.has_time ? time_bytes : 0);
}

std::size_t check_bytes(const StampPlan& plan) {
    return plan.has_time ? 4 : 2;
}

}  // namespace

StampPlan stamp_plan(unsigned width, unsigned height) {
    if (width >= 128 && height >= 64) {
        const unsigned square = std::max(std::min(width / 160, height / 32) / 2 * 2, 4U);
        return {square, 32, 4, true, true};
    }
    if (width >= 64 && height >= 32) {
        return {4, 16, 3, false, true};
    }
    return {2, 8, 6, false, false};
}

StampBits stamp_bits(const StampPlan& plan, const FrameStamp& stamp) {
    StampBits bits{};
    const std::size_t said = said_bytes(plan);
    put(std::span(bits).first(number_bytes), stamp.sequence);
    if (plan.has_time) {
        put(std::span(bits).subspan(number_bytes, time_bytes), stamp.captured_at_ns);
    }
    put(std::span(bits).subspan(said, check_bytes(plan)), check_of(std::span(bits).first(said)));
    return bits;
}

std::optional<FrameStamp> stamp_of(const StampPlan& plan, const StampBits& bits) {
    FrameStamp stamp;
    stamp.sequence = static_cast<std::uint32_t>(get(std::span(bits).first(number_bytes)));
    if (plan.has_time) {
        stamp.captured_at_ns = get(std::span(bits).subspan(number_bytes, time_bytes));
    }
    return stamp_bits(plan, stamp) == bits ? std::optional(stamp) : std::nullopt;
}

}  // namespace v4lfence
