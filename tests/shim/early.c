// SPDX-License-Identifier: MIT
//
// A program that opens a camera before anything else has run in its process, by .preinit_array; a
// library of its own that does so in a constructor; and once more at its end. The C library has no
// environment before its own start: a camera that is not found that early is found later.
//
// usage: EARLY_NODE=NODE early

#include "tests/shim/early.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"

static int first = EARLY_NOT_RUN;

static void before_everything(int argc, char** argv, char** environment) {
    (void)argc, (void)argv;
    for (; *environment != NULL; ++environment) {
        if (strncmp(*environment, "EARLY_NODE=", 11) == 0) {
            const int fd = open(*environment + 11, O_RDWR | O_CLOEXEC);
            first = fd < 0 ? errno : camera_asks(fd);
            close(fd);
        }
    }
}

__attribute__((section(".preinit_array"),
               used)) static void (*const before)(int, char**, char**) = before_everything;

__attribute__((destructor)) static void at_the_end(void) {
    const int fd = MUST(open(getenv("EARLY_NODE"), O_RDWR));
    EXPECT(camera_asks(fd) == 0, "in a destructor: %s", strerror(camera_asks(fd)));
    // It is left open, with a stream, for exit() to find.
    camera_start_file(fd);
}

int main(void) {
    const char* node = getenv("EARLY_NODE");
    EXPECT(node != NULL, "usage: EARLY_NODE=NODE early");
    EXPECT(first == 0 || first == ENOENT, "before everything: %s",
           first < 0 ? "not run" : strerror(first));
    EXPECT(early_constructed() == 0, "in a constructor: %s",
           early_constructed() < 0 ? "not run" : strerror(early_constructed()));
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 3);
    camera_stop(&camera);
    return 0;
}
