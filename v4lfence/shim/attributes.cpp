// SPDX-License-Identifier: MIT

#include "v4lfence/shim/attributes.hpp"

#include <fcntl.h>

#include "v4lfence/shim/library.hpp"

namespace v4lfence::shim {

namespace {

/// Those of /dev are on another file system than those of /sys.
bool is_of_dev(const Entry& entry) {
    switch (entry.kind) {
    case Kind::Node:
        return true;
    case Kind::Link:
        return entry.link <= LinkFrom::ByPath;
    case Kind::Folder:
        return entry.folder <= Folder::DevByPath;
    default:
        return false;
    }
}

}  // namespace

Attributes attributes_of(const Entry& entry) {
    Attributes attributes;
    attributes.inode = static_cast<unsigned>(inode_of(entry));
    attributes.beside = is_of_dev(entry) ? "/dev" : "/sys";
    Path text;
    switch (entry.kind) {
    case Kind::Node:
        attributes.mode = S_IFCHR | 0660;
        attributes.is_owned = true;
        attributes.device_major = video_major;
        attributes.device_minor = config().devices[entry.device].minor;
        break;
    case Kind::Link:
        link_text(entry, text);
        attributes.mode = S_IFLNK | 0777;
        attributes.size = text.length();
        break;
    case Kind::Folder:
        attributes.mode = S_IFDIR | 0755;
        attributes.links = 2;
        break;
    case Kind::Text:
        attributes.mode = S_IFREG | 0444;
        attributes.size = 4096;
        break;
    case Kind::None:
        break;
    }
    return attributes;
}

Entry node_entry(unsigned device) {
    Entry entry;
    entry.kind = Kind::Node;
    entry.device = static_cast<unsigned char>(device);
    return entry;
}

Entry entry_of_number(int fd) {
    Mark mark = mark_of(fd);
    if (is_virtual_file(mark)) {
        mark = virtual_mark(fd);
        return mark >= device_first && mark < path_only_first ? node_entry(mark - device_first)
                                                              : Entry{};
    }
    if (mark < path_only_first) {
        return {};
    }
    if (mark < folder_first) {
        return node_entry(mark - path_only_first);
    }
    Entry folder;
    folder.kind = Kind::Folder;
    folder.folder = static_cast<Folder>(mark - folder_first);
    return folder;
}

int fill(const Entry& entry, struct statx* status) {
    const Attributes attributes = attributes_of(entry);
    *status = {};
    next<"statx", int(int, const char*, int, unsigned, struct statx*)>(
        AT_FDCWD, attributes.beside, 0, STATX_BASIC_STATS, status);
    status->stx_mask = STATX_BASIC_STATS;
    status->stx_attributes = 0;
    status->stx_blksize = 4096;
    status->stx_blocks = 0;
    status->stx_nlink = attributes.links;
    status->stx_uid = attributes.is_owned ? geteuid() : 0;
    status->stx_gid = attributes.is_owned ? getegid() : 0;
    status->stx_mode = static_cast<decltype(status->stx_mode)>(attributes.mode);
    status->stx_ino = attributes.inode;
    status->stx_size = attributes.size;
    status->stx_rdev_major = attributes.device_major;
    status->stx_rdev_minor = attributes.device_minor;
    return 0;
}

}  // namespace v4lfence::shim
