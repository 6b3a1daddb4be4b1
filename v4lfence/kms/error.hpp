// SPDX-License-Identifier: MIT
//
// KmsError: what a call of the display library failed with, and a sentence for a person. Below it,
// at the calls of the kernel (drm.hpp), errors are Results without words.

#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

struct KmsError {
    int code = -EIO;       ///< Negative errno.
    std::string sentence;  ///< The thing, the reason, what to do; no full stop.
};

template <class T = void>
using Outcome = tl::expected<T, KmsError>;

/// Texts and numbers, one after the other.
template <class... Parts>
std::string words(const Parts&... parts) {
    std::string text;
    const auto append = [&text](const auto& part) {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>) {
            text += std::to_string(part);
        } else {
            text += part;
        }
    };
    (append(parts), ...);
    return text;
}

/// "Permission denied" for -EACCES.
inline std::string_view errno_words(int code) {
    const char* const text = strerrordesc_np(-code);
    return text != nullptr ? text : "unknown error";
}

template <class... Parts>
[[nodiscard]] tl::unexpected<KmsError> refuse(int code, const Parts&... parts) {
    return tl::unexpected<KmsError>(KmsError{code, words(parts...)});
}

/// A call of the kernel failed: "cannot WHAT: No space left on device".
template <class... Parts>
[[nodiscard]] tl::unexpected<KmsError> cannot_do(const Error& error, const Parts&... what) {
    return refuse(error.code, "cannot ", what..., ": ", errno_words(error.code));
}

}  // namespace v4lfence
