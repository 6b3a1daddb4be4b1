// SPDX-License-Identifier: MIT
//
// For tests that run out of descriptors on purpose.

#pragma once

#include <sys/resource.h>

#include <cstddef>
#include <filesystem>
#include <iterator>

namespace v4lfence::testing {

/// How many descriptors the process has open.
inline std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    // One of them is the iterator's own.
    return static_cast<std::size_t>(std::distance(begin(all), end(all))) - 1;
}

/// Lowers RLIMIT_NOFILE to `limit` for a scope: no descriptor with that number or above can be
/// made.
class DescriptorLimit {
public:
    explicit DescriptorLimit(unsigned limit) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit lower{limit, before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &lower);
    }
    DescriptorLimit(const DescriptorLimit&) = delete;
    DescriptorLimit& operator=(const DescriptorLimit&) = delete;
    ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

/// Tries `attempt(limit)` under ever higher limits until it returns true. Returns how often it
/// failed. The first limit is 1: with 0 not even poll() works.
template <class Attempt>
unsigned until_it_fits(Attempt attempt) {
    unsigned failures = 0;
    while (!attempt(failures + 1)) {
        ++failures;
    }
    return failures;
}

}  // namespace v4lfence::testing
