// SPDX-License-Identifier: MIT
//
// Open folders that show virtual devices among what the kernel lists, or instead of it.

#pragma once

#include <dirent.h>

#include <cstring>

#include "v4lfence/shim/names.hpp"

namespace v4lfence::shim {

struct Listing {
    DIR* stream;  ///< nullptr: free
    Folder folder;
    bool is_only_ours;   ///< The folder is not really there.
    bool is_real_done;   ///< The kernel's entries have all been read.
    unsigned position;   ///< Of the next entry of ours.
    dirent64 entry;      ///< What readdir64() gave last,
    dirent short_entry;  ///< and readdir().
};

/// At the same time in a process; one more shows the kernel's entries alone.
inline constexpr unsigned listings_max = 64;

/// NULL: the kernel's alone.
Listing* listing_of(DIR* stream);

/// From now on this stream shows what is ours in the folder that it is of, if it is of one.
void begin_listing(DIR* stream);

/// A folder that is not really there. Errors: NULL and errno.
DIR* open_virtual_folder(Folder folder);

void end_listing(DIR* stream);

/// The next entry of ours. False: no more.
bool take_entry(Listing& listing, Listed& listed, NameText& storage);

/// One of ours has this name, and is shown for it.
bool is_hidden(const Listing& listing, const char* name);

/// telldir() of our entries: never what the kernel gives (those are not negative).
inline long tell_ours(const Listing& listing) {
    return -2 - static_cast<long>(listing.position);
}

template <typename Entry>
void fill_entry(const Listing& listing, const Listed& listed, Entry& entry) {
    entry.d_ino = static_cast<decltype(entry.d_ino)>(listed.inode);
    entry.d_off = static_cast<decltype(entry.d_off)>(tell_ours(listing));
    entry.d_type = listed.type;
    std::memcpy(entry.d_name, listed.name.data(), listed.name.size());
    entry.d_name[listed.name.size()] = '\0';
    constexpr std::size_t before = __builtin_offsetof(Entry, d_name);
    entry.d_reclen = static_cast<unsigned short>((before + listed.name.size() + 1 + 7) / 8 * 8);
}

}  // namespace v4lfence::shim
