// SPDX-License-Identifier: MIT
//
// The shim's own definitions of calls that other files of it make on the program's behalf.

#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>

#include "v4lfence/shim/numbers.hpp"

#if __SIZEOF_POINTER__ == 4
namespace v4lfence::shim {

struct LongTime {
    int64_t tv_sec;
    int32_t tv_nsec;
    int32_t padding;
};

/// struct stat of these programs, as glibc lays it out.
struct LongStat {
    uint64_t st_dev;
    uint64_t st_ino;
    uint32_t st_mode;
    uint32_t st_nlink;
    uint32_t st_uid;
    uint32_t st_gid;
    uint64_t st_rdev;
    int64_t st_size;
    int32_t st_blksize;
    int64_t st_blocks;
    LongTime st_atim;
    LongTime st_mtim;
    LongTime st_ctim;
};

}  // namespace v4lfence::shim
#endif

namespace v4lfence::shim {

using Ioctl = int(int, unsigned long, void*);

/// ioctl() of a program that reaches the kernel by `kernel`.
int ioctl_with(int fd, unsigned long request, void* argument, Ioctl* kernel);

/// `to` has become another number of the file behind `from`; `before`: what it was marked as.
/// Returns `to`.
int note_duplicate(int from, int to, Mark before);

/// A program cannot know the numbers that the library uses, so it may hit one. dup2() has an error
/// for a number that is not to be had just now.
bool is_refused_duplicate(int from, int to);

/// `to` is about to become another number of the file behind `from`: what it is now ends while it
/// still is that. Returns what is to be told to arrived().
void* leave_for(int from, int to);
void arrived(void* left);

/// dup2() and its forms, as `kernel` does it.
template <typename Kernel>
int duplicate_onto(int from, int to, Kernel kernel) {
    if (from == to) {
        return kernel();
    }
    if (is_refused_duplicate(from, to)) {
        return -1;
    }
    const Mark before = mark_of(to);
    void* const left = leave_for(from, to);
    const int result = note_duplicate(from, kernel(), before);
    arrived(left);
    return result;
}

}  // namespace v4lfence::shim

extern "C" {

int wrap_close(int fd) asm("close");
int wrap_close_range(unsigned first, unsigned last, int flags) asm("close_range");
int wrap_munmap(void* address, size_t length) asm("munmap");

int wrap_stat(const char* path, struct stat* status) asm("stat");
int wrap_stat64(const char* path, struct stat64* status) asm("stat64");
int wrap_lstat(const char* path, struct stat* status) asm("lstat");
int wrap_lstat64(const char* path, struct stat64* status) asm("lstat64");
DIR* wrap_opendir(const char* path) asm("opendir");
int wrap_closedir(DIR* folder) asm("closedir");
dirent* wrap_readdir(DIR* folder) asm("readdir");
dirent64* wrap_readdir64(DIR* folder) asm("readdir64");
#if __SIZEOF_POINTER__ == 4
int wrap___stat64_time64(const char* path, v4lfence::shim::LongStat* status) asm("__stat64_time64");
int wrap___lstat64_time64(const char* path,
                          v4lfence::shim::LongStat* status) asm("__lstat64_time64");
#endif
}
