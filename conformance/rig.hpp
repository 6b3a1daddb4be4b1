// SPDX-License-Identifier: MIT
//
// Rig: what a case works with: the way to the device, what the device is like, and in-fences.

#pragma once

#include <fcntl.h>

#include <cstdint>
#include <optional>
#include <string>

#include "conformance/check.hpp"
#include "conformance/device.hpp"
#include "conformance/fence_maker.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {

/// What the device is like, found out once per run.
struct Facts {
    bool fenced = false;  ///< It has fences: by the query, or QBUF refuses an invalid one.
    bool query = false;   ///< It answers VIDIOC_QUERY_FENCES: its fences are the library's.
    bool takes_pollables =
        false;  ///< Pipes, sockets and eventfds are in-fences, not only sync_files.
    std::string driver;
    std::string card;
    std::uint32_t type = 0;  ///< enum v4l2_buf_type
    bool multi_planar = false;
    bool has_read = false;       ///< V4L2_CAP_READWRITE
    std::uint32_t memory = 0;    ///< V4L2_BUF_CAP_* of stock kernels, as reported.
    unsigned buffers_max = 0;    ///< How many of 64 wanted buffers REQBUFS gave.
    unsigned start_minimum = 1;  ///< Queued buffers without which no frame ever comes.
    unsigned keeps = 0;  ///< Queued buffers that the device does not give back while it streams.
    std::uint32_t features = 0;  ///< V4L2_FENCES_*; without the query what an out-fence shows.
    std::string provider;        ///< "kernel" without the query.
    unsigned bound_ms = 0;

    bool errors() const { return (features & V4L2_FENCES_ERRORS) != 0; }
    bool ordered() const { return (features & V4L2_FENCES_ORDERED) != 0; }
    bool kernel_waitable() const { return (features & V4L2_FENCES_KERNEL_WAITABLE) != 0; }

    /// So many queued buffers make the oldest come back.
    unsigned needed() const { return start_minimum > keeps ? start_minimum : keeps + 1; }
};

/// Thread: open() may be called from any thread, the rest from the case's own.
class Rig {
public:
    Rig(const DeviceCalls& calls, std::string path, std::string provider, Facts facts)
        : calls_(calls), path_(std::move(path)), provider_(std::move(provider)),
          facts_(std::move(facts)) {}

    const DeviceCalls& calls() const { return calls_; }
    const std::string& path() const { return path_; }
    const Facts& facts() const { return facts_; }

    /// The name of --fences.
    const std::string& provider() const { return provider_; }

    std::string unplug_command;  ///< Empty: the device cannot be unplugged.

    /// Opens the node; it is not fenced yet.
    Checked<Device> open(int flags = O_RDWR | O_NONBLOCK) const;

    /// Whether there is a kernel's node behind what is judged.
    bool has_node() const { return !path_.starts_with("virtual:") && facts_.driver != "v4lfence"; }

    /// Whether poll() can say POLLERR. Of a virtual device's file the kernel answers a preloaded
    /// program, and the file is a socket.
    bool polls_errors() const { return has_node() || !calls_.preloaded; }

    /// Whether out-fences answer the ioctls of sync_files: to a preloaded program all of them do.
    bool answers_as_sync_files() const { return facts_.kernel_waitable() || calls_.preloaded; }

    /// A node of its own, from the kernel. Skipped where no other than that is judged.
    Checked<Device> open_raw(int flags = O_RDWR | O_NONBLOCK) const;

    /// Chooses --fences for a file: it is fenced from then on. Nothing is to be chosen of the
    /// kernel's own fences.
    Checked<> choose_provider(const Device& device) const;

    /// A pending fence of the kind of --fences.
    Checked<TestFence> fence();
    /// A pending fence that can end with an error.
    Checked<TestFence> failing_fence();

    /// A query of this buffer type, filled in.
    v4l2_query_fences query() const;

    Checked<CallStats> stats() const;

    /// The case is over: what it made in-fences with goes.
    void forget_fences();

private:
    DeviceCalls calls_;
    std::string path_;
    std::string provider_;
    Facts facts_;
    std::optional<FenceMaker> maker_;
    std::optional<FenceMaker> failing_maker_;
};

/// Out-fences of the library that have not ended; 0 where there are no counters.
std::uint64_t fences_pending(const Rig& rig);

}  // namespace v4lfence
