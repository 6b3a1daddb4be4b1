/* SPDX-License-Identifier: MIT */
/*
 * What the shim (libv4lfence-preload.so, which depends on nothing but the C library) and
 * libv4lfence.so say to each other. Both come from one build; the version says so.
 *
 * The shim knows paths, names and which numbers are ours; the library knows files. The shim loads
 * the library when a device is first opened, or found to be one: until then a program has nothing
 * of it but a table of bytes.
 */
#ifndef V4LFENCE_SHIM_ABI_H
#define V4LFENCE_SHIM_ABI_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define V4LFENCE_SHIM_ABI 2
#define V4LFENCE_WRAPPED_MAX 64

/* The C library's own, as the shim found them behind itself. */
struct v4lfence_libc {
    int (*open)(const char* path, int flags, ...);
    int (*close)(int fd);
    int (*ioctl)(int fd, unsigned long request, ...);
    int (*fcntl)(int fd, int command, ...);
    ssize_t (*read)(int fd, void* buffer, size_t count);
    ssize_t (*write)(int fd, const void* buffer, size_t count);
    void* (*mmap)(void* addr, size_t length, int prot, int flags, int fd, off_t offset);
    int (*munmap)(void* addr, size_t length);
    int (*poll)(struct pollfd* fds, nfds_t count, int timeout_ms);
    int (*select)(int nfds, fd_set* readable, fd_set* writable, fd_set* exceptional,
                  struct timeval* timeout);
    int (*epoll_ctl)(int epfd, int op, int fd, struct epoll_event* event);
    int (*fstat)(int fd, struct stat* status);
    /* Not the C library's: the number is the library's own until it goes by `close`. */
    void (*keep)(int fd);
};

struct v4lfence_shim_settings {
    const char* server;   /* where the virtual devices live; NULL: there are none */
    const char* provider; /* of fences, for files that come to use them; NULL: "auto" */
    int rfc_caps;
    unsigned wrapped_count;
    dev_t wrapped[V4LFENCE_WRAPPED_MAX]; /* the nodes that are bridged */
};

/* Each behaves as the system call of its name: -1 (MAP_FAILED) and errno. None waits but as that
 * call would. */
struct v4lfence_shim_calls {
    unsigned version;

    /* Opens the server's device of this name, such as "/dev/video80". `flags` as open(2). Errors:
     * ENODEV the server, or the device, is gone; EACCES the server is another user's. */
    int (*open_virtual)(const char* name, int flags);

    /* Is the file behind this number ours: a wrapped node, or a virtual device that came by dup(),
     * exec() or from another process? Takes it over then, together with those of its numbers that
     * are known. Returns 1, or 0. Leaves errno alone. */
    int (*take_over)(int fd);

    /* `to` has become another number of the file behind `from`, which is ours; what `to` was
     * before is closed. */
    void (*same_file)(int from, int to);

    /* The number is about to become another file, by dup2(): ends what is there while it still is
     * there. Returns what left() is to be told when that is done; NULL: nothing. */
    void* (*leave)(int fd);
    void (*left)(void* file);

    /* 0: a child that was made by other means than fork(), and may share this memory. What it
     * does with its numbers is nothing that this process' files should hear of. */
    int (*is_this_process)(void);

    /* Numbers for which take_over() said 1, or that open_virtual() or same_file() gave. Where the
     * number has become another file unseen, it is forgotten (is_ours() says so), and the call is
     * the C library's. */
    int (*ioctl)(int fd, unsigned long request, void* argument);
    int (*close)(int fd);
    void* (*mmap)(void* addr, size_t length, int prot, int flags, int fd, int64_t offset);
    ssize_t (*read)(int fd, void* buffer, size_t count);
    ssize_t (*write)(int fd, const void* buffer, size_t count);
    int (*is_ours)(int fd);

    /* Any number, any address. */
    int (*munmap)(void* addr, size_t length);
    int (*poll)(struct pollfd* fds, nfds_t count, int timeout_ms);
    int (*select)(int nfds, fd_set* readable, fd_set* writable, fd_set* exceptional,
                  struct timeval* timeout);
    int (*epoll_ctl)(int epfd, int op, int fd, struct epoll_event* event);

    /* SYNC_IOC_FILE_INFO, SYNC_IOC_MERGE and SYNC_IOC_SET_DEADLINE on an out-fence of ours that is
     * no sync_file, after the kernel has said ENOTTY. Errors: ENOTTY it is no fence of ours. */
    int (*sync_ioctl)(int fd, unsigned long request, void* argument);
};

/* Once, before any other call of the library. NULL: another version. `libc` and `settings` are
 * copied. */
const struct v4lfence_shim_calls*
v4lfence_shim_attach(unsigned version, const struct v4lfence_libc* libc,
                     const struct v4lfence_shim_settings* settings);

#ifdef __cplusplus
}
#endif

#endif
