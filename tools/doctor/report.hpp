// SPDX-License-Identifier: MIT
//
// A Snapshot and what is wrong in it, for a person and for a program.

#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/doctor/rules.hpp"

namespace v4lfence {

struct Diagnosis {
    Snapshot snapshot;
    WaitGraph graph;
    std::vector<Finding> findings;
    std::vector<pid_t> asked;  ///< Whose waits are told; empty: everybody's.
    std::int64_t older_than_ns = 0;
    std::int64_t took_ns = 0;
};

/// Judges the snapshot.
Diagnosis diagnose_waits(Snapshot snapshot, std::vector<pid_t> asked, std::int64_t older_than_ns);

/// A tree of who waits for whom, then a sentence for each finding. `all`: also buffers that wait
/// for nobody.
std::string diagnosis_text(const Diagnosis& diagnosis, bool all);

nlohmann::ordered_json diagnosis_json(const Diagnosis& diagnosis);

}  // namespace v4lfence
