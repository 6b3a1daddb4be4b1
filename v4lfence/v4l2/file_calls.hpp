// SPDX-License-Identifier: MIT
//
// What a program does with an open file beside ioctls, for whoever serves it: in its own process
// (VirtualFile) or from another one.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "v4lfence/uapi/file.hpp"
#include "v4lfence/v4l2/dispatch.hpp"
#include "v4lfence/v4l2/file_handle.hpp"
#include "v4lfence/vb2/file_io.hpp"

namespace v4lfence::file_calls {

/// Is `error` of this ioctl one for which a blocking file waits?
bool is_nothing_yet(const IoctlEntry& entry, const Error& error);

/// That error, or a wait: as the program has opened the file, or changed its mind since. `fd` is
/// any of its numbers.
Result<FileAnswer> nothing_yet(int fd, const Error& error);

/// What a file answers in a forked child when it is the parent's.
tl::unexpected<Error> parents();

/// read(2), without waiting. Errors: EAGAIN nothing yet; as FileIo::read(); EBUSY another file has
/// the queue; ENODEV. `caller`, here and below: as Queue::dequeue().
Result<std::size_t> read(FileHandle& file, ReadTarget& target, int caller);

struct MapRequest {
    std::size_t length = 0;
    int protection = 0;
    int flags = 0;
    std::int64_t offset = 0;
};
/// mmap(2): what there is to map. Errors: as mmap(2) of a V4L2 node.
Result<Queue::Mappable> find_mappable(FileHandle& file, const MapRequest& request);

/// File::begin_wait() and end_wait().
Result<WaitPlan> begin_wait(FileHandle& file, const Awaited& awaited, int caller);
Result<> end_wait(FileHandle& file, const Awaited& awaited, const WaitPlan& plan, int caller);
/// Whoever looks at the descriptor of that caller's wait looks again. The wait goes on.
void wake_waiter(FileHandle& file, const Awaited& awaited, int caller);

/// The file counts as fenced from then on. Errors: EINVAL no such provider; ENODEV the machine
/// lacks it.
Result<> set_provider(FileHandle& file, std::string_view name);
void set_deadline(FileHandle& file, unsigned deadline_ms);
/// Errors: as check_implicit().
Result<> set_implicit(FileHandle& file, unsigned flags);
void set_rfc_caps(FileHandle& file, bool on);
void set_fence_names(FileHandle& file, bool on);

File::TypedExpiry last_expiry(const FileHandle& file);

}  // namespace v4lfence::file_calls
