// SPDX-License-Identifier: MIT
//
// What stat(2) says of the entries of the virtual tree.

#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "v4lfence/shim/names.hpp"
#include "v4lfence/shim/next.hpp"

namespace v4lfence::shim {

struct Attributes {
    unsigned mode = 0;
    unsigned links = 1;
    unsigned inode = 0;
    unsigned long size = 0;
    unsigned device_major = 0;
    unsigned device_minor = 0;
    bool is_owned = false;        ///< By the caller; otherwise by root.
    const char* beside = "/sys";  ///< Whose st_dev and times it has.
};

Attributes attributes_of(const Entry& entry);

/// The device's node.
Entry node_entry(unsigned device);

/// What a number was marked as; Kind::None: what the kernel says of it holds.
Entry entry_of_number(int fd);

template <typename Time>
void set_time(Time& time, const timespec& value) {
    time.tv_sec = static_cast<decltype(time.tv_sec)>(value.tv_sec);
    time.tv_nsec = static_cast<decltype(time.tv_nsec)>(value.tv_nsec);
}

/// `Status`: struct stat or struct stat64
template <typename Status>
int fill(const Entry& entry, Status* status) {
    const Attributes attributes = attributes_of(entry);
    struct stat64 beside {};
    next<"stat64", int(const char*, struct stat64*)>(attributes.beside, &beside);
    *status = Status{};
    status->st_dev = beside.st_dev;
    status->st_ino = attributes.inode;
    status->st_mode = attributes.mode;
    status->st_nlink = attributes.links;
    status->st_uid = attributes.is_owned ? geteuid() : 0;
    status->st_gid = attributes.is_owned ? getegid() : 0;
    status->st_rdev = makedev(attributes.device_major, attributes.device_minor);
    status->st_size = static_cast<decltype(status->st_size)>(attributes.size);
    status->st_blksize = 4096;
    set_time(status->st_atim, beside.st_atim);
    set_time(status->st_mtim, beside.st_mtim);
    set_time(status->st_ctim, beside.st_ctim);
    return 0;
}

int fill(const Entry& entry, struct statx* status);

}  // namespace v4lfence::shim
