// SPDX-License-Identifier: MIT
//
// The names that the virtual devices have in /dev and /sys, as a tree beside the real one:
//
//     /dev/video80                                  the device (or another path that was asked for)
//     /dev/char/81:80                               -> ../video80
//     /dev/v4l/by-id/usb-v4lfence_camera_80-video-index0
//     /dev/v4l/by-path/platform-v4lfence.80-video-index0    -> ../../video80
//     /sys/class/video4linux/video80, /sys/dev/char/81:80   -> the next
//     /sys/devices/virtual/video4linux/video80/     uevent, dev, name, index; subsystem (a link)
//
// Folders of these that are really there are the kernel's, with our entries among its own.

#pragma once

#include "v4lfence/shim/config.hpp"

namespace v4lfence::shim {

inline constexpr std::size_t path_max = 1024;  ///< A longer one is never ours.
using Path = Text<path_max>;

enum class Folder : unsigned char {
    Dev,
    DevChar,
    DevV4l,
    DevById,
    DevByPath,
    SysClass,
    SysDevChar,
    SysDevices,
    FirstDevice,  ///< + index: a device's own in SysDevices
};

enum class Kind : unsigned char { None, Node, Link, Folder, Text };
enum class LinkFrom : unsigned char { DevChar, ById, ByPath, SysClass, SysDevChar, Subsystem };
enum class Item : unsigned char { Uevent, Dev, Name, Index };

/// What a path is in this tree.
struct Entry {
    Kind kind = Kind::None;
    unsigned char device = 0;
    union {
        Folder folder = Folder::Dev;  ///< Kind::Folder
        LinkFrom link;                ///< Kind::Link
        Item item;                    ///< Kind::Text
    };

    explicit operator bool() const { return kind != Kind::None; }
};

/// `path`: absolute, without links, ".", ".." or doubled slashes.
Entry look_up(std::string_view path);

/// As readlink() tells it.
void link_text(const Entry& link, Path& text);
/// Where the link leads, absolute.
void link_target(const Entry& link, Path& path);

std::string_view folder_path(Folder folder, Path& path);

using ItemText = Text<192>;
void item_text(const Entry& item, ItemText& text);

/// One of a folder's entries. False: there is none of this index.
struct Listed {
    std::string_view name;
    unsigned char type = 0;  ///< DT_*
    unsigned long inode = 0;
};
using NameText = Text<64>;
bool list_entry(Folder folder, unsigned index, Listed& listed, NameText& storage);

/// A path whose last parts are these may be an entry, wherever it starts.
bool may_be_entry(std::string_view before_last, std::string_view last);

/// Stable, and unlike those of real files there.
unsigned long inode_of(const Entry& entry);

}  // namespace v4lfence::shim
