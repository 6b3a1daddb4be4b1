// SPDX-License-Identifier: MIT
//
// Each buffer is queued with an out-fence, and with the out-fence of two frames before as its
// in-fence. The out-fence stands in for whatever a pipeline waits for: a GPU, a display, another
// camera. Frames are waited for by polling their fences, not the device.
//
//     tiny_fenced_loop [DEVICE [FRAMES]]      default: /dev/video0 30; DEVICE may be virtual:camera

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <v4lfence/v4lfence.h>

/* A chain must be at least as long as the number of buffers the driver wants before it starts. */
enum { chain = 2, buffers_wanted = 4, frame_timeout_ms = 5000 };

struct loop {
    int camera;
    unsigned count;              /* buffers */
    unsigned queued;             /* submissions so far; number n uses buffer n % count */
    int fences[VIDEO_MAX_FRAME]; /* the out-fence of submission n, at n % count */
};

static void die(const char* what) {
    fprintf(stderr, "tiny_fenced_loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct v4l2_buffer name_buffer(unsigned index) {
    struct v4l2_buffer buffer = {
        .index = index,
        .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
        .memory = V4L2_MEMORY_MMAP,
    };
    return buffer;
}

static void queue_next(struct loop* loop, unsigned index) {
    struct v4l2_buffer buffer = name_buffer(index);
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    v4l2_buffer_fence_fd(&buffer) = -1;
    if (loop->queued >= chain) {
        buffer.flags |= V4L2_BUF_FLAG_IN_FENCE;
        v4l2_buffer_fence_fd(&buffer) = loop->fences[(loop->queued - chain) % loop->count];
    }
    if (v4lfence_ioctl(loop->camera, VIDIOC_QBUF, &buffer) < 0) {
        die("VIDIOC_QBUF");
    }
    loop->fences[loop->queued++ % loop->count] = v4l2_buffer_fence_fd(&buffer);
}

static void start(struct loop* loop, const char* path) {
    loop->camera = v4lfence_open(path, O_RDWR);
    if (loop->camera < 0) {
        die(path);
    }
    struct v4l2_query_fences query = {.size = sizeof query, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    if (v4lfence_ioctl(loop->camera, VIDIOC_QUERY_FENCES, &query) < 0) {
        die("VIDIOC_QUERY_FENCES");
    }
    printf("out-fences by %s, %s\n", query.provider,
           query.features & V4L2_FENCES_ORDERED ? "in order" : "in any order");
    struct v4l2_requestbuffers request = {
        .count = buffers_wanted,
        .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
        .memory = V4L2_MEMORY_MMAP,
    };
    if (v4lfence_ioctl(loop->camera, VIDIOC_REQBUFS, &request) < 0) {
        die("VIDIOC_REQBUFS (this example knows single-planar capture only)");
    }
    if (request.count <= chain) {
        errno = ENOBUFS;
        die("too few buffers for the chain");
    }
    loop->count = request.count;
    for (unsigned i = 0; i < loop->count; i++) {
        queue_next(loop, i);
    }
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (v4lfence_ioctl(loop->camera, VIDIOC_STREAMON, &type) < 0) {
        die("VIDIOC_STREAMON");
    }
}

/* The fence says that the frame is there, and how it went; DQBUF then does not wait. */
static void take_frame(struct loop* loop, unsigned number) {
    int fence = loop->fences[number % loop->count];
    struct pollfd entry = {.fd = fence, .events = POLLIN};
    int ready = poll(&entry, 1, frame_timeout_ms);
    if (ready <= 0) {
        errno = ready == 0 ? ETIMEDOUT : errno;
        die("no frame");
    }
    struct v4lfence_fence_result result;
    if (v4lfence_fence_status(fence, &result) < 0) {
        die("fence");
    }
    struct v4l2_buffer buffer = name_buffer(0);
    if (v4lfence_ioctl(loop->camera, VIDIOC_DQBUF, &buffer) < 0) {
        die("VIDIOC_DQBUF");
    }
    printf("submission %u: frame %u in buffer %u, %s\n", number, buffer.sequence, buffer.index,
           result.state == V4LFENCE_SIGNALED ? "well" : strerror(-result.error));
    close(fence); /* submission number + 2 has its own hold on it */
    queue_next(loop, buffer.index);
}

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "/dev/video0";
    int frames = argc > 2 ? atoi(argv[2]) : 30;
    if (argc > 3 || frames <= 0) {
        fprintf(stderr, "usage: %s [DEVICE [FRAMES]]\n", argv[0]);
        return 2;
    }
    struct loop loop = {.camera = -1};
    start(&loop, path);
    for (int i = 0; i < frames; i++) {
        take_frame(&loop, (unsigned)i);
    }
    v4lfence_close(loop.camera); /* ends the fences that are still pending */
    for (unsigned i = 0; i < loop.count; i++) {
        close(loop.fences[i]);
    }
    return 0;
}
