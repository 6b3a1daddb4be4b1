// SPDX-License-Identifier: MIT
//
// What is in a Snapshot, in words for a person.

#pragma once

#include <cstdint>
#include <string>

#include "tools/doctor/wait_graph.hpp"

namespace v4lfence {

/// "4.1 s", "120 ms", "2 min 5 s".
std::string duration_text(std::int64_t ns);

/// "for 4.1 s"; "for a time that is not known" where `since_ns` is 0.
std::string for_text(const Snapshot& snapshot, std::int64_t since_ns);

/// "pid 4242 ffmpeg", with "(stopped by a signal)" and the like where it matters.
std::string process_text(const Snapshot& snapshot, pid_t pid);

/// "buffer 2 of /dev/video0 capture"
std::string buffer_text(const Snapshot& snapshot, const BufferPlace& place);

/// The fence with what is known of its maker: "sync_file vgem-unbound15-1 (vgem, unbound)".
std::string fence_text(const SeenFence& fence);

/// Who can end a fence by which descriptor: "pid 4242 ffmpeg (descriptor 7)".
std::string end_text(const Snapshot& snapshot, const FenceEnd& end);
/// All of them, joined by "or".
std::string ends_text(const Snapshot& snapshot, const SeenFence& fence);

/// As a sentence begins.
std::string capitalized(std::string text);

/// Of any node.
std::string node_text(const Snapshot& snapshot, const WaitNode& node);

/// What an edge's target has to do: "DQBUF", "the end of its in-fence".
const char* reason_text(WaitReason reason);
/// A word for programs: "in-fence".
const char* reason_name(WaitReason reason);
const char* node_kind_name(WaitNodeKind kind);
/// "held", "with the device", "done, not fetched", ...
const char* state_text(SlotState state);

}  // namespace v4lfence
