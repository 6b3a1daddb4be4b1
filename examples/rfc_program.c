// SPDX-License-Identifier: MIT
//
// A program as it would have been written for the kernel patches "V4L2 Explicit Synchronization",
// RFC v5, November 2017: it knows QUERYCAP, the two flags, fence_fd, and nothing of this library
// but what stands for open, ioctl, mmap and close. The lines that differ are marked so.
//
// Each frame's buffer is queued again while the consumer still reads it: the in-fence keeps the
// device away until the consumer is done.
//
//     rfc_program [DEVICE [FRAMES]]      default: /dev/video0 30; DEVICE may be virtual:camera

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <v4lfence/v4lfence.h> /* differs: its videodev2.h would have had all of this */

#define V4L2_CAP_ORDERED 0x20000000 /* as v5 defined it */

enum { buffers_wanted = 4, frame_timeout_ms = 5000 };

static int fences[VIDEO_MAX_FRAME];
static uint8_t* pixels[VIDEO_MAX_FRAME];

static void die(const char* what) {
    fprintf(stderr, "rfc_program: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void call(int fd, unsigned long request, void* argument, const char* name) {
    if (v4lfence_ioctl(fd, request, argument) < 0) { /* differs: ioctl() */
        die(name);
    }
}

static void queue(int fd, struct v4l2_buffer* buffer, int in_fence) {
    buffer->flags = V4L2_BUF_FLAG_OUT_FENCE | (in_fence >= 0 ? V4L2_BUF_FLAG_IN_FENCE : 0);
    v4l2_buffer_fence_fd(buffer) = in_fence;
    call(fd, VIDIOC_QBUF, buffer, "VIDIOC_QBUF");
    fences[buffer->index] = v4l2_buffer_fence_fd(buffer);
}

static int start(const char* path) {
    int fd = v4lfence_open(path, O_RDWR); /* differs: open() */
    if (fd < 0) {
        die(path);
    }
    v4lfence_set_rfc_caps(fd, 1); /* differs: today that bit means something else */
    struct v4l2_capability caps;
    call(fd, VIDIOC_QUERYCAP, &caps, "VIDIOC_QUERYCAP");
    if (!(caps.device_caps & V4L2_CAP_ORDERED)) {
        errno = EOPNOTSUPP;
        die("frames may come in any order");
    }
    struct v4l2_requestbuffers request = {
        .count = buffers_wanted,
        .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
        .memory = V4L2_MEMORY_MMAP,
    };
    call(fd, VIDIOC_REQBUFS, &request, "VIDIOC_REQBUFS");
    for (unsigned i = 0; i < request.count; i++) {
        struct v4l2_buffer buffer = {.index = i, .type = request.type, .memory = request.memory};
        call(fd, VIDIOC_QUERYBUF, &buffer, "VIDIOC_QUERYBUF");
        pixels[i] = v4lfence_mmap(NULL, buffer.length, PROT_READ, MAP_SHARED, fd,
                                  buffer.m.offset); /* differs: mmap() */
        if (pixels[i] == MAP_FAILED) {
            die("mmap");
        }
        queue(fd, &buffer, -1);
    }
    call(fd, VIDIOC_STREAMON, &request.type, "VIDIOC_STREAMON");
    return fd;
}

/* The consumer: says by its release fence when it has read the last pixel. */
static uint32_t consume(const uint8_t* bytes, size_t count, int release) {
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += bytes[i];
    }
    if (write(release, "", 1) != 1) {
        die("release fence");
    }
    return sum;
}

static void show_frame(int fd, unsigned index) {
    struct pollfd entry = {.fd = fences[index], .events = POLLIN};
    if (poll(&entry, 1, frame_timeout_ms) != 1) {
        errno = ETIMEDOUT;
        die("no frame");
    }
    close(fences[index]);
    struct v4l2_buffer buffer = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    call(fd, VIDIOC_DQBUF, &buffer, "VIDIOC_DQBUF");
    uint32_t sequence = buffer.sequence;
    size_t size = buffer.bytesused;

    int release[2]; /* a pipe plays the fence that a GPU or a display would give */
    if (pipe(release) < 0) {
        die("pipe");
    }
    queue(fd, &buffer, release[0]);
    close(release[0]);
    printf("frame %u, sum %08x\n", sequence, consume(pixels[buffer.index], size, release[1]));
    close(release[1]);
}

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "/dev/video0";
    int frames = argc > 2 ? atoi(argv[2]) : 30;
    if (argc > 3 || frames <= 0) {
        fprintf(stderr, "usage: %s [DEVICE [FRAMES]]\n", argv[0]);
        return 2;
    }
    int fd = start(path);
    unsigned count = 0;
    while (count < VIDEO_MAX_FRAME && pixels[count] != NULL) {
        count++;
    }
    for (int i = 0; i < frames; i++) {
        show_frame(fd, (unsigned)i % count); /* ordered: the buffers come round */
    }
    v4lfence_close(fd); /* differs: close() */
    return 0;
}
