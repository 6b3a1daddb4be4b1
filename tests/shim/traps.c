// SPDX-License-Identifier: MIT
//
// usage: traps --list
//        traps NAME NODE              one trap
//        traps --inherited FD         for the traps themselves: a stream that another program left
//        traps --receive FD           the same, by a message
//        traps --fetch PID FD         the same, by pidfd_getfd()

#include "tests/shim/traps.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"

enum { words_max = 8, inherited_buffers = 4, inherited_frames = 8 };

static const struct trap* const groups[] = {traps_calls,   traps_descriptors, traps_limits,
                                            traps_opening, traps_processes,   traps_threads};
enum { group_count = sizeof(groups) / sizeof(groups[0]) };

long unseen_syscall(long number, long first, long second, long third) {
#if defined(__x86_64__)
    long result = number;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
#else
    (void)number, (void)first, (void)second, (void)third;
    SKIP("no way around the C library on this machine");
#endif
}

void exec_self(const char* first, ...) {
    const char* words[words_max] = {"traps", first};
    va_list rest;
    va_start(rest, first);
    for (int i = 2; i < words_max - 1 && words[i - 1] != NULL; ++i) {
        words[i] = va_arg(rest, const char*);
    }
    va_end(rest);
    execv("/proc/self/exe", (char* const*)words);
    FAIL("exec: %s", strerror(errno));
}

static void stream_on(int fd) {
    EXPECT(camera_asks(fd) == 0, "the file that came from elsewhere says %s to QUERYCAP",
           strerror(camera_asks(fd)));
    struct camera camera = camera_take_over(fd, inherited_buffers);
    camera_frames(&camera, inherited_frames);
    camera_stop(&camera);
}

static int receive(int socket) {
    char byte;
    struct iovec data = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    EXPECT(MUST(recvmsg(socket, &message, 0)) == 1, "no descriptor came");
    int fd = -1;
    memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
    return fd;
}

static int fetch(int pid, int number) {
    const int process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0) {
        SKIP("no pidfd here: %s", strerror(errno));
    }
    const int fd = (int)syscall(SYS_pidfd_getfd, process, number, 0);
    if (fd < 0) {
        SKIP("no pidfd_getfd here: %s", strerror(errno));
    }
    return fd;
}

static int list(void) {
    for (unsigned group = 0; group < group_count; ++group) {
        for (const struct trap* trap = groups[group]; trap->name != NULL; ++trap) {
            printf("%s\n", trap->name);
        }
    }
    return 0;
}

static int run(const char* name, const char* node) {
    for (unsigned group = 0; group < group_count; ++group) {
        for (const struct trap* trap = groups[group]; trap->name != NULL; ++trap) {
            if (strcmp(trap->name, name) == 0) {
                trap->run(node);
                return 0;
            }
        }
    }
    fprintf(stderr, "traps: no trap %s\n", name);
    return 2;
}

int main(int argc, char** argv) {
    const char* word = argc > 1 ? argv[1] : "";
    if (argc == 2 && strcmp(word, "--list") == 0) {
        return list();
    }
    if (argc == 3 && strcmp(word, "--inherited") == 0) {
        stream_on(atoi(argv[2]));
        return 0;
    }
    if (argc == 3 && strcmp(word, "--receive") == 0) {
        stream_on(receive(atoi(argv[2])));
        return 0;
    }
    if (argc == 4 && strcmp(word, "--fetch") == 0) {
        stream_on(fetch(atoi(argv[2]), atoi(argv[3])));
        return 0;
    }
    if (argc == 3) {
        return run(word, argv[2]);
    }
    fprintf(stderr, "usage: traps --list | traps NAME NODE\n");
    return 2;
}
