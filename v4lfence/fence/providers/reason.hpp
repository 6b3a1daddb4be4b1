// SPDX-License-Identifier: MIT
//
// Why a machine lacks something, in words for a person.

#pragma once

#include <cstring>
#include <string>
#include <string_view>

namespace v4lfence {

/// "cannot open /dev/dri/renderD128: Permission denied"; `error` is a negative errno.
inline std::string cannot(std::string_view what, std::string_view object, int error) {
    const char* const text = strerrordesc_np(-error);
    std::string reason("cannot ");
    reason.append(what).append(" ").append(object).append(": ");
    return reason.append(text != nullptr ? text : "unknown error");
}

}  // namespace v4lfence
