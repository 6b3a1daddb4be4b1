// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/control_values.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <limits>

namespace v4lfence {

namespace {

/// What an element can hold.
struct Bounds {
    std::int64_t least;
    std::int64_t most;
};

template <class T>
constexpr Bounds bounds_of() {
    return {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
}

Bounds bounds(v4l2_ctrl_type type) {
    switch (type) {
    case V4L2_CTRL_TYPE_U8:
        return bounds_of<std::uint8_t>();
    case V4L2_CTRL_TYPE_U16:
        return bounds_of<std::uint16_t>();
    case V4L2_CTRL_TYPE_U32:
    case V4L2_CTRL_TYPE_BITMASK:
        return bounds_of<std::uint32_t>();
    case V4L2_CTRL_TYPE_INTEGER64:
        return bounds_of<std::int64_t>();
    default:
        return bounds_of<std::int32_t>();
    }
}

bool is_known(v4l2_ctrl_type type) {
    return (type >= V4L2_CTRL_TYPE_INTEGER && type <= V4L2_CTRL_TYPE_INTEGER_MENU) ||
           (type >= V4L2_CTRL_TYPE_U8 && type <= V4L2_CTRL_TYPE_U32);
}

bool is_action(v4l2_ctrl_type type) {
    return type == V4L2_CTRL_TYPE_BUTTON || type == V4L2_CTRL_TYPE_CTRL_CLASS;
}

std::uint64_t distance(std::int64_t from, std::int64_t to) {
    return static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
}

std::int64_t load(const ControlSpec& spec, const std::byte* element) {
    const auto as = [element]<class T>(T value) {
        std::memcpy(&value, element, sizeof(value));
        return static_cast<std::int64_t>(value);
    };
    switch (spec.type) {
    case V4L2_CTRL_TYPE_U8:
        return as(std::uint8_t{});
    case V4L2_CTRL_TYPE_U16:
        return as(std::uint16_t{});
    case V4L2_CTRL_TYPE_U32:
    case V4L2_CTRL_TYPE_BITMASK:
        return as(std::uint32_t{});
    case V4L2_CTRL_TYPE_INTEGER64:
        return as(std::int64_t{});
    default:
        return as(std::int32_t{});
    }
}

void store(const ControlSpec& spec, std::int64_t value, std::byte* element) {
    const auto as = [element](auto narrow) { std::memcpy(element, &narrow, sizeof(narrow)); };
    switch (element_size(spec)) {
    case 1:
        as(static_cast<std::uint8_t>(value));
        break;
    case 2:
        as(static_cast<std::uint16_t>(value));
        break;
    case 4:
        as(static_cast<std::uint32_t>(value));
        break;
    default:
        as(value);
        break;
    }
}

std::size_t text_length(std::span<const std::byte> payload) {
    return static_cast<std::size_t>(std::ranges::find(payload, std::byte{0}) - payload.begin());
}

bool is_allowed_length(const ControlRange& range, std::size_t length) {
    const auto characters = static_cast<std::int64_t>(length);
    return characters >= range.minimum && characters <= range.maximum &&
           distance(range.minimum, characters) % range.step == 0;
}

Result<> check_text(const ControlSpec& spec) {
    const ControlRange& range = spec.range;
    if (range.minimum < 0 || range.maximum < 1 || range.maximum > control_elements_max) {
        return fail(-EINVAL, "control: length of a string");
    }
    if (range.default_value != 0) {
        return fail(-EINVAL, "control: default of a string is a text");
    }
    if (!spec.default_text.empty() && !is_allowed_length(range, spec.default_text.size())) {
        return fail(-EINVAL, "control: length of the default text");
    }
    return {};
}

Result<> check_items(const ControlSpec& spec) {
    const ControlRange& range = spec.range;
    const std::size_t items =
        spec.type == V4L2_CTRL_TYPE_MENU ? spec.items.size() : spec.integer_items.size();
    if (range.minimum < 0 || static_cast<std::uint64_t>(range.maximum) >= items) {
        return fail(-EINVAL, "control: range beyond the menu");
    }
    for (std::int64_t index = range.minimum; index <= range.maximum; ++index) {
        const auto place = static_cast<std::size_t>(index);
        if (spec.type == V4L2_CTRL_TYPE_MENU && spec.items[place] == nullptr) {
            return fail(-EINVAL, "control: menu item without a name");
        }
    }
    if (!has_item(spec, range.default_value)) {
        return fail(-EINVAL, "control: default is no item of the menu");
    }
    return {};
}

Result<> check_dims(const ControlSpec& spec) {
    const bool single = spec.type == V4L2_CTRL_TYPE_STRING || is_action(spec.type);
    if (single && dim_count(spec) > 0) {
        return fail(-EINVAL, "control: type without arrays");
    }
    std::uint64_t elements = 1;
    for (std::uint32_t dim = 0; dim < dim_count(spec); ++dim) {
        elements *= spec.dims[dim];
        if (elements > control_elements_max) {
            return fail(-EINVAL, "control: array too large");
        }
    }
    return {};
}

Result<> check_range(const ControlSpec& spec) {
    const ControlRange& range = spec.range;
    if (is_action(spec.type)) {
        return {};
    }
    if (spec.type == V4L2_CTRL_TYPE_BITMASK) {
        const Bounds bits = bounds(spec.type);
        const bool all_there = (range.default_value & ~range.maximum) == 0;
        if (range.minimum != 0 || range.step != 0 || range.maximum <= 0 ||
            range.maximum > bits.most || !all_there) {
            return fail(-EINVAL, "control: range of a bitmask");
        }
        return {};
    }
    if (range.minimum > range.maximum || range.step == 0 ||
        distance(range.minimum, range.maximum) % range.step != 0) {
        return fail(-EINVAL, "control: step or order of the range");
    }
    if (spec.type == V4L2_CTRL_TYPE_STRING) {
        return check_text(spec);
    }
    const Bounds element = bounds(spec.type);
    if (range.minimum < element.least || range.maximum > element.most) {
        return fail(-EINVAL, "control: range beyond the type");
    }
    if (range.default_value < range.minimum || range.default_value > range.maximum ||
        distance(range.minimum, range.default_value) % range.step != 0) {
        return fail(-EINVAL, "control: default outside the range");
    }
    if (spec.type == V4L2_CTRL_TYPE_BOOLEAN && (range.minimum != 0 || range.maximum > 1)) {
        return fail(-EINVAL, "control: range of a boolean");
    }
    return is_menu(spec) ? check_items(spec) : Result<>{};
}

std::string quoted(std::span<const std::byte> payload) {
    std::string text = "\"";
    for (const std::byte character : payload.first(text_length(payload))) {
        text += static_cast<char>(character);
    }
    return text + '"';
}

std::string hexadecimal(std::int64_t value) {
    char text[20];
    std::snprintf(text, sizeof(text), "0x%08" PRIx64, static_cast<std::uint64_t>(value));
    return text;
}

std::string printed_element(const ControlSpec& spec, std::int64_t value) {
    switch (spec.type) {
    case V4L2_CTRL_TYPE_BOOLEAN:
        return value != 0 ? "true" : "false";
    case V4L2_CTRL_TYPE_MENU:
        return std::to_string(value) + " (" + spec.items[static_cast<std::size_t>(value)] + ")";
    case V4L2_CTRL_TYPE_INTEGER_MENU:
        return std::to_string(value) + " (" +
               std::to_string(spec.integer_items[static_cast<std::size_t>(value)]) + ")";
    case V4L2_CTRL_TYPE_BITMASK:
        return hexadecimal(value);
    default:
        return std::to_string(value);
    }
}

}  // namespace

ControlSpec completed(ControlSpec spec) {
    switch (spec.type) {
    case V4L2_CTRL_TYPE_BOOLEAN:
        spec.range = {0, 1, 1, spec.range.default_value};
        break;
    case V4L2_CTRL_TYPE_MENU:
    case V4L2_CTRL_TYPE_INTEGER_MENU:
        spec.range.step = 1;
        break;
    case V4L2_CTRL_TYPE_BITMASK:
        spec.range.minimum = 0;
        spec.range.step = 0;
        break;
    case V4L2_CTRL_TYPE_BUTTON:
        spec.range = {0, 0, 0, 0};
        spec.flags |= V4L2_CTRL_FLAG_WRITE_ONLY | V4L2_CTRL_FLAG_EXECUTE_ON_WRITE;
        break;
    case V4L2_CTRL_TYPE_CTRL_CLASS:
        spec.range = {0, 0, 0, 0};
        spec.flags = V4L2_CTRL_FLAG_READ_ONLY | V4L2_CTRL_FLAG_WRITE_ONLY;
        break;
    default:
        break;
    }
    if (has_payload(spec)) {
        spec.flags |= V4L2_CTRL_FLAG_HAS_PAYLOAD;
    }
    return spec;
}

Result<> check_spec(const ControlSpec& spec) {
    if (!is_known(spec.type)) {
        return fail(-EINVAL, "control: type");
    }
    const bool is_class = spec.type == V4L2_CTRL_TYPE_CTRL_CLASS;
    const std::uint32_t number = spec.id & 0xffff;
    if (spec.id >= V4L2_CID_PRIVATE_BASE || V4L2_CTRL_ID2CLASS(spec.id) == 0 ||
        (is_class ? number != 1 : number < 0x900)) {
        return fail(-EINVAL, "control: id");
    }
    if (spec.name.empty() || spec.name.size() >= sizeof(v4l2_queryctrl::name)) {
        return fail(-EINVAL, "control: name");
    }
    if ((spec.flags & V4L2_CTRL_FLAG_DYNAMIC_ARRAY) != 0) {
        return fail(-EINVAL, "control: dynamic array");
    }
    const std::uint32_t unusable = V4L2_CTRL_FLAG_READ_ONLY | V4L2_CTRL_FLAG_WRITE_ONLY;
    if (!is_class && (spec.flags & unusable) == unusable) {
        return fail(-EINVAL, "control: neither read nor written");
    }
    if (has_payload(spec) && (spec.flags & V4L2_CTRL_FLAG_VOLATILE) != 0) {
        return fail(-EINVAL, "control: volatile payload");
    }
    V4LFENCE_TRY(check_dims(spec));
    return check_range(spec);
}

bool is_menu(const ControlSpec& spec) {
    return spec.type == V4L2_CTRL_TYPE_MENU || spec.type == V4L2_CTRL_TYPE_INTEGER_MENU;
}

bool is_compound(const ControlSpec& spec) {
    return spec.type >= V4L2_CTRL_COMPOUND_TYPES || dim_count(spec) > 0;
}

bool has_payload(const ControlSpec& spec) {
    return is_compound(spec) || spec.type == V4L2_CTRL_TYPE_STRING;
}

bool fits_32_bits(const ControlSpec& spec) {
    return !has_payload(spec) && spec.type != V4L2_CTRL_TYPE_INTEGER64;
}

std::uint32_t element_size(const ControlSpec& spec) {
    switch (spec.type) {
    case V4L2_CTRL_TYPE_U8:
        return sizeof(std::uint8_t);
    case V4L2_CTRL_TYPE_U16:
        return sizeof(std::uint16_t);
    case V4L2_CTRL_TYPE_INTEGER64:
        return sizeof(std::int64_t);
    case V4L2_CTRL_TYPE_STRING:
        return static_cast<std::uint32_t>(spec.range.maximum) + 1;
    default:
        return sizeof(std::int32_t);
    }
}

std::uint32_t dim_count(const ControlSpec& spec) {
    return static_cast<std::uint32_t>(std::ranges::find(spec.dims, 0U) - spec.dims.begin());
}

std::uint32_t element_count(const ControlSpec& spec) {
    std::uint32_t elements = 1;
    for (std::uint32_t dim = 0; dim < dim_count(spec); ++dim) {
        elements *= spec.dims[dim];
    }
    return elements;
}

bool has_item(const ControlSpec& spec, std::int64_t index) {
    if (index < spec.range.minimum || index > spec.range.maximum) {
        return false;
    }
    if (index < 64 && (spec.skip_mask >> index & 1) != 0) {
        return false;
    }
    return spec.type == V4L2_CTRL_TYPE_INTEGER_MENU ||
           *spec.items[static_cast<std::size_t>(index)] != '\0';
}

Result<std::int64_t> fitted(const ControlSpec& spec, std::int64_t value) {
    const ControlRange& range = spec.range;
    switch (spec.type) {
    case V4L2_CTRL_TYPE_BOOLEAN:
        return std::int64_t{value != 0};
    case V4L2_CTRL_TYPE_BITMASK:
        return value & range.maximum;
    case V4L2_CTRL_TYPE_BUTTON:
    case V4L2_CTRL_TYPE_CTRL_CLASS:
        return 0;
    case V4L2_CTRL_TYPE_MENU:
    case V4L2_CTRL_TYPE_INTEGER_MENU:
        if (value < range.minimum || value > range.maximum) {
            return fail(-ERANGE, "no such item of the menu");
        }
        if (!has_item(spec, value)) {
            return fail(-EINVAL, "skipped item of the menu");
        }
        return value;
    default:
        break;
    }
    // Unsigned, for a range of 64 bits has distances that a signed number cannot hold.
    const std::uint64_t offset =
        distance(range.minimum, std::clamp(value, range.minimum, range.maximum));
    const std::uint64_t over = offset % range.step;
    std::uint64_t fit = offset - over;
    if (over >= range.step - over) {
        fit += range.step;  // Stays within the range, which is a multiple of the step.
    }
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(range.minimum) + fit);
}

Result<> fit_elements(const ControlSpec& spec, std::span<std::byte> payload) {
    for (std::size_t at = 0; at < payload.size(); at += element_size(spec)) {
        store(spec, V4LFENCE_TRY(fitted(spec, load(spec, &payload[at]))), &payload[at]);
    }
    return {};
}

Result<> take_string(const ControlSpec& spec, std::span<const char> from,
                     std::span<std::byte> payload) {
    if (from.empty()) {
        return fail(-ERANGE, "string without memory");
    }
    // The last place of full-size memory is for the end mark: a character there is one too many.
    const std::span<const std::byte> bytes =
        std::as_bytes(from.first(std::min(from.size(), payload.size())));
    const std::size_t length = text_length(bytes);
    if (length >= payload.size()) {
        return fail(-ERANGE, "string too long");
    }
    // Without an end mark the last character is where one belongs.
    const std::size_t kept = length == bytes.size() ? length - 1 : length;
    if (!is_allowed_length(spec.range, kept)) {
        return fail(-ERANGE, "length of a string");
    }
    std::ranges::fill(payload, std::byte{0});
    std::ranges::copy(bytes.first(kept), payload.begin());
    return {};
}

void fill_default(const ControlSpec& spec, std::span<std::byte> payload) {
    if (spec.type != V4L2_CTRL_TYPE_STRING) {
        for (std::size_t at = 0; at < payload.size(); at += element_size(spec)) {
            store(spec, spec.range.default_value, &payload[at]);
        }
        return;
    }
    std::ranges::fill(payload, std::byte{0});
    const std::string_view text = spec.default_text;
    std::ranges::transform(text, payload.begin(), [](char c) { return std::byte(c); });
    if (text.empty()) {
        std::ranges::fill(payload.first(static_cast<std::size_t>(spec.range.minimum)),
                          std::byte{' '});
    }
}

std::string printed(const ControlSpec& spec, std::int64_t value,
                    std::span<const std::byte> payload) {
    if (spec.type == V4L2_CTRL_TYPE_STRING) {
        return quoted(payload);
    }
    if (!is_compound(spec)) {
        return printed_element(spec, value);
    }
    std::string text = std::to_string(element_count(spec)) + " elements";
    constexpr std::size_t shown_max = 8;
    for (std::size_t index = 0; index < element_count(spec); ++index) {
        if (index == shown_max) {
            return text + " ...";
        }
        const std::byte* const element = &payload[index * element_size(spec)];
        text += (index == 0 ? ": " : ", ") + printed_element(spec, load(spec, element));
    }
    return text;
}

}  // namespace v4lfence
