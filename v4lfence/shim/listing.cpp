// SPDX-License-Identifier: MIT

#include "v4lfence/shim/listing.hpp"

#include <fcntl.h>

#include <cerrno>

#include "v4lfence/shim/files.hpp"
#include "v4lfence/shim/next.hpp"

namespace v4lfence::shim {

namespace {

Listing listings[listings_max];
unsigned listing_count = 0;  // So that a program without any pays one load.

Listing* claim(DIR* stream, Folder folder, bool is_only_ours) {
    for (Listing& each : listings) {
        DIR* free = nullptr;
        if (__atomic_compare_exchange_n(&each.stream, &free, stream, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            each.folder = folder;
            each.is_only_ours = is_only_ours;
            each.is_real_done = is_only_ours;
            each.position = 0;
            __atomic_add_fetch(&listing_count, 1, __ATOMIC_RELEASE);
            return &each;
        }
    }
    return nullptr;
}

}  // namespace

Listing* listing_of(DIR* stream) {
    if (__atomic_load_n(&listing_count, __ATOMIC_ACQUIRE) == 0) [[likely]] {
        return nullptr;
    }
    for (Listing& each : listings) {
        if (__atomic_load_n(&each.stream, __ATOMIC_ACQUIRE) == stream) {
            return &each;
        }
    }
    return nullptr;
}

void begin_listing(DIR* stream) {
    const int error = errno;
    const int fd = dirfd(stream);
    Path path;
    if (path_of_number(fd, path)) {
        const Entry entry = look_up(path.view());
        if (entry.kind == Kind::Folder) {
            claim(stream, entry.folder, mark_of(fd) >= folder_first);
        }
    }
    errno = error;
}

DIR* open_virtual_folder(Folder folder) {
    Entry entry;
    entry.kind = Kind::Folder;
    entry.folder = folder;
    const int fd = open_entry(entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return nullptr;
    }
    DIR* stream = next<"fdopendir", DIR*(int)>(fd);
    if (stream == nullptr || claim(stream, folder, true) == nullptr) {
        set_mark(fd, unknown);
        if (stream != nullptr) {
            next<"closedir", int(DIR*)>(stream);
        } else {
            next<"close", int(int)>(fd);
        }
        errno = EMFILE;
        return nullptr;
    }
    return stream;
}

void end_listing(DIR* stream) {
    Listing* listing = listing_of(stream);
    if (listing != nullptr) {
        __atomic_sub_fetch(&listing_count, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&listing->stream, nullptr, __ATOMIC_RELEASE);
    }
    // closedir() closes the number unseen.
    fresh(dirfd(stream));
}

bool take_entry(Listing& listing, Listed& listed, NameText& storage) {
    if (!list_entry(listing.folder, listing.position, listed, storage)) {
        return false;
    }
    ++listing.position;
    return true;
}

bool is_hidden(const Listing& listing, const char* name) {
    Listed listed;
    NameText storage;
    for (unsigned i = 0; list_entry(listing.folder, i, listed, storage); ++i) {
        if (listed.name == name) {
            return true;
        }
    }
    return false;
}

}  // namespace v4lfence::shim
