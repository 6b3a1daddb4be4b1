// SPDX-License-Identifier: MIT
//
// How a descriptor's number comes to be a file of ours, and how it ceases to be one.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/uapi/file.hpp"

namespace v4lfence::capi {

/// From now on the number is that file, which has no other.
void enter(int fd, std::unique_ptr<File> file);

/// `to` is one more number of the file behind `from`. Errors: EBADF `from` is not ours; EMFILE `to`
/// is too high a number.
Result<> share(int from, int to);

/// Which nodes of the kernel are ours to bridge.
using IsBridged = bool (*)(dev_t node);

/// The file behind the number is ours from now on, if it can be: a node, or a virtual device by a
/// descriptor that came by dup(), exec() or from another process. Where it is a file that we have
/// already by another number, this is one more. False: it is nothing of ours.
bool take_over(int fd, IsBridged is_bridged);

/// The same for a number fresh from open(), which no other number is: any video device's node.
void take_opened(int fd);

/// Is it a video device's node, whatever its driver?
bool is_video_node(dev_t node);

/// A device of the server. Errors: as RemoteDevices::open().
Result<int> open_remote(std::string_view name, int flags);

/// An in-process virtual device, "virtual:KIND". Errors: as VirtualDevices::open().
Result<int> open_virtual(std::string_view path, int flags);

/// What a file answered says that the number has become another file, which nobody told us.
bool has_become_another(int fd, const File& file, const Error& answered);

/// Is the number a file of ours, and that very file still? The kernel is asked; where it is not,
/// the number is forgotten.
bool is_ours(int fd);

/// The number is no longer that file's. Nothing is closed. `serial` as FdTable::find().
void forget(int fd, std::uint64_t serial);

}  // namespace v4lfence::capi
