// SPDX-License-Identifier: MIT

#include "conformance/check.hpp"

#include <cstdlib>
#include <cstring>

namespace v4lfence {

std::string errno_name(int error) {
    if (error == 0) {
        return "0";
    }
    const char* name = ::strerrorname_np(std::abs(error));
    return name != nullptr ? std::string(name) : fmt::format("errno {}", std::abs(error));
}

Checked<> answers_others(int result, std::string_view what) {
    if (result == -EBUSY) {
        return skipped("this driver answers the handle that owns the queue alone");
    }
    return answers(result, 0, what);
}

Checked<> answers(int result, int error, std::string_view what) {
    CHECK(result == -error, "{} answered {}, expected {}", what, errno_name(result),
          errno_name(error));
    return {};
}

Verdict as_verdict(const Error& error) {
    return {Outcome::Failed, fmt::format("{}: {}", error.where, errno_name(error.code))};
}

}  // namespace v4lfence
