// SPDX-License-Identifier: MIT
//
// CrcTap: the checksum of each scan-out of a display, as the kernel's debugfs tells it for drivers
// that have one (vkms reads the picture's memory by the CPU, once for each vertical blank).

#pragma once

#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence::display {

struct ScanOut {
    std::uint32_t sequence = 0;  ///< The vertical blank, as a flip tells it.
    std::uint32_t checksum = 0;
    std::int64_t read_at_ns = 0;  ///< CLOCK_MONOTONIC: by then it was over.
};

class CrcTap {
public:
    /// Of the first CRTC of a card. Gives up where there are no checksums.
    explicit CrcTap(unsigned card_number);
    ~CrcTap();
    CrcTap(const CrcTap&) = delete;
    CrcTap& operator=(const CrcTap&) = delete;

    /// What was scanned out so far.
    std::vector<ScanOut> all() const;

private:
    void run();

    UniqueFd data_;
    UniqueFd end_;  ///< An eventfd.
    mutable std::mutex mutex_;
    std::vector<ScanOut> all_;  ///< Guarded by the mutex.
    std::thread thread_;
};

}  // namespace v4lfence::display
