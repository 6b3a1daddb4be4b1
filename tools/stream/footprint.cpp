// SPDX-License-Identifier: MIT

#include "tools/stream/footprint.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "v4lfence/base/trace_board.hpp"

namespace v4lfence {

namespace {

/// The sum over all mappings is exact; what `status` tells lags behind by pages of each thread. Not
/// the trace board: its ring of events has a fixed size, and takes memory as it fills.
std::uint64_t resident_kib() {
    std::ifstream maps("/proc/self/smaps");
    constexpr std::string_view resident = "Rss:";
    std::uint64_t sum = 0;
    bool is_board = false;
    for (std::string line; std::getline(maps, line);) {
        if (line.find(trace_board_name) != std::string::npos) {
            is_board = true;
        } else if (line.starts_with(resident)) {
            sum += is_board ? 0 : std::strtoull(line.c_str() + resident.size(), nullptr, 10);
            is_board = false;
        }
    }
    return sum;
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
