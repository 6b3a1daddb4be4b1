// SPDX-License-Identifier: MIT
//
// Snapshot: what is known of a machine's waits at one moment, with nothing concluded from it yet.
// collect.hpp fills it from trace boards and /proc; tests write it by hand; wait_graph.hpp says who
// waits for whom in it. Places are indexes into its vectors. All times are CLOCK_MONOTONIC in
// nanoseconds, 0: not known, or never.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "v4lfence/kms/display_trace.hpp"
#include "v4lfence/sync/queue_trace.hpp"

namespace v4lfence {

struct SeenProcess {
    pid_t pid = 0;
    std::string name;  ///< As ps shows it.
    char state = '?';  ///< As in /proc/PID/stat.
    /// Places of the fences that its threads wait for in poll() or read().
    std::vector<std::size_t> polls;

    bool stopped() const { return state == 'T' || state == 't'; }
};

enum class FenceShape : std::uint8_t { Unknown, Pipe, Socket, EventFd, SyncFile, DmaBuf };

/// A descriptor by which a program can end a fence. Those of the library are none: they are an
/// out-fence, which the queue ends.
struct FenceEnd {
    pid_t pid = 0;
    int fd = -1;  ///< -1: by a device that the process has open (vgem).

    bool operator==(const FenceEnd&) const = default;
};

/// One fence of a sync_file that is pending, as SYNC_IOC_FILE_INFO names it.
struct KernelFence {
    std::string driver;
    std::string timeline;
};

struct BufferPlace {
    std::size_t queue = 0;
    unsigned index = 0;

    bool operator==(const BufferPlace&) const = default;
};

/// A fence that somebody waits for.
struct SeenFence {
    FenceShape shape = FenceShape::Unknown;
    std::string name;  ///< "pipe:[4711]", "eventfd 12", "sync_file vgem-unbound15-1".
    std::vector<FenceEnd> ends;
    std::optional<BufferPlace> buffer;   ///< Whose out-fence it is.
    bool guessed = false;                ///< `buffer` is what fits, not what was seen.
    std::optional<std::size_t> display;  ///< Whose commit ends it.
    std::vector<KernelFence> kernel;
    bool ended = false;
    /// Why it is not known who ends it; empty: all who can are named.
    std::string unknown;
};

struct SeenBuffer {
    QueueCell cell;
    std::optional<std::size_t> in_fence;  ///< While it is pending.
};

struct SeenQueue {
    pid_t pid = 0;      ///< Whose board shows it, and who ends its fences.
    pid_t program = 0;  ///< Who uses it; another one where the device is served.
    std::string name;   ///< "/dev/video0 capture".
    std::string device;
    QueueHead head;
    int start_error = 0;  ///< Negative errno of the start by which the queue failed, where known.
    std::vector<SeenBuffer> buffers;
};

struct SeenDisplay {
    pid_t pid = 0;
    std::string name;    ///< "/dev/dri/card0 HDMI-A-1".
    std::string driver;  ///< Of the card; empty: not known.
    DisplayHead head;
    std::optional<std::size_t> in_fence;  ///< Of the commit under way, while it is pending.
    std::optional<bool> active;           ///< It is on. Empty: it could not be asked.
    /// What it shows of a commit under way is old: the picture is on screen, and the program has
    /// not fetched the event that says so.
    bool flip_unfetched = false;
    int refused = 0;  ///< Negative errno, where KMS refused its last commit.
    std::int64_t refused_at_ns = 0;

    bool off() const { return active == std::optional(false); }
};

/// A fence that a process merely has, as a descriptor of a sync_file or a dma-buf.
struct HeldFence {
    pid_t pid = 0;
    int fd = -1;
    std::size_t fence = 0;
};

struct Snapshot {
    std::int64_t now_ns = 0;
    std::vector<SeenProcess> processes;
    std::vector<SeenQueue> queues;
    std::vector<SeenFence> fences;
    std::vector<SeenDisplay> displays;
    std::vector<HeldFence> held;  ///< Pending.
    /// What could not be looked at, a sentence each.
    std::vector<std::string> unseen;

    const SeenProcess* process(pid_t pid) const;
    /// Place of a process, which is added without a name if it is not there.
    std::size_t place_of(pid_t pid);
};

}  // namespace v4lfence
