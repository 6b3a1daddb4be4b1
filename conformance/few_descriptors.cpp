// SPDX-License-Identifier: MIT

#include "conformance/few_descriptors.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <string>

namespace v4lfence {

std::set<int> descriptor_numbers() {
    std::set<int> numbers;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
        numbers.insert(std::stoi(entry.path().filename().string()));
    }
    return numbers;
}

namespace {

bool is_open(int fd) {
    std::error_code error;
    return std::filesystem::is_symlink(fmt::format("/proc/self/fd/{}", fd), error);
}

}  // namespace

FewDescriptors::FewDescriptors(unsigned free) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    std::set<int> open = descriptor_numbers();
    std::erase_if(open, [](int fd) { return !is_open(fd); });
    rlimit limit = before_;
    limit.rlim_cur = 0;
    for (unsigned found = 0;; ++limit.rlim_cur) {
        const bool taken = open.contains(static_cast<int>(limit.rlim_cur));
        if (!taken && found++ == free) {
            break;
        }
    }
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace v4lfence
