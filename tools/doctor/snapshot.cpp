// SPDX-License-Identifier: MIT

#include "tools/doctor/snapshot.hpp"

#include <algorithm>

namespace v4lfence {

const SeenProcess* Snapshot::process(pid_t pid) const {
    const auto found = std::find_if(processes.begin(), processes.end(),
                                    [pid](const SeenProcess& seen) { return seen.pid == pid; });
    return found == processes.end() ? nullptr : &*found;
}

std::size_t Snapshot::place_of(pid_t pid) {
    if (const SeenProcess* found = process(pid)) {
        return static_cast<std::size_t>(found - processes.data());
    }
    SeenProcess fresh;
    fresh.pid = pid;
    processes.push_back(std::move(fresh));
    return processes.size() - 1;
}

}  // namespace v4lfence
