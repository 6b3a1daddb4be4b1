// SPDX-License-Identifier: MIT
//
// A program of the fence interface as its patches of 2017 had it, unchanged: plain open, ioctl,
// mmap, poll and close, and the names and numbers of that header. It knows nothing of v4lfence.
//
// usage: rfc_program [--rfc-caps] NODE

#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "tests/shim/check.h"

// What the header of 2017 had in the place of today's `reserved2`, and its flags.
#define fence_fd reserved2
#define V4L2_BUF_FLAG_IN_FENCE 0x00200000
#define V4L2_BUF_FLAG_OUT_FENCE 0x00400000
#define V4L2_CAP_ORDERED 0x20000000

enum { buffers = 4, rounds = 12, patience_ms = 5000 };

static const __u32 both = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;

struct stream {
    int fd;
    void* memory[buffers];
    __u32 length[buffers];
    int fence[buffers];  // The out-fence that was returned last; -1: none.
};

static struct v4l2_buffer named(unsigned index) {
    struct v4l2_buffer buffer;
    memset(&buffer, 0, sizeof(buffer));
    buffer.index = index;
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = V4L2_MEMORY_MMAP;
    return buffer;
}

static __s32 fence_of(const struct v4l2_buffer* buffer) {
    return (__s32)buffer->fence_fd;
}

// Has the fence ended? Waits for it so long.
static int ended(int fence, int timeout_ms) {
    struct pollfd entry = {fence, POLLIN, 0};
    return MUST(poll(&entry, 1, timeout_ms)) == 1;
}

static struct v4l2_buffer queried(const struct stream* stream, unsigned index) {
    struct v4l2_buffer buffer = named(index);
    MUST(ioctl(stream->fd, VIDIOC_QUERYBUF, &buffer));
    return buffer;
}

// QBUF; what comes back in the field must fit the flags.
static void queue(struct stream* stream, unsigned index, __u32 flags, int in_fence) {
    struct v4l2_buffer buffer = named(index);
    buffer.flags = flags;
    buffer.fence_fd = (flags & V4L2_BUF_FLAG_IN_FENCE) ? (__u32)in_fence : 0;
    MUST(ioctl(stream->fd, VIDIOC_QBUF, &buffer));
    const int returned = fence_of(&buffer);
    if (flags & V4L2_BUF_FLAG_OUT_FENCE) {
        EXPECT(returned >= 0, "QBUF of %u returned no out-fence: %d", index, returned);
        EXPECT(fcntl(returned, F_GETFD) & FD_CLOEXEC, "an out-fence goes to programs by exec");
        stream->fence[index] = returned;
    } else {
        const int none = flags & V4L2_BUF_FLAG_IN_FENCE ? -1 : 0;
        EXPECT(returned == none, "QBUF of %u returned %d, expected %d", index, returned, none);
        stream->fence[index] = -1;
    }
}

static unsigned dequeue(struct stream* stream) {
    struct v4l2_buffer buffer = named(0);
    MUST(ioctl(stream->fd, VIDIOC_DQBUF, &buffer));
    EXPECT(buffer.index < buffers, "DQBUF says index %u", buffer.index);
    EXPECT(!(buffer.flags & both) && buffer.fence_fd == 0, "DQBUF says flags %#x, field %d",
           buffer.flags, fence_of(&buffer));
    EXPECT(!(buffer.flags & V4L2_BUF_FLAG_ERROR), "frame %u has an error", buffer.sequence);
    EXPECT(buffer.bytesused > 0, "frame %u is empty", buffer.sequence);
    return buffer.index;
}

static void look_for_fences(const struct stream* stream, int rfc_caps) {
    struct v4l2_capability capability;
    MUST(ioctl(stream->fd, VIDIOC_QUERYCAP, &capability));
    const int shown = (capability.device_caps & V4L2_CAP_ORDERED) != 0;
    EXPECT(shown == rfc_caps, "QUERYCAP says device_caps %#x: CAP_ORDERED %s",
           capability.device_caps, shown ? "without being asked for" : "is missing");

    // Both bits are echoed by kernels without fences: an invalid one must be refused.
    struct v4l2_buffer buffer = named(0);
    buffer.flags = V4L2_BUF_FLAG_IN_FENCE;
    buffer.fence_fd = (__u32)-1;
    MUST_FAIL(ioctl(stream->fd, VIDIOC_QBUF, &buffer), EINVAL);
    buffer = named(0);
    buffer.flags = V4L2_BUF_FLAG_IN_FENCE;
    const int closed = MUST(dup(stream->fd));
    MUST(close(closed));
    buffer.fence_fd = (__u32)closed;
    MUST_FAIL(ioctl(stream->fd, VIDIOC_QBUF, &buffer), EINVAL);
    // Without a flag the field must be 0 or -1.
    buffer = named(0);
    buffer.fence_fd = 77;
    MUST_FAIL(ioctl(stream->fd, VIDIOC_QBUF, &buffer), EINVAL);
}

static void open_stream(struct stream* stream, const char* node) {
    stream->fd = MUST(open(node, O_RDWR));
    struct v4l2_requestbuffers request = {
        .count = buffers, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    MUST(ioctl(stream->fd, VIDIOC_REQBUFS, &request));
    EXPECT(request.count == buffers, "REQBUFS gave %u buffers", request.count);
    for (unsigned index = 0; index < buffers; ++index) {
        const struct v4l2_buffer buffer = queried(stream, index);
        stream->length[index] = buffer.length;
        stream->memory[index] = mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED,
                                     stream->fd, buffer.m.offset);
        EXPECT(stream->memory[index] != MAP_FAILED, "mmap of %u: %s", index, strerror(errno));
        memset(stream->memory[index], 0x5a, buffer.length);
        stream->fence[index] = -1;
    }
}

