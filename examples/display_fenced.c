// SPDX-License-Identifier: MIT
//
// A camera on a display with fences both ways. A buffer goes to the display before its frame
// exists: the camera's out-fence is the in-fence of the commit. What the commit returns ends when
// the frame is on screen, so it is the in-fence of the buffer that was on screen before, which goes
// back to the camera at once. The program waits for flips alone: a display takes one at a time.
//
//     display_fenced [DEVICE [FRAMES]]      default: /dev/video0 30; DEVICE may be virtual:camera
//
// Needs the module vgem, whose fences a display can wait for, and a console without a desktop.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <v4lfence/kms.h>
#include <v4lfence/v4lfence.h>

enum { width = 640, height = 480, buffers = 4, flip_timeout_ms = 10000 };

/* XR24 in both worlds: V4L2's name of it is XBGR32, DRM's is XRGB8888. */
#define FORMAT V4L2_PIX_FMT_XBGR32

static int camera;
static struct v4lfence_display* display;
static struct v4lfence_picture memory[buffers]; /* the display's, which the camera writes to */
static int pictures[buffers], done[buffers];    /* their numbers; the camera's out-fences */

static void die(const char* what, const char* why) {
    fprintf(stderr, "display_fenced: %s: %s\n", what, why);
    exit(1);
}

static void call(unsigned long request, void* argument, const char* name) {
    if (v4lfence_ioctl(camera, request, argument) < 0) {
        die(name, strerror(errno));
    }
}

static void open_display(void) {
    char why[512];
    struct v4lfence_display_choice choice = {
        .size = sizeof choice, .width = width, .height = height, .fourcc = FORMAT};
    display = v4lfence_display_open(&choice, why, sizeof why);
    if (display == NULL) {
        die("no display", why);
    }
    for (int i = 0; i < buffers; i++) {
        memory[i] = (struct v4lfence_picture){
            .size = sizeof memory[i], .width = width, .height = height, .fourcc = FORMAT};
        pictures[i] = v4lfence_display_allocate(display, &memory[i]);
        if (pictures[i] < 0) {
            die("no memory for pictures", v4lfence_display_error(display));
        }
    }
}

static void open_camera(const char* path) {
    camera = v4lfence_open(path, O_RDWR);
    if (camera < 0) {
        die(path, strerror(errno));
    }
    if (v4lfence_set_provider(camera, "vgem") < 0) {
        const char* reason = v4lfence_provider_reason("vgem");
        die("fences of vgem", reason != NULL ? reason : strerror(errno));
    }
}

/* The camera may write to the buffer once `in_fence` has ended; -1: now. */
static void queue(unsigned index, int in_fence) {
    struct v4l2_buffer buffer = {
        .index = index,
        .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
        .memory = V4L2_MEMORY_DMABUF,
        .flags = V4L2_BUF_FLAG_OUT_FENCE | (in_fence >= 0 ? V4L2_BUF_FLAG_IN_FENCE : 0),
    };
    buffer.m.fd = memory[index].planes[0].fd;
    v4l2_buffer_fence_fd(&buffer) = in_fence;
    call(VIDIOC_QBUF, &buffer, "VIDIOC_QBUF");
    done[index] = v4l2_buffer_fence_fd(&buffer);
}

static void start_camera(void) {
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    call(VIDIOC_G_FMT, &format, "VIDIOC_G_FMT");
    format.fmt.pix.width = width;
    format.fmt.pix.height = height;
    format.fmt.pix.pixelformat = FORMAT;
    format.fmt.pix.field = V4L2_FIELD_NONE;
    format.fmt.pix.bytesperline = memory[0].planes[0].stride;
    call(VIDIOC_S_FMT, &format, "VIDIOC_S_FMT");
    if (format.fmt.pix.pixelformat != FORMAT || format.fmt.pix.width != width ||
        format.fmt.pix.bytesperline != memory[0].planes[0].stride) {
        die("VIDIOC_S_FMT", "the camera has no pictures of this size, format and line");
    }
    struct v4l2_requestbuffers request = {
        .count = buffers, .type = format.type, .memory = V4L2_MEMORY_DMABUF};
    call(VIDIOC_REQBUFS, &request, "VIDIOC_REQBUFS");
    for (unsigned i = 0; i < buffers; i++) {
        queue(i, -1);
    }
    call(VIDIOC_STREAMON, &request.type, "VIDIOC_STREAMON");
}

static void show(unsigned number) {
    unsigned index = number % buffers; /* the camera's frames come in the order of its buffers */
    struct v4lfence_fence_result early;
    v4lfence_fence_status(done[index], &early);
    int shown = -1;
    struct v4lfence_display_frame frame = {
        .size = sizeof frame, .picture = pictures[index], .in_fence = done[index]};
    if (v4lfence_display_show(display, &frame, &shown) < 0) {
        die("show", v4lfence_display_error(display));
    }
    close(done[index]);
    if (number > 0) {
        queue((number - 1) % buffers, shown);
    }
    close(shown);

    struct pollfd entry = {.fd = v4lfence_display_fd(display), .events = POLLIN};
    struct v4lfence_flip flip = {.size = sizeof flip};
    if (poll(&entry, 1, flip_timeout_ms) != 1 || v4lfence_display_next_flip(display, &flip) != 1) {
        die("no flip", "the picture did not come on screen");
    }
    struct v4l2_buffer buffer = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_DMABUF};
    call(VIDIOC_DQBUF, &buffer, "VIDIOC_DQBUF"); /* it is on screen, so it is there */
    printf("frame %u on screen, given to the display %s\n", buffer.sequence,
           early.state == V4LFENCE_PENDING ? "before it existed" : "when it was there");
}

int main(int argc, char** argv) {
    int frames = argc > 2 ? atoi(argv[2]) : 30;
    if (argc > 3 || frames <= 0) {
        fprintf(stderr, "usage: %s [DEVICE [FRAMES]]\n", argv[0]);
        return 2;
    }
    open_camera(argc > 1 ? argv[1] : "/dev/video0");
    open_display();
    start_camera();
    for (int i = 0; i < frames; i++) {
        show((unsigned)i);
    }
    v4lfence_close(camera); /* first: the display would wait for its fences */
    v4lfence_display_close(display);
    return 0;
}
