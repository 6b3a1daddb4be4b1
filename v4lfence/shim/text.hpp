// SPDX-License-Identifier: MIT
//
// Text: characters in place, always ended by a zero. The shim allocates nothing.

#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace v4lfence::shim {

template <std::size_t size>
class Text {
public:
    /// What does not fit is left out as a whole, and fits() is false from then on.
    void append(std::string_view more) {
        if (more.size() >= size - length_) {
            is_cut_ = true;
            return;
        }
        for (const char each : more) {
            text_[length_++] = each;
        }
        text_[length_] = '\0';
    }

    void append(unsigned number) {
        char digits[10];
        std::size_t count = 0;
        do {
            digits[sizeof digits - ++count] = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        append(std::string_view(digits + sizeof digits - count, count));
    }

    void cut(std::size_t length) {
        length_ = length;
        text_[length_] = '\0';
    }

    void assign(std::string_view text) {
        cut(0);
        append(text);
    }

    bool fits() const { return !is_cut_; }
    std::size_t length() const { return length_; }
    std::string_view view() const { return {text_, length_}; }
    const char* c_str() const { return text_; }

private:
    std::size_t length_ = 0;
    bool is_cut_ = false;
    char text_[size] = {};
};

/// Cuts off and returns what is before `separator`, or all; the separator is gone then.
inline std::string_view take_until(std::string_view& text, char separator) {
    std::size_t length = 0;
    while (length < text.size() && text[length] != separator) {
        ++length;
    }
    const std::string_view part(text.data(), length);
    text.remove_prefix(length < text.size() ? length + 1 : length);
    return part;
}

}  // namespace v4lfence::shim
