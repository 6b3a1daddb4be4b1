// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <v4lfence/v4lfence.h>

int main(int argc, char** argv) {
    int fences[VIDEO_MAX_FRAME], type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    int fd = v4lfence_open(argc > 1 ? argv[1] : "/dev/video0", O_RDWR);
    struct v4l2_requestbuffers request = {.count = 4, .type = type, .memory = V4L2_MEMORY_MMAP};
    if (fd < 0 || v4lfence_ioctl(fd, VIDIOC_REQBUFS, &request) < 0)
        return perror("camera"), 1;
    struct v4l2_buffer buffer = {.type = type, .memory = V4L2_MEMORY_MMAP};
    for (buffer.index = 0; buffer.index < request.count; buffer.index++) {
        buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;  // "tell me when this one is finished"
        v4l2_buffer_fence_fd(&buffer) = 0;
        if (v4lfence_ioctl(fd, VIDIOC_QBUF, &buffer) < 0)
            return perror("VIDIOC_QBUF"), 1;
        fences[buffer.index] = v4l2_buffer_fence_fd(&buffer);  // to poll, to pass on, to close
    }
    if (v4lfence_ioctl(fd, VIDIOC_STREAMON, &type) < 0)
        return perror("VIDIOC_STREAMON"), 1;
    for (buffer.index = 0; buffer.index < request.count; close(fences[buffer.index++])) {
        if (v4lfence_fence_wait(fences[buffer.index], 5000, NULL) < 0 ||
            v4lfence_ioctl(fd, VIDIOC_QUERYBUF, &buffer) < 0)
            return perror("frame"), 1;
        printf("frame %u, %u bytes\n", buffer.sequence, buffer.bytesused);
    }
    return v4lfence_close(fd);
}
