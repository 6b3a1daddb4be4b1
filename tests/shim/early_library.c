// SPDX-License-Identifier: MIT
//
// A library that opens a camera in its constructor: before main, and before the constructors of
// whatever is preloaded, which is not linked to it.

#include <fcntl.h>
#include <unistd.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"
#include "tests/shim/early.h"

static int constructed = EARLY_NOT_RUN;

__attribute__((constructor)) static void open_early(void) {
    const char* node = getenv("EARLY_NODE");
    if (node == NULL) {
        return;
    }
    const int fd = open(node, O_RDWR | O_CLOEXEC);
    constructed = fd < 0 ? errno : camera_asks(fd);
    if (constructed == 0) {
        struct camera camera = camera_start_file(fd);
        camera_frames(&camera, 2);
        camera_stop(&camera);
    }
}

int early_constructed(void) {
    return constructed;
}
