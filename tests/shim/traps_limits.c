// SPDX-License-Identifier: MIT
//
// Little room for descriptors, and a device whose server dies.

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"
#include "tests/shim/traps.h"

static void limit_descriptors(rlim_t count) {
    const struct rlimit limit = {count, count};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
}

static void stream_fenced(const char* node, unsigned frames) {
    struct camera camera = camera_start(node, 0);
    for (unsigned frame = 0; frame < frames; ++frame) {
        const int fence = camera_queue_fenced(&camera, camera_next(&camera).index);
        struct pollfd entry = {fence, POLLIN, 0};
        EXPECT(MUST(poll(&entry, 1, patience_ms)) == 1, "an out-fence stays pending");
        MUST(close(fence));
    }
    camera_stop(&camera);
}

static void stream_within(const char* node, rlim_t descriptors) {
    limit_descriptors(descriptors);
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 10);
    camera_stop(&camera);
    stream_fenced(node, 10);
}

static void descriptors_16(const char* node) {
    stream_within(node, 16);
}

static void descriptors_32(const char* node) {
    stream_within(node, 32);
}

static void descriptors_64(const char* node) {
    stream_within(node, 64);
}

static unsigned fill(int* numbers, unsigned max) {
    unsigned count = 0;
    while (count < max && (numbers[count] = open("/dev/null", O_RDWR)) >= 0) {
        ++count;
    }
    EXPECT(count < max && errno == EMFILE, "descriptors did not run out");
    return count;
}

// None left: open() says so, and a stream goes on as far as it needs none.
static void descriptors_run_out(const char* node) {
    enum { limit = 64 };
    limit_descriptors(limit);
    int numbers[limit];
    unsigned count = fill(numbers, limit);
    MUST_FAIL(open(node, O_RDWR), EMFILE);
    for (unsigned i = 0; i < count; ++i) {
        MUST(close(numbers[i]));
    }
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    count = fill(numbers, limit);
    camera_frames(&camera, 6);
    // No room for a fence: the buffer stays the program's.
    struct v4l2_buffer buffer = camera_next(&camera);
    const unsigned index = buffer.index;
    buffer = camera_buffer(index);
    buffer.flags = BUF_FLAG_OUT_FENCE;
    MUST_FAIL(ioctl(camera.fd, VIDIOC_QBUF, &buffer), EMFILE);
    for (unsigned i = 0; i < count; ++i) {
        MUST(close(numbers[i]));
    }
    MUST(close(camera_queue_fenced(&camera, index)));
    camera_frames(&camera, 4);
    camera_stop(&camera);
}

static unsigned entries(const char* folder) {
    DIR* all = opendir(folder);
    EXPECT(all != NULL, "opendir %s: %s", folder, strerror(errno));
    unsigned count = 0;
    while (readdir(all) != NULL) {
        ++count;
    }
    closedir(all);
    return count;
}

// A program that opens no camera has nothing of ours but the wrappers.
static void nothing_until_opened(const char* node) {
    (void)node;
    const int fd = MUST(open("/dev/null", O_RDWR));
    MUST(close(fd));
    // The folder itself, and the descriptors of three standard files and of opendir().
    const unsigned descriptors = entries("/proc/self/fd") - 2;
    EXPECT(descriptors <= 4, "%u descriptors are open", descriptors);
    EXPECT(entries("/proc/self/task") == 3, "%u threads run", entries("/proc/self/task") - 2);
    FILE* maps = fopen("/proc/self/maps", "r");
    EXPECT(maps != NULL, "maps: %s", strerror(errno));
    char line[512];
    int preloaded = 0;
    while (fgets(line, sizeof(line), maps) != NULL) {
        preloaded |= strstr(line, "libv4lfence-preload.so") != NULL;
        EXPECT(strstr(line, "libv4lfence.so") == NULL, "the library is loaded: %s", line);
    }
    EXPECT(preloaded, "the program is not preloaded at all");
    fclose(maps);
}

// What our parent hosts is gone with it. Of a kernel's node nothing is in our parent.
static void server_is_killed(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 3);
    const unsigned index = camera_next(&camera).index;
    const int fence = camera_queue_fenced(&camera, index);
    MUST(kill(getppid(), SIGKILL));
    struct pollfd entry = {fence, POLLIN, 0};
    EXPECT(MUST(poll(&entry, 1, patience_ms)) == 1, "an out-fence outlives its maker");
    entry.fd = camera.fd;
    do {
        EXPECT(MUST(poll(&entry, 1, patience_ms)) == 1, "poll does not tell of the end");
    } while (!(entry.revents & (POLLHUP | POLLERR)) && poll(NULL, 0, 1) == 0);
    struct v4l2_buffer buffer = camera_buffer(0);
    MUST_FAIL(ioctl(camera.fd, VIDIOC_DQBUF, &buffer), ENODEV);
    MUST_FAIL(ioctl(camera.fd, VIDIOC_QUERYCAP, &buffer), ENODEV);
    // The memory is the program's still.
    memset(camera.memory[0], 1, camera.length[0]);
    MUST(close(camera.fd));
    MUST_FAIL(open(node, O_RDWR), ENODEV);
    MUST(close(fence));
    printf("outlived\n");  // Nobody else tells of our end.
}

const struct trap traps_limits[] = {
    {"descriptors-16", descriptors_16},
    {"descriptors-32", descriptors_32},
    {"descriptors-64", descriptors_64},
    {"descriptors-run-out", descriptors_run_out},
    {"nothing-until-opened", nothing_until_opened},
    {"server-is-killed", server_is_killed},
    {NULL, NULL},
};
