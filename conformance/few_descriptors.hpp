// SPDX-License-Identifier: MIT
//
// FewDescriptors: a process that runs out of descriptors, when a case wants it to.

#pragma once

#include <sys/resource.h>

#include <set>

namespace v4lfence {

/// Of all that are open, and of the listing itself, which is closed by now.
std::set<int> descriptor_numbers();

/// While it lives, so many more descriptors can be opened, and no more.
class FewDescriptors {
public:
    explicit FewDescriptors(unsigned free);
    FewDescriptors(const FewDescriptors&) = delete;
    FewDescriptors& operator=(const FewDescriptors&) = delete;
    ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

}  // namespace v4lfence
