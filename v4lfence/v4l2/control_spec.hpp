// SPDX-License-Identifier: MIT
//
// ControlSpec: one control as a driver declares it, a row of a table that a ControlSet is made of.

#pragma once

#include <linux/v4l2-controls.h>
#include <linux/videodev2.h>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace v4lfence {

/// Elements of an array, and characters of a string.
inline constexpr std::uint32_t control_elements_max = 65536;

/// What a control may be set to, in its own units. For a string: its length in characters.
struct ControlRange {
    std::int64_t minimum = 0;
    std::int64_t maximum = 0;
    std::uint64_t step = 1;  ///< `maximum` is a multiple of it away from `minimum`.
    std::int64_t default_value = 0;

    bool operator==(const ControlRange&) const = default;
};

/// Names, menus and texts are borrowed: static tables, as a rule. They outlive the ControlSet.
///
/// | type                    | range                                                             |
/// |-------------------------|-------------------------------------------------------------------|
/// | INTEGER, INTEGER64      | all four                                                          |
/// | BOOLEAN                 | `default_value`; the rest is 0 to 1                               |
/// | MENU, INTEGER_MENU      | the items `minimum` to `maximum` of the menu; the step is 1       |
/// | BITMASK                 | `maximum`: the bits there are; `default_value`; the rest is 0     |
/// | STRING                  | the lengths; `default_text`                                       |
/// | BUTTON, CTRL_CLASS      | none                                                              |
/// | U8, U16, U32            | all four, of each element                                         |
///
/// Any type but STRING, BUTTON and CTRL_CLASS becomes an array by `dims`. U8, U16 and U32 without
/// them have one element.
struct ControlSpec {
    std::uint32_t id = 0;
    v4l2_ctrl_type type = V4L2_CTRL_TYPE_INTEGER;
    std::string_view name =
        {};  ///< At most 31 characters. That of a known control class may be empty.
    ControlRange range = {};

    /// V4L2_CTRL_FLAG_*. READ_ONLY, WRITE_ONLY, VOLATILE, EXECUTE_ON_WRITE and so on; what follows
    /// from the type (HAS_PAYLOAD, a button's WRITE_ONLY) is added.
    std::uint32_t flags = 0;

    std::span<const char* const> items = {};                  ///< MENU, by value.
    std::span<const std::int64_t> integer_items = {};         ///< INTEGER_MENU, by value.
    std::uint64_t skip_mask = 0;                              ///< Bit n: item n cannot be chosen.
    std::array<std::uint32_t, V4L2_CTRL_MAX_DIMS> dims = {};  ///< The first 0 ends the list.
    std::string_view default_text = {};  ///< Empty: blanks up to the least length.
};

}  // namespace v4lfence
