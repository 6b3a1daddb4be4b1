// SPDX-License-Identifier: MIT
//
// Frames as points of a timeline, for a consumer in another process that knows the kernel's
// syncobjs and nothing of this library, as a Wayland compositor does. It gets two syncobjs over a
// socket, then numbers: frame n may be read when `acquire` reaches n, and is told so before the
// frame exists; it sets `release` to n when it has read it, which is what the camera waits for
// before it writes to that buffer again.
//
//     timeline_consumer [DEVICE [FRAMES [NODE]]]   default: /dev/video0 30 /dev/dri/renderD128

#include <errno.h>
#include <fcntl.h>
#include <libdrm/drm.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <v4lfence/v4lfence.h>

#ifndef DRM_IOCTL_SYNCOBJ_EVENTFD /* since Linux 6.6 */
struct drm_syncobj_eventfd {
    __u32 handle, flags;
    __u64 point;
    __s32 fd, pad;
};
#define DRM_IOCTL_SYNCOBJ_EVENTFD DRM_IOWR(0xCF, struct drm_syncobj_eventfd)
#endif

enum { patience_ms = 10000 };

static void die(const char* what) {
    fprintf(stderr, "timeline_consumer: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Sends two descriptors, or receives them. */
static void pass(int socket, int fds[2], int sends) {
    char space[CMSG_SPACE(2 * sizeof(int))] = {0}, byte = 0;
    struct iovec data = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr* rights = CMSG_FIRSTHDR(&message);
    if (sends) {
        *rights = (struct cmsghdr){CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), fds, 2 * sizeof(int));
    }
    if ((sends ? sendmsg(socket, &message, 0) : recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) != 1)
        die("the syncobjs");
    memcpy(fds, CMSG_DATA(rights), 2 * sizeof(int));
}

/* The consumer, by the kernel's interface alone. */
static uint32_t import(int drm, int syncobj) {
    struct drm_syncobj_handle request = {.fd = syncobj};
    if (ioctl(drm, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &request) < 0)
        die("a syncobj from the socket");
    return request.handle;
}

static void wait_for(int drm, uint32_t timeline, uint64_t point) {
    struct drm_syncobj_eventfd request = {.handle = timeline, .point = point};
    struct pollfd entry = {.fd = request.fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN};
    if (ioctl(drm, DRM_IOCTL_SYNCOBJ_EVENTFD, &request) < 0)
        die("DRM_IOCTL_SYNCOBJ_EVENTFD");
    if (poll(&entry, 1, patience_ms) != 1) /* the producer may have died: no point ends by itself */
        errno = ETIMEDOUT, die("a frame");
    close(entry.fd);
}

static void consume(int socket, const char* node) {
    int fds[2], drm = open(node, O_RDWR | O_CLOEXEC);
    pass(socket, fds, 0);
    uint32_t acquire = import(drm, fds[0]), release = import(drm, fds[1]);
    close(fds[0]), close(fds[1]);
    for (uint64_t point; read(socket, &point, sizeof point) == sizeof point;) {
        wait_for(drm, acquire, point);
        printf("frame %llu read\n", (unsigned long long)point); /* here it would be drawn */
        struct drm_syncobj_timeline_array reached = {
            .handles = (uintptr_t)&release, .points = (uintptr_t)&point, .count_handles = 1};
        if (ioctl(drm, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &reached) < 0)
            die("DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL");
    }
}

/* The producer never waits for a frame that is to be shown, only for a buffer to be its own. */
static void produce(int socket, const char* path, uint64_t frames, const char* node) {
    struct v4lfence_timeline* acquire = v4lfence_timeline_create(node, -1);
    struct v4lfence_timeline* release = v4lfence_timeline_create(node, -1);
    int camera = v4lfence_open(path, O_RDWR), type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    struct v4l2_requestbuffers request = {.count = 4, .type = type, .memory = V4L2_MEMORY_MMAP};
    if (!acquire || !release || camera < 0 ||
        v4lfence_set_deadline(camera, patience_ms) < 0 || /* the consumer may die */
        v4lfence_ioctl(camera, VIDIOC_REQBUFS, &request) < 0 ||
        v4lfence_ioctl(camera, VIDIOC_STREAMON, &type) < 0)
        die(path);
    int fds[2] = {v4lfence_timeline_export(acquire), v4lfence_timeline_export(release)};
    pass(socket, fds, 1);
    close(fds[0]), close(fds[1]);
    uint64_t shown[VIDEO_MAX_FRAME] = {0}; /* the frame that was in a buffer last; 0: none */
    for (uint64_t point = 1; point <= frames; ++point) {
        struct v4l2_buffer buffer = {.type = type, .memory = V4L2_MEMORY_MMAP};
        buffer.index = (uint32_t)point - 1;
        if (point > request.count && v4lfence_ioctl(camera, VIDIOC_DQBUF, &buffer) < 0)
            die("VIDIOC_DQBUF");
        if (buffer.flags & V4L2_BUF_FLAG_ERROR)
            errno = EIO, die("a buffer that was not released in time, or a broken frame");
        int in = v4lfence_timeline_fence(release, shown[buffer.index]); /* 0 has been reached */
        buffer.flags = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;
        v4l2_buffer_fence_fd(&buffer) = in;
        if (in < 0)
            die("v4lfence_timeline_fence"); /* ENOTTY: before Linux 6.6 */
        if (v4lfence_ioctl(camera, VIDIOC_QBUF, &buffer) < 0)
            die("VIDIOC_QBUF");
        int out = v4l2_buffer_fence_fd(&buffer);
        if (v4lfence_timeline_promise(acquire, point, out) < 0 ||
            send(socket, &point, sizeof point, MSG_NOSIGNAL) != sizeof point)
            die("a point");
        shown[buffer.index] = point;
        close(in), close(out);
    }
    int last = v4lfence_timeline_fence(release, frames);
    if (v4lfence_fence_wait(last, patience_ms, NULL) < 0)
        die("the last frame");
    v4lfence_close(camera);
    v4lfence_timeline_destroy(acquire); /* reaches what is left, for whoever waits */
    v4lfence_timeline_destroy(release);
}

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "/dev/video0";
    int frames = argc > 2 ? atoi(argv[2]) : 30, sockets[2], status = 1;
    const char* node = argc > 3 ? argv[3] : "/dev/dri/renderD128";
    if (argc > 4 || frames <= 0)
        return fprintf(stderr, "usage: %s [DEVICE [FRAMES [NODE]]]\n", argv[0]), 2;
    if (v4lfence_timeline_reason(node))
        return fprintf(stderr, "timeline_consumer: %s\n", v4lfence_timeline_reason(node)), 77;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        die("socketpair");
    pid_t consumer = fork();
    if (consumer == 0) {
        close(sockets[0]);
        consume(sockets[1], node);
        return 0;
    }
    close(sockets[1]);
    produce(sockets[0], path, (uint64_t)frames, node);
    close(sockets[0]);
    waitpid(consumer, &status, 0);
    return status != 0;
}
