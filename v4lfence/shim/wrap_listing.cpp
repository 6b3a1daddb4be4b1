// SPDX-License-Identifier: MIT
//
// opendir(3) and what reads from it; scandir(3) and glob(3), which the C library builds on its own
// readdir(), are built on this one here. Walks by ftw(3), fts(3) and getdents64(2) show the
// kernel's entries alone.

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>

#include "v4lfence/shim/calls.hpp"
#include "v4lfence/shim/listing.hpp"
#include "v4lfence/shim/next.hpp"
#include "v4lfence/shim/paths.hpp"

using namespace v4lfence::shim;

SHIM_EXPORT(DIR*, opendir, (const char* path)) {
    DIR* stream = next<"opendir", DIR*(const char*)>(path);
    if (!has_devices()) [[likely]] {
        return stream;
    }
    if (stream != nullptr) {
        fresh(dirfd(stream));
        begin_listing(stream);
        return stream;
    }
    const Entry entry = find_missing(errno, AT_FDCWD, path, Follow::Yes);
    return entry.kind == Kind::Folder ? open_virtual_folder(entry.folder) : nullptr;
}

SHIM_EXPORT(DIR*, fdopendir, (int fd)) {
    DIR* stream = next<"fdopendir", DIR*(int)>(fd);
    if (stream != nullptr && has_devices()) {
        begin_listing(stream);
    }
    return stream;
}

SHIM_EXPORT(int, closedir, (DIR * stream)) {
    if (stream != nullptr && has_devices()) {
        end_listing(stream);
    }
    return next<"closedir", int(DIR*)>(stream);
}

namespace {

/// The kernel's entries first, without those that ours are shown for, then ours.
template <typename Entry, typename Kernel>
Entry* read_entry(Listing& listing, Entry& own, Kernel kernel) {
    while (!listing.is_real_done) {
        const int error = errno;
        errno = 0;
        Entry* real = kernel();
        if (real == nullptr && errno != 0) {
            return nullptr;
        }
        errno = error;
        if (real == nullptr) {
            listing.is_real_done = true;
        } else if (!is_hidden(listing, real->d_name)) {
            return real;
        }
    }
    Listed listed;
    NameText storage;
    if (!take_entry(listing, listed, storage)) {
        return nullptr;
    }
    fill_entry(listing, listed, own);
    return &own;
}

dirent64* read_next(DIR* stream, const dirent64*) {
    return wrap_readdir64(stream);
}

dirent* read_next(DIR* stream, const dirent*) {
    return wrap_readdir(stream);
}

template <typename Entry>
int read_into(DIR* stream, Entry* entry, Entry** result) {
    const int error = errno;
    errno = 0;
    const Entry* found = read_next(stream, entry);
    const int failure = found == nullptr ? errno : 0;
    errno = error;
    *result = nullptr;
    if (found != nullptr) {
        std::memcpy(entry, found, found->d_reclen);
        *result = entry;
    }
    return failure;
}

}  // namespace

SHIM_EXPORT(dirent*, readdir, (DIR * stream)) {
    const auto kernel = [=] { return next<"readdir", dirent*(DIR*)>(stream); };
    Listing* listing = listing_of(stream);
    return listing == nullptr ? kernel() : read_entry(*listing, listing->short_entry, kernel);
}

SHIM_EXPORT(dirent64*, readdir64, (DIR * stream)) {
    const auto kernel = [=] { return next<"readdir64", dirent64*(DIR*)>(stream); };
    Listing* listing = listing_of(stream);
    return listing == nullptr ? kernel() : read_entry(*listing, listing->entry, kernel);
}

SHIM_EXPORT(int, readdir_r, (DIR * stream, dirent* entry, dirent** result)) {
    if (listing_of(stream) == nullptr) {
        return next<"readdir_r", int(DIR*, dirent*, dirent**)>(stream, entry, result);
    }
    return read_into(stream, entry, result);
}

SHIM_EXPORT(int, readdir64_r, (DIR * stream, dirent64* entry, dirent64** result)) {
    if (listing_of(stream) == nullptr) {
        return next<"readdir64_r", int(DIR*, dirent64*, dirent64**)>(stream, entry, result);
    }
    return read_into(stream, entry, result);
}

SHIM_EXPORT(void, rewinddir, (DIR * stream)) {
    if (Listing* listing = listing_of(stream)) {
        listing->is_real_done = listing->is_only_ours;
        listing->position = 0;
    }
    next<"rewinddir", void(DIR*)>(stream);
}

SHIM_EXPORT(long, telldir, (DIR * stream)) {
    const Listing* listing = listing_of(stream);
    if (listing != nullptr && listing->is_real_done) {
        return tell_ours(*listing);
    }
    return next<"telldir", long(DIR*)>(stream);
}

SHIM_EXPORT(void, seekdir, (DIR * stream, long position)) {
    if (Listing* listing = listing_of(stream)) {
        listing->is_real_done = position <= -2 || listing->is_only_ours;
        listing->position = position <= -2 ? static_cast<unsigned>(-2 - position) : 0;
        if (listing->is_real_done) {
            return;
        }
    }
    next<"seekdir", void(DIR*, long)>(stream, position);
}

namespace {

template <typename Entry>
struct Found {
    Entry** entries = nullptr;
    size_t count = 0;
    size_t room = 0;

