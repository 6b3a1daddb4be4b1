// SPDX-License-Identifier: MIT

#include "tests/shim/camera.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "tests/shim/check.h"

enum { wanted_buffers = 4 };

struct v4l2_buffer camera_buffer(unsigned index) {
    struct v4l2_buffer buffer;
    memset(&buffer, 0, sizeof(buffer));
    buffer.index = index;
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = V4L2_MEMORY_MMAP;
    return buffer;
}

struct camera camera_take_over(int fd, unsigned count) {
    struct camera camera = {.fd = fd, .count = count};
    EXPECT(count > 0 && count <= camera_buffers_max, "%u buffers", count);
    for (unsigned index = 0; index < count; ++index) {
        struct v4l2_buffer buffer = camera_buffer(index);
        MUST(ioctl(fd, VIDIOC_QUERYBUF, &buffer));
        camera.length[index] = buffer.length;
        camera.memory[index] = MUST(
            mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, buffer.m.offset));
    }
    return camera;
}

struct camera camera_start_file(int fd) {
    struct v4l2_requestbuffers request = {
        .count = wanted_buffers, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    MUST(ioctl(fd, VIDIOC_REQBUFS, &request));
    struct camera camera = camera_take_over(fd, request.count);
    for (unsigned index = 0; index < camera.count; ++index) {
        camera_queue(&camera, index);
    }
    camera_stream(&camera, 1);
    return camera;
}

struct camera camera_start(const char* node, int flags) {
    return camera_start_file(MUST(open(node, O_RDWR | flags)));
}

void camera_queue(const struct camera* camera, unsigned index) {
    struct v4l2_buffer buffer = camera_buffer(index);
    MUST(ioctl(camera->fd, VIDIOC_QBUF, &buffer));
}

int camera_queue_fenced(const struct camera* camera, unsigned index) {
    struct v4l2_buffer buffer = camera_buffer(index);
    buffer.flags = BUF_FLAG_OUT_FENCE;
    MUST(ioctl(camera->fd, VIDIOC_QBUF, &buffer));
    EXPECT((int)buffer.reserved2 >= 0, "QBUF gave no out-fence");
    return (int)buffer.reserved2;
}

struct v4l2_buffer camera_next(const struct camera* camera) {
    struct pollfd entry = {camera->fd, POLLIN, 0};
    EXPECT(MUST(poll(&entry, 1, patience_ms)) == 1, "no frame came");
    EXPECT(entry.revents == POLLIN, "poll says %#x for a frame", entry.revents);
    struct v4l2_buffer buffer = camera_buffer(0);
    MUST(ioctl(camera->fd, VIDIOC_DQBUF, &buffer));
    EXPECT(buffer.index < camera->count, "DQBUF says index %u of %u", buffer.index, camera->count);
    EXPECT(buffer.bytesused > 0 && !(buffer.flags & V4L2_BUF_FLAG_ERROR),
           "frame %u: %u bytes, flags %#x", buffer.sequence, buffer.bytesused, buffer.flags);
    return buffer;
}

void camera_frames(const struct camera* camera, unsigned frames) {
    for (unsigned frame = 0; frame < frames; ++frame) {
        camera_queue(camera, camera_next(camera).index);
    }
}

void camera_stream(const struct camera* camera, int on) {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    MUST(ioctl(camera->fd, on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type));
}

void camera_stop(struct camera* camera) {
    camera_stream(camera, 0);
    for (unsigned index = 0; index < camera->count; ++index) {
        MUST(munmap(camera->memory[index], camera->length[index]));
    }
    MUST(close(camera->fd));
}

int camera_asks(int fd) {
    struct v4l2_capability capability;
    memset(&capability, 0, sizeof(capability));
    if (ioctl(fd, VIDIOC_QUERYCAP, &capability) < 0) {
        return errno;
    }
    EXPECT(capability.device_caps & V4L2_CAP_STREAMING, "QUERYCAP says device_caps %#x",
           capability.device_caps);
    return 0;
}
