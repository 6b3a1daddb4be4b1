// SPDX-License-Identifier: MIT
//
// Captures frames the way any V4L2 program does. Only the names of the calls differ: without a
// fence a kernel's node is used as ever, and no thread starts.
//
//     tiny_capture [DEVICE [FRAMES]]      default: /dev/video0 30; DEVICE may be virtual:camera

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <v4lfence/v4lfence.h>

enum { buffers_wanted = 4, frame_timeout_ms = 5000 };

struct camera {
    int fd;
    unsigned count;
    struct {
        void* start;
        size_t length;
    } memory[VIDEO_MAX_FRAME];
};

static void die(const char* what) {
    fprintf(stderr, "tiny_capture: %s: %s\n", what, strerror(errno));
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

static void open_camera(struct camera* camera, const char* path) {
    camera->fd = v4lfence_open(path, O_RDWR);
    if (camera->fd < 0) {
        die(path);
    }
    struct v4l2_requestbuffers request = {
        .count = buffers_wanted,
        .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
        .memory = V4L2_MEMORY_MMAP,
    };
    if (v4lfence_ioctl(camera->fd, VIDIOC_REQBUFS, &request) < 0) {
        die("VIDIOC_REQBUFS (this example knows single-planar capture only)");
    }
    camera->count = request.count;
    for (unsigned i = 0; i < camera->count; i++) {
        struct v4l2_buffer buffer = name_buffer(i);
        if (v4lfence_ioctl(camera->fd, VIDIOC_QUERYBUF, &buffer) < 0) {
            die("VIDIOC_QUERYBUF");
        }
        camera->memory[i].length = buffer.length;
        camera->memory[i].start =
            v4lfence_mmap(NULL, buffer.length, PROT_READ, MAP_SHARED, camera->fd, buffer.m.offset);
        if (camera->memory[i].start == MAP_FAILED) {
            die("mmap");
        }
        if (v4lfence_ioctl(camera->fd, VIDIOC_QBUF, &buffer) < 0) {
            die("VIDIOC_QBUF");
        }
    }
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (v4lfence_ioctl(camera->fd, VIDIOC_STREAMON, &type) < 0) {
        die("VIDIOC_STREAMON");
    }
}

/* The sum of all bytes: a stand-in for what a program does with a picture. */
static uint32_t sum(const uint8_t* bytes, size_t count) {
    uint32_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += bytes[i];
    }
    return total;
}

static void capture_frame(struct camera* camera) {
    struct pollfd entry = {.fd = camera->fd, .events = POLLIN};
    int ready = v4lfence_poll(&entry, 1, frame_timeout_ms);
    if (ready <= 0) {
        errno = ready == 0 ? ETIMEDOUT : errno;
        die("no frame");
    }
    struct v4l2_buffer buffer = name_buffer(0);
    if (v4lfence_ioctl(camera->fd, VIDIOC_DQBUF, &buffer) < 0) {
        die("VIDIOC_DQBUF");
    }
    printf("frame %u at %lld.%06lld s, sum %08x%s\n", buffer.sequence,
           (long long)buffer.timestamp.tv_sec, (long long)buffer.timestamp.tv_usec,
           sum(camera->memory[buffer.index].start, buffer.bytesused),
           buffer.flags & V4L2_BUF_FLAG_ERROR ? ", damaged" : "");
    if (v4lfence_ioctl(camera->fd, VIDIOC_QBUF, &buffer) < 0) {
        die("VIDIOC_QBUF");
    }
}

static void close_camera(struct camera* camera) {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (v4lfence_ioctl(camera->fd, VIDIOC_STREAMOFF, &type) < 0) {
        die("VIDIOC_STREAMOFF");
    }
    for (unsigned i = 0; i < camera->count; i++) {
        v4lfence_munmap(camera->memory[i].start, camera->memory[i].length);
    }
    v4lfence_close(camera->fd);
}

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "/dev/video0";
    int frames = argc > 2 ? atoi(argv[2]) : 30;
    if (argc > 3 || frames <= 0) {
        fprintf(stderr, "usage: %s [DEVICE [FRAMES]]\n", argv[0]);
        return 2;
    }
    struct camera camera;
    open_camera(&camera, path);
    for (int i = 0; i < frames; i++) {
        capture_frame(&camera);
    }
    close_camera(&camera);
    return 0;
}