    bool add(const Entry& entry) {
        if (count == room) {
            room = room == 0 ? 32 : room * 2;
            void* larger = realloc(entries, room * sizeof *entries);
            if (larger == nullptr) {
                return false;
            }
            entries = static_cast<Entry**>(larger);
        }
        auto* copy = static_cast<Entry*>(malloc(entry.d_reclen));
        if (copy == nullptr) {
            return false;
        }
        std::memcpy(copy, &entry, entry.d_reclen);
        entries[count++] = copy;
        return true;
    }

    int fail() {
        for (size_t i = 0; i < count; ++i) {
            free(entries[i]);
        }
        free(entries);
        errno = ENOMEM;
        return -1;
    }
};

template <typename Entry>
using Choose = int(const Entry*);
template <typename Entry>
using Compare = int(const Entry**, const Entry**);

template <typename Entry>
int scan(DIR* stream, Entry*** list, Choose<Entry>* choose, Compare<Entry>* compare) {
    Found<Entry> found;
    const int error = errno;
    while (const Entry* entry = read_next(stream, static_cast<const Entry*>(nullptr))) {
        if ((choose == nullptr || choose(entry) != 0) && !found.add(*entry)) {
            return found.fail();
        }
    }
    errno = error;
    if (compare != nullptr && found.count > 1) {
        qsort(found.entries, found.count, sizeof *found.entries,
              reinterpret_cast<int (*)(const void*, const void*)>(compare));
    }
    *list = found.entries;
    return static_cast<int>(found.count);
}

template <typename Entry, typename Kernel>
int scan_with(const char* path, Entry*** list, Choose<Entry>* choose, Compare<Entry>* compare,
              Kernel kernel) {
    if (!has_devices()) [[likely]] {
        return kernel();
    }
    DIR* stream = wrap_opendir(path);
    if (stream == nullptr) {
        return -1;
    }
    const int count =
        listing_of(stream) != nullptr ? scan(stream, list, choose, compare) : kernel();
    const int error = errno;
    wrap_closedir(stream);
    errno = error;
    return count;
}

}  // namespace

SHIM_EXPORT(int, scandir,
            (const char* path, dirent*** list, Choose<dirent>* choose, Compare<dirent>* compare)) {
    return scan_with(path, list, choose, compare, [=] {
        return next<"scandir", int(const char*, dirent***, Choose<dirent>*, Compare<dirent>*)>(
            path, list, choose, compare);
    });
}

SHIM_EXPORT(int, scandir64,
            (const char* path, dirent64*** list, Choose<dirent64>* choose,
             Compare<dirent64>* compare)) {
    return scan_with(path, list, choose, compare, [=] {
        return next<"scandir64", int(const char*, dirent64***, Choose<dirent64>*,
                                     Compare<dirent64>*)>(path, list, choose, compare);
    });
}

namespace {

/// The C library's own matching, on our folders.
template <typename Glob, typename Entry, typename Status, typename Kernel>
int glob_with(Glob* result, int flags, Entry* (*read_folder)(DIR*),
              int (*get_status)(const char*, Status*), int (*get_link_status)(const char*, Status*),
              Kernel kernel) {
    if (!has_devices() || (flags & GLOB_ALTDIRFUNC) != 0) [[likely]] {
        return kernel(flags);
    }
    result->gl_opendir = [](const char* path) -> void* { return wrap_opendir(path); };
    result->gl_closedir = [](void* stream) { wrap_closedir(static_cast<DIR*>(stream)); };
    result->gl_readdir = reinterpret_cast<decltype(result->gl_readdir)>(read_folder);
    result->gl_stat = reinterpret_cast<decltype(result->gl_stat)>(get_status);
    result->gl_lstat = reinterpret_cast<decltype(result->gl_lstat)>(get_link_status);
    const int status = kernel(flags | GLOB_ALTDIRFUNC);
    result->gl_flags &= ~GLOB_ALTDIRFUNC;
    return status;
}

}  // namespace

SHIM_EXPORT(int, glob,
            (const char* pattern, int flags, int (*on_error)(const char*, int), glob_t* result)) {
    return glob_with(result, flags, &wrap_readdir, &wrap_stat, &wrap_lstat, [=](int wanted) {
        return next<"glob", int(const char*, int, int (*)(const char*, int), glob_t*)>(
            pattern, wanted, on_error, result);
    });
}

SHIM_EXPORT(int, glob64,
            (const char* pattern, int flags, int (*on_error)(const char*, int), glob64_t* result)) {
    return glob_with(result, flags, &wrap_readdir64, &wrap_stat64, &wrap_lstat64, [=](int wanted) {
        return next<"glob64", int(const char*, int, int (*)(const char*, int), glob64_t*)>(
            pattern, wanted, on_error, result);
    });
}

#if __SIZEOF_POINTER__ == 4
SHIM_EXPORT(int, __glob64_time64,
            (const char* pattern, int flags, int (*on_error)(const char*, int), glob64_t* result)) {
    return glob_with(result, flags, &wrap_readdir64, &wrap___stat64_time64, &wrap___lstat64_time64,
                     [=](int wanted) {
                         return next<"__glob64_time64",
                                     int(const char*, int, int (*)(const char*, int), glob64_t*)>(
                             pattern, wanted, on_error, result);
                     });
}
#endif
