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

/// Lowers a limit of the process for a scope.
class ResourceLimit {
public:
    using Resource = decltype(RLIMIT_NOFILE);  // In glibc's C++ an enumeration.

    ResourceLimit(Resource resource, rlim_t limit) : resource_(resource) {
        ::getrlimit(resource_, &before_);
        const rlimit lower{limit, before_.rlim_max};
        ::setrlimit(resource_, &lower);
    }
    ResourceLimit(const ResourceLimit&) = delete;
    ResourceLimit& operator=(const ResourceLimit&) = delete;
    ~ResourceLimit() { ::setrlimit(resource_, &before_); }

private:
    const Resource resource_;
    rlimit before_{};
};

/// No descriptor with the number `limit` or above can be made.
class DescriptorLimit : public ResourceLimit {
public:
    explicit DescriptorLimit(unsigned limit) : ResourceLimit(RLIMIT_NOFILE, limit) {}
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
