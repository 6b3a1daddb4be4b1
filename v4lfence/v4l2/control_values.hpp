// SPDX-License-Identifier: MIT
//
// The rules of one control's values: what its type means for size and range, and how a value that
// a program sends is made to fit. Functions of a ControlSpec alone; no state, any thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "v4lfence/base/result.hpp"
#include "v4lfence/v4l2/control_spec.hpp"

namespace v4lfence {

/// BOOLEAN gets its range, BITMASK its step, BUTTON and CTRL_CLASS their flags.
ControlSpec completed(ControlSpec spec);

/// Of a completed spec. Errors: EINVAL, with the rule that it breaks.
Result<> check_spec(const ControlSpec& spec);

bool is_menu(const ControlSpec& spec);
/// An array, or of a type that is one: what V4L2_CTRL_FLAG_NEXT_COMPOUND walks through.
bool is_compound(const ControlSpec& spec);
/// Its value is memory behind a pointer: compound or a string.
bool has_payload(const ControlSpec& spec);
/// VIDIOC_G_CTRL and S_CTRL can carry its value.
bool fits_32_bits(const ControlSpec& spec);

/// Bytes. That of a string includes the end mark.
std::uint32_t element_size(const ControlSpec& spec);
std::uint32_t element_count(const ControlSpec& spec);
std::uint32_t dim_count(const ControlSpec& spec);
inline std::size_t payload_size(const ControlSpec& spec) {
    return std::size_t{element_size(spec)} * element_count(spec);
}

/// Whether item `index` of a menu exists and may be chosen.
bool has_item(const ControlSpec& spec, std::int64_t index);

/// The nearest allowed value: clamped, then rounded to the step, halves upwards; the bits that
/// there are; 0 or 1. Errors: ERANGE (a menu has no such item), EINVAL (that item is skipped).
Result<std::int64_t> fitted(const ControlSpec& spec, std::int64_t value);

/// fitted() for each element. The payload has payload_size() bytes. Errors: as there; elements
/// before the offending one have been changed.
Result<> fit_elements(const ControlSpec& spec, std::span<std::byte> payload);

/// Takes a string of at most `from.size()` characters over into `payload`, filled up with zeros.
/// Errors: ERANGE (empty memory, or a length that is too short, too long or off the step).
Result<> take_string(const ControlSpec& spec, std::span<const char> from,
                     std::span<std::byte> payload);

/// Fills `payload` with the default: `default_text`, or the default value in each element.
void fill_default(const ControlSpec& spec, std::span<std::byte> payload);

/// The value as LOG_STATUS shows it: a menu's item with its name, a string in quotes.
std::string printed(const ControlSpec& spec, std::int64_t value,
                    std::span<const std::byte> payload);

}  // namespace v4lfence
