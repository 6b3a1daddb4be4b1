// SPDX-License-Identifier: MIT
//
// dispatch: what an ioctl of a virtual device does: the table of requests, what every one of them
// has to pass before its handler runs, and the handlers. A handler per ioctl, a file per group:
// ioctl_*.cpp.

#pragma once

#include <cstdint>

#include "v4lfence/base/result.hpp"
#include "v4lfence/v4l2/call.hpp"
#include "v4lfence/v4l2/file_handle.hpp"

namespace v4lfence {

/// One ioctl of the table.
struct IoctlEntry {
    std::uint32_t request = 0;
    const char* name = "";
    Result<> (*handler)(FileHandle& file, Call& call) = nullptr;

    enum Flags : std::uint8_t {
        None = 0,
        NeedsPriority = 1,   ///< It changes the device: EBUSY beside a file of higher priority.
        NeedsOwner = 2,      ///< It is about buffers: EBUSY if they are another file's.
        Unlocked = 4,        ///< Something may wait for it: not serialized with the others.
        AnswersOnError = 8,  ///< What the handler wrote goes back although it failed.
    };
    std::uint8_t flags = None;
    /// So many bytes of the argument are read; the rest is zero for the handler. 0: all.
    std::uint16_t read_bytes = 0;
};

/// NULL: not known, ENOTTY. A request of another direction or size is another request, as in the
/// kernel; but VIDIOC_QUERY_FENCES is found by type and number with any size from ours on, since it
/// may be that of a later header.
const IoctlEntry* find_ioctl(std::uint32_t request);

/// Runs it, without waiting. EAGAIN from DQBUF and ENOENT from DQEVENT mean that nothing is there
/// yet: a caller whose file is blocking waits (Queue::begin_wait(), FileHandle::event_wake()) and
/// comes again; for another they are the answer, as they are the kernel's.
/// Errors: ENOTTY the device lacks what it is for; ENODEV the device is gone; EBUSY as the flags
/// say; the handler's.
Result<> dispatch(FileHandle& file, const IoctlEntry& entry, Call& call);

}  // namespace v4lfence
