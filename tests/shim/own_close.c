// SPDX-License-Identifier: MIT
//
// A program that has a close() of its own and exports it, as Chromium does: everybody calls that
// one, and whoever is preloaded never hears of it.
//
// usage: own_close NODE

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"

#if !defined(__x86_64__)
#error "the bare call is known for x86-64 alone"
#endif

static int calls;

__attribute__((visibility("default"))) int close(int fd) {
    ++calls;
    long result = SYS_close;
    __asm__ volatile("syscall" : "+a"(result) : "D"((long)fd) : "rcx", "r11", "memory");
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return 0;
}

int main(int argc, char** argv) {
    EXPECT(argc == 2, "usage: own_close NODE");
    for (int round = 0; round < 4; ++round) {
        struct camera camera = camera_start(argv[1], 0);
        camera_frames(&camera, 3);
        const int number = camera.fd;
        camera_stop(&camera);
        const int fd = MUST(memfd_create("unrelated", 0));
        EXPECT(fd == number, "the camera's number %d is not free: the next file got %d", number,
               fd);
        MUST(write(fd, "no camera", 10));
        EXPECT(camera_asks(fd) == ENOTTY, "an unrelated file says %s", strerror(camera_asks(fd)));
        const char* memory = MUST(mmap(NULL, 10, PROT_READ, MAP_SHARED, fd, 0));
        EXPECT(strcmp(memory, "no camera") == 0, "mmap of an unrelated file maps something else");
        MUST(munmap((void*)memory, 10));
        MUST(close(fd));
    }
    EXPECT(calls >= 8, "the program's own close() was called %d times", calls);
    return 0;
}
