// SPDX-License-Identifier: MIT
//
// From the path of a call to the entry of the virtual tree that it names, if any.

#pragma once

#include "v4lfence/shim/names.hpp"

namespace v4lfence::shim {

enum class Follow : unsigned char { No, Yes };  ///< the last part, if it is a link

/// Before the kernel is asked. A path that is written as in names.hpp costs a comparison, another
/// one nothing, unless its last part is the name of a virtual device: then the file system's links
/// are followed. Folders are left to the kernel. Leaves errno alone.
Entry find_entry(int dirfd, const char* path, Follow follow);

/// After the kernel has said ENOENT (`error`; for another, none): also folders, and links of the
/// file system that lead to an entry.
Entry find_missing(int error, int dirfd, const char* path, Follow follow);

/// Follows what is in the way: `resolved` is absolute then and without links. False: too long, the
/// start is not known, or nothing is there on the way; what is not there at its end is as written.
bool resolve(int dirfd, const char* path, Follow follow, Path& resolved);

/// Where an open folder is. Errors: false
bool path_of_number(int fd, Path& path);

}  // namespace v4lfence::shim
