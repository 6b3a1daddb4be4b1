// SPDX-License-Identifier: MIT
//
// RuleCase: what one rule looks at, and the questions that several rules ask of it.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/doctor/rules.hpp"

namespace v4lfence {

struct RuleCase {
    const Snapshot& snapshot;
    WaitChain chain;            ///< Of a state: the subject alone.
    std::int64_t since_ns = 0;  ///< Of the subject's wait.
    int fd = -1;                ///< By which a process, the subject, has the fence.
};

Party party_of_process(const Snapshot& snapshot, pid_t pid);
Party party_of_queue(const Snapshot& snapshot, std::size_t queue,
                     std::optional<unsigned> index = std::nullopt);
Party party_of_display(const Snapshot& snapshot, std::size_t display);
/// With the first descriptor by which it can end the fence.
Party party_of_end(const Snapshot& snapshot, const SeenFence& fence, pid_t pid);

/// Of the subject: a queue, a buffer, a display, or the process itself.
pid_t program_of(const RuleCase& what);

/// A finding with the waiter, since when, and the last fence of the chain.
Finding begin_finding(const RuleCase& what);

/// "Buffer 2 of /dev/video0 capture (pid 4242 ffmpeg) has waited for 4.1 s"
std::string subject_text(const RuleCase& what);

/// "pipe:[4711] ← pid 4242 ffmpeg": what the chain goes through behind the subject.
std::string way_text(const RuleCase& what);

/// A sentence, with a space before it, where the kernel ends the fence by itself; else nothing.
std::string bound_text(const SeenFence& fence);

/// "write to that eventfd"
std::string how_to_end(const SeenFence& fence);

/// The last fence that the chain goes through.
const SeenFence* last_fence(const RuleCase& what);

/// The process that ends the chain, where it is waited for for this reason.
const SeenProcess* last_process(const RuleCase& what, WaitReason reason);

/// The first display that the subject waits for; not itself.
std::optional<std::size_t> display_on_the_way(const RuleCase& what);

}  // namespace v4lfence
