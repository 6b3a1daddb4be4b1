// SPDX-License-Identifier: MIT
//
// What is wrong, and who is to blame: findings of the waits in a Snapshot. Pure: the same snapshot
// has the same findings.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/doctor/wait_graph.hpp"

namespace v4lfence {

/// Who waits, or who is to act. What does not apply is empty.
struct Party {
    pid_t pid = 0;
    std::string process;
    std::string device;  ///< A device or a display.
    std::optional<unsigned> index;
    std::optional<int> fd;  ///< Of `pid`, by which it can end the fence, or waits for it.

    bool operator==(const Party&) const = default;
};

struct Finding {
    std::string rule;  ///< A word for programs: "stopped-producer".
    Party waiter;
    Party blamed;
    std::string fence;          ///< Empty: none is in it.
    std::int64_t since_ns = 0;  ///< 0: not known.
    int error = 0;              ///< Negative errno, where one says what happened.
    std::string verdict;        ///< A sentence that names both.
    std::string advice;         ///< What to do.
};

/// From the worst. Only waits that are older count; what has failed counts always. Of a fence that
/// a process merely has nobody knows how old the wait is: it counts where every wait does
/// (`older_than_ns` is 0), and the process has no queue and no display that say more.
std::vector<Finding> find_faults(const Snapshot& snapshot, const WaitGraph& graph,
                                 std::int64_t older_than_ns);

}  // namespace v4lfence
