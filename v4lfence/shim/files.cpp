// SPDX-License-Identifier: MIT

#include "v4lfence/shim/files.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "v4lfence/shim/library.hpp"
#include "v4lfence/shim/next.hpp"

namespace v4lfence::shim {

namespace {

int fail(int error) {
    errno = error;
    return -1;
}

int real_open(const char* path, int flags) {
    return next<"open64", int(const char*, int, mode_t)>(path, flags, 0);
}

int real_close(int fd) {
    return next<"close", int(int)>(fd);
}

int marked(int fd, Mark mark) {
    if (fd >= 0 && !set_mark(fd, mark)) {
        real_close(fd);
        return fail(EMFILE);
    }
    return fd;
}

int open_node(unsigned device, int flags) {
    if ((flags & O_DIRECTORY) != 0) {
        return fail(ENOTDIR);
    }
    if ((flags & O_PATH) != 0) {
        return marked(real_open("/dev/null", flags & (O_PATH | O_CLOEXEC)),
                      static_cast<Mark>(path_only_first + device));
    }
    const v4lfence_shim_calls* calls = load_library();
    if (calls == nullptr) {
        // To load it takes descriptors as well.
        const int spare = real_open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (spare < 0) {
            return spare;
        }
        real_close(spare);
        return fail(ENODEV);
    }
    const int fd = calls->open_virtual(config().devices[device].path.c_str(), flags);
    return marked(fd, static_cast<Mark>(device_first + device));
}

/// A file in memory that nobody can change, as a text of sysfs is one that nobody can write.
int open_text(const Entry& entry, int flags) {
    if ((flags & O_DIRECTORY) != 0) {
        return fail(ENOTDIR);
    }
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0) {
        return fail(EACCES);
    }
    ItemText text;
    item_text(entry, text);
    const int fd = memfd_create("v4lfence-sysfs",
                                MFD_ALLOW_SEALING | ((flags & O_CLOEXEC) != 0 ? MFD_CLOEXEC : 0));
    if (fd < 0) {
        return fd;
    }
    fresh(fd);
    const ssize_t written =
        next<"write", ssize_t(int, const void*, size_t)>(fd, text.c_str(), text.length());
    if (written != static_cast<ssize_t>(text.length()) || lseek(fd, 0, SEEK_SET) != 0) {
        real_close(fd);
        return fail(ENOMEM);
    }
    next<"fcntl64", int(int, int, long)>(fd, F_ADD_SEALS,
                                         F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return fd;
}

/// A folder that is not really there: an empty one of /proc stands for it.
int open_folder(Folder folder, int flags) {
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0) {
        return fail(EISDIR);
    }
    const int wanted = O_DIRECTORY | (flags & (O_PATH | O_CLOEXEC | O_NONBLOCK));
    int fd = real_open("/proc/tty/ldisc", wanted);
    if (fd < 0) {
        fd = real_open("/", wanted);
    }
    return marked(fd, static_cast<Mark>(folder_first + static_cast<unsigned>(folder)));
}

}  // namespace

int open_entry(const Entry& entry, int flags) {
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        return fail(EEXIST);
    }
    switch (entry.kind) {
    case Kind::Node:
        return open_node(entry.device, flags);
    case Kind::Text:
        return open_text(entry, flags);
    case Kind::Folder:
        return open_folder(entry.folder, flags);
    case Kind::Link:
    case Kind::None:
        break;
    }
    return fail(ELOOP);
}

int reopen(int dirfd, const char* path, int flags) {
    Path link;
    if (!resolve(dirfd, path, Follow::No, link)) {
        return fail(ENXIO);
    }
    Text<32> own;
    own.append("/proc/");
    own.append(static_cast<unsigned>(getpid()));
    own.append("/fd/");
    if (!link.view().starts_with(own.view())) {
        return fail(ENXIO);
    }
    unsigned number = 0;
    for (const char* digit = link.c_str() + own.length(); *digit != '\0'; ++digit) {
        if (*digit < '0' || *digit > '9' || number >= numbers_max) {
            return fail(ENXIO);
        }
        number = number * 10 + static_cast<unsigned>(*digit - '0');
    }
    const int fd = static_cast<int>(number);
    if (mark_of(fd) == unknown) {
        take_over(fd);
    }
    const Mark mark = virtual_mark(fd);
    if (mark < device_first || mark >= path_only_first) {
        return fail(ENXIO);
    }
    return open_node(mark - device_first, flags);
}

}  // namespace v4lfence::shim