// What QUERYBUF says of a buffer that is queued with these flags, and of one whose fence has ended.
static void expect_pending(const struct stream* stream, unsigned index, __u32 flags) {
    const struct v4l2_buffer buffer = queried(stream, index);
    EXPECT((buffer.flags & both) == flags, "QUERYBUF of %u says flags %#x, expected %#x", index,
           buffer.flags & both, flags);
    EXPECT(fence_of(&buffer) == -1, "QUERYBUF of %u says fence_fd %d", index, fence_of(&buffer));
    EXPECT(buffer.flags & V4L2_BUF_FLAG_QUEUED, "QUERYBUF of %u says it is not queued", index);
}

static void expect_ended(const struct stream* stream, unsigned index) {
    const struct v4l2_buffer buffer = queried(stream, index);
    EXPECT(!(buffer.flags & both) && buffer.fence_fd == 0,
           "QUERYBUF of %u, whose fence has ended, says flags %#x, field %d", index, buffer.flags,
           fence_of(&buffer));
    EXPECT(buffer.flags & V4L2_BUF_FLAG_DONE, "QUERYBUF of %u says it is not done", index);
    EXPECT(buffer.timestamp.tv_sec != 0 || buffer.timestamp.tv_usec != 0,
           "QUERYBUF of %u has no time", index);
}

static void expect_written(const struct stream* stream, unsigned index) {
    const unsigned char* bytes = stream->memory[index];
    for (__u32 at = 0; at < stream->length[index]; ++at) {
        if (bytes[at] != 0x5a) {
            return;
        }
    }
    FAIL("nothing was ever written to buffer %u", index);
}

// Frame after frame: the out-fence ends, then the buffer is fetched and queued again, to be filled
// when the next one's has ended.
static void chain(struct stream* stream) {
    unsigned oldest = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        const unsigned newest = (oldest + buffers - 1) % buffers;
        EXPECT(ended(stream->fence[oldest], patience_ms), "the out-fence of round %u is pending",
               round);
        expect_ended(stream, oldest);
        expect_written(stream, oldest);
        const unsigned index = dequeue(stream);
        EXPECT(index == oldest, "DQBUF gave %u, expected %u", index, oldest);
        const int before = stream->fence[index];
        const int waits = !ended(stream->fence[newest], 0);
        queue(stream, index, both, stream->fence[newest]);
        MUST(close(before));
        if (waits && !ended(stream->fence[newest], 0)) {
            expect_pending(stream, index, both);
        }
        oldest = (oldest + 1) % buffers;
    }
}

// A fence of the program's own holds a buffer for as long as it is pending.
static void hold(struct stream* stream, unsigned index) {
    int own[2];
    MUST(pipe(own));
    queue(stream, index, both, own[0]);
    MUST(close(own[0]));
    expect_pending(stream, index, both);
    EXPECT(!ended(stream->fence[index], 250), "the out-fence of a held buffer has ended");
    expect_pending(stream, index, both);
    MUST(write(own[1], "", 1));
    EXPECT(ended(stream->fence[index], patience_ms), "the fence ended, the frame never came");
    MUST(close(own[1]));
    EXPECT(dequeue(stream) == index, "another buffer than the held one came");
    MUST(close(stream->fence[index]));
}

int main(int argc, char** argv) {
    const int rfc_caps = argc == 3 && strcmp(argv[1], "--rfc-caps") == 0;
    if (argc != 2 + rfc_caps) {
        fprintf(stderr, "usage: rfc_program [--rfc-caps] NODE\n");
        return 2;
    }
    struct stream stream;
    open_stream(&stream, argv[argc - 1]);
    look_for_fences(&stream, rfc_caps);

    for (unsigned index = 0; index < buffers; ++index) {
        queue(&stream, index, V4L2_BUF_FLAG_OUT_FENCE, -1);
        expect_pending(&stream, index, V4L2_BUF_FLAG_OUT_FENCE);
    }
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    MUST(ioctl(stream.fd, VIDIOC_STREAMON, &type));
    chain(&stream);

    // Drain, then one at a time: neither, an in-fence that has ended alone, one that is held.
    for (unsigned round = 0; round < buffers; ++round) {
        const unsigned index = dequeue(&stream);
        EXPECT(ended(stream.fence[index], 0), "DQBUF returned before the fence had ended");
        MUST(close(stream.fence[index]));
    }
    queue(&stream, 1, 0, -1);
    EXPECT(dequeue(&stream) == 1, "another buffer than the unfenced one came");
    int over[2];
    MUST(pipe(over));
    MUST(write(over[1], "", 1));
    queue(&stream, 3, V4L2_BUF_FLAG_IN_FENCE, over[0]);
    EXPECT(dequeue(&stream) == 3, "another buffer than the one whose fence had ended came");
    MUST(close(over[0]));
    MUST(close(over[1]));
    hold(&stream, 2);

    // Nothing stays pending.
    for (unsigned index = 0; index < buffers; ++index) {
        queue(&stream, index, V4L2_BUF_FLAG_OUT_FENCE, -1);
    }
    MUST(ioctl(stream.fd, VIDIOC_STREAMOFF, &type));
    for (unsigned index = 0; index < buffers; ++index) {
        EXPECT(ended(stream.fence[index], 0), "STREAMOFF left the out-fence of %u pending", index);
        MUST(close(stream.fence[index]));
        MUST(munmap(stream.memory[index], stream.length[index]));
    }
    MUST(close(stream.fd));
    printf("%d frames with fences\n", rounds + buffers + 3);
    return 0;
}
