// SPDX-License-Identifier: MIT

#include "tools/stream/footprint.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace v4lfence {

namespace {

/// The sum over all mappings is exact; what `status` tells lags behind by pages of each thread.
std::uint64_t resident_kib() {
    std::ifstream rollup("/proc/self/smaps_rollup");
    std::string word;
    while (rollup >> word) {
        std::uint64_t value = 0;
        if (word == "Rss:" && rollup >> value) {
            return value;
        }
    }
    return 0;
}

std::uint64_t open_descriptors() {
    std::error_code ignored;
    const std::filesystem::directory_iterator list("/proc/self/fd", ignored);
    const auto count = std::distance(std::filesystem::begin(list), std::filesystem::end(list));
    // One of them is that of the list.
    return count > 0 ? static_cast<std::uint64_t>(count - 1) : 0;
}

}  // namespace

Footprint measure_footprint() {
    return {resident_kib(), open_descriptors()};
}

}  // namespace v4lfence
