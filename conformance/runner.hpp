// SPDX-License-Identifier: MIT
//
// Judges one device. Start here to use the library: fill in Options, call run().

#pragma once

#include <span>
#include <string>
#include <vector>

#include "conformance/case.hpp"
#include "conformance/device.hpp"
#include "conformance/report.hpp"

namespace v4lfence {

struct Options {
    DeviceCalls calls = raw_calls();
    std::string path;                   ///< Of the node.
    std::string fences = "user";        ///< Who makes out-fences, and the cases' in-fences.
    std::vector<std::string> patterns;  ///< Names or globs; none: every case.
    bool slow = true;                   ///< Also cases that take ten seconds or more.
    std::string unplug_command;         ///< Run by sh to unplug the device; empty: it cannot be.
    std::vector<ReportSink*> sinks;     ///< Borrowed.

    /// No wait of a case is without bound. If a call of what is judged hangs all the same, the
    /// sinks get the case as failed after this long, and the process exits with 1. 0: wait.
    int hang_ms = 300000;
};

/// Probes the device and runs the cases one after the other. After each the descriptors of the
/// process must be what they were, and no fence pending. Of a device without fences one skipped
/// result says so, for all the cases that need them. Not from two threads at once.
Report run(const Options& options);

/// The same with other cases, and without probing: for a device that is known, and for tests.
Report run_cases(const Options& options, std::span<const Case> cases, const Facts& facts);

}  // namespace v4lfence
