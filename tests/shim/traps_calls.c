// SPDX-License-Identifier: MIT
//
// How calls arrive, and what their answers are.

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"
#include "tests/shim/traps.h"

static int readiness(int fd, short events, int timeout_ms) {
    struct pollfd entry = {fd, events, 0};
    return MUST(poll(&entry, 1, timeout_ms)) == 1 ? entry.revents : 0;
}

// Never POLLOUT; after each POLLIN there is a frame to be had; nothing is left over.
static void readiness_is_exact(const char* node) {
    enum { rounds = 20, settle_ms = 300 };
    struct camera camera = camera_start(node, O_NONBLOCK);
    for (int round = 0; round < rounds; ++round) {
        const int events = readiness(camera.fd, POLLIN | POLLOUT | POLLPRI, patience_ms);
        EXPECT(events == POLLIN, "poll says %#x, expected POLLIN", events);
        struct v4l2_buffer buffer = camera_buffer(0);
        MUST(ioctl(camera.fd, VIDIOC_DQBUF, &buffer));
        camera_queue(&camera, buffer.index);
    }
    for (unsigned left = camera.count; left > 0; --left) {
        camera_next(&camera);
    }
    const int events = readiness(camera.fd, POLLIN | POLLOUT | POLLPRI, settle_ms);
    EXPECT(!(events & (POLLIN | POLLOUT | POLLPRI)), "with nothing queued poll says %#x", events);
    struct v4l2_buffer buffer = camera_buffer(0);
    MUST_FAIL(ioctl(camera.fd, VIDIOC_DQBUF, &buffer), EAGAIN);
    fd_set readable, writable, exceptional;
    FD_ZERO(&readable);
    FD_SET(camera.fd, &readable);
    writable = exceptional = readable;
    for (unsigned index = 0; index < camera.count; ++index) {
        camera_queue(&camera, index);
    }
    struct timeval patience = {patience_ms / 1000, 0};
    MUST(select(camera.fd + 1, &readable, &writable, &exceptional, &patience));
    EXPECT(FD_ISSET(camera.fd, &readable) && !FD_ISSET(camera.fd, &writable) &&
               !FD_ISSET(camera.fd, &exceptional),
           "with a frame select says readable %d, writable %d, exceptional %d",
           FD_ISSET(camera.fd, &readable), FD_ISSET(camera.fd, &writable),
           FD_ISSET(camera.fd, &exceptional));
    camera_stop(&camera);
}

static void expect_event(int fd) {
    struct v4l2_event event;
    memset(&event, 0, sizeof(event));
    MUST(ioctl(fd, VIDIOC_DQEVENT, &event));
    EXPECT(event.type == V4L2_EVENT_CTRL && event.id == V4L2_CID_BRIGHTNESS, "event %u of %#x",
           event.type, event.id);
}

// With an event pending, a socket cannot but say that there is a frame: then DQBUF says EAGAIN.
static void frames_beside_an_event(const struct camera* camera, unsigned frames) {
    while (frames > 0) {
        readiness(camera->fd, POLLIN, patience_ms);
        struct v4l2_buffer buffer = camera_buffer(0);
        if (ioctl(camera->fd, VIDIOC_DQBUF, &buffer) == 0) {
            camera_queue(camera, buffer.index);
            --frames;
        } else {
            EXPECT(errno == EAGAIN, "DQBUF beside an event: %s", strerror(errno));
            poll(NULL, 0, 1);
        }
    }
}

// POLLPRI for an event alone, and beside frames; neither takes the other away.
static void events_beside_frames(const char* node) {
    struct camera camera = camera_start(node, O_NONBLOCK);
    struct v4l2_queryctrl range = {.id = V4L2_CID_BRIGHTNESS};
    MUST(ioctl(camera.fd, VIDIOC_QUERYCTRL, &range));
    struct v4l2_event_subscription subscription = {.type = V4L2_EVENT_CTRL,
                                                   .id = V4L2_CID_BRIGHTNESS,
                                                   .flags = V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK};
    MUST(ioctl(camera.fd, VIDIOC_SUBSCRIBE_EVENT, &subscription));
    struct v4l2_control control = {V4L2_CID_BRIGHTNESS, range.minimum};
    for (int round = 0; round < 10; ++round) {
        EXPECT(!(readiness(camera.fd, POLLPRI, 0) & POLLPRI), "an event before there is one");
        control.value = round % 2 == 0 ? range.minimum : range.maximum;
        MUST(ioctl(camera.fd, VIDIOC_S_CTRL, &control));
        EXPECT(readiness(camera.fd, POLLPRI, patience_ms) & POLLPRI, "no POLLPRI for an event");
        frames_beside_an_event(&camera, 2);
        EXPECT(readiness(camera.fd, POLLPRI, 0) & POLLPRI, "DQBUF took the event away");
        EXPECT(readiness(camera.fd, POLLIN, patience_ms) & POLLIN, "no frame beside the event");
        expect_event(camera.fd);
        camera_frames(&camera, 1);
    }
    struct v4l2_event event;
    MUST_FAIL(ioctl(camera.fd, VIDIOC_DQEVENT, &event), ENOENT);
    camera_stop(&camera);
}

// As programs in C++ and Rust have it, whose request is a signed int.
static void request_sign_extended(const char* node) {
    const int fd = MUST(open(node, O_RDWR));
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    const unsigned long request = (unsigned long)(long)(int)VIDIOC_G_FMT;
    EXPECT(request != VIDIOC_G_FMT, "the request was not extended: %#lx", request);
    MUST(ioctl(fd, request, &format));
    EXPECT(format.fmt.pix.width > 0, "G_FMT says no width");
    MUST(ioctl(fd, (unsigned long)(long)(int)VIDIOC_S_FMT, &format));
    MUST(close(fd));
}

// As programs have it that probe what a driver knows.
static void null_pointers_efault(const char* node) {
    static const unsigned long requests[] = {
        VIDIOC_QUERYCAP, VIDIOC_ENUM_FMT, VIDIOC_G_FMT,     VIDIOC_S_FMT,       VIDIOC_REQBUFS,
        VIDIOC_QUERYBUF, VIDIOC_QBUF,     VIDIOC_DQBUF,     VIDIOC_STREAMON,    VIDIOC_G_PARM,
        VIDIOC_G_INPUT,  VIDIOC_S_INPUT,  VIDIOC_QUERYCTRL, VIDIOC_CREATE_BUFS, VIDIOC_EXPBUF};
    const int fd = MUST(open(node, O_RDWR));
    for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); ++i) {
        const unsigned long request = requests[i];
        for (int way = 0; way < 2; ++way) {
            void* const argument = way == 0 ? NULL : (void*)16;
            errno = 0;
            EXPECT(ioctl(fd, request, argument) == -1 && errno == EFAULT,
                   "ioctl %#lx with %p answered %s, expected EFAULT", request, argument,
                   strerror(errno));
        }
    }
    EXPECT(camera_asks(fd) == 0, "afterwards the file is broken");
    MUST(close(fd));
}

static void other_types_pass(const char* node) {
    const int fd = MUST(open(node, O_RDWR));
    MUST_FAIL(ioctl(fd, _IO('q', 3), NULL), ENOTTY);
    struct v4l2_format unused;
    memset(&unused, 0, sizeof(unused));
    MUST_FAIL(ioctl(fd, VIDIOC_TRY_FMT | 0x80, &unused), ENOTTY);
    // FIOCLEX and FIONBIO are for any file.
    MUST(ioctl(fd, FIOCLEX, NULL));
    EXPECT(MUST(fcntl(fd, F_GETFD)) & FD_CLOEXEC, "FIOCLEX did nothing");
    int on = 1;
    MUST(ioctl(fd, FIONBIO, &on));
    EXPECT(MUST(fcntl(fd, F_GETFL)) & O_NONBLOCK, "FIONBIO did nothing");
    EXPECT((MUST(fcntl(fd, F_GETFL)) & O_ACCMODE) == O_RDWR, "F_GETFL says it cannot be written");
    MUST(close(fd));
}

static void mapped_read_only(const char* node) {
    struct camera camera = camera_start(node, 0);
    struct v4l2_buffer buffer = camera_buffer(0);
    MUST(ioctl(camera.fd, VIDIOC_QUERYBUF, &buffer));
    const size_t length = buffer.length;
    const volatile char* memory =
        MUST(mmap(NULL, length, PROT_READ, MAP_SHARED, camera.fd, buffer.m.offset));
    for (unsigned left = camera.count; left > 0; --left) {
        camera_next(&camera);
    }
    EXPECT(memcmp((const void*)memory, camera.memory[0], 64) == 0, "two mappings differ");
    MUST(munmap((void*)memory, length));
    // As videobuf2: private copies of a buffer, and memory that cannot be read, are refused.
    MUST_FAIL(mmap(NULL, length, PROT_READ, MAP_PRIVATE, camera.fd, buffer.m.offset), EINVAL);
    MUST_FAIL(mmap(NULL, length, PROT_WRITE, MAP_SHARED, camera.fd, buffer.m.offset), EINVAL);
    MUST_FAIL(mmap(NULL, length, PROT_READ, MAP_SHARED, camera.fd, 0x7ffff000), EINVAL);
    // At an address of the program's choice.
    char* place = MUST(mmap(NULL, length + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT(mmap(place, length, PROT_READ, MAP_SHARED | MAP_FIXED, camera.fd, buffer.m.offset) ==
               place,
           "mmap at a fixed address: %s", strerror(errno));
    EXPECT(memcmp(place, camera.memory[0], 64) == 0, "the mapping at a fixed address differs");
    MUST(munmap(place, length + 4096));
    camera_stop(&camera);
}

// DQBUF takes the type alone from its argument.
static void garbage_in_dqbuf(const char* node) {
    struct camera camera = camera_start(node, 0);
    for (int round = 0; round < 6; ++round) {
        struct v4l2_buffer buffer;
        memset(&buffer, 0xa5, sizeof(buffer));
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = V4L2_MEMORY_MMAP;
        buffer.reserved2 = 0;
        MUST(ioctl(camera.fd, VIDIOC_DQBUF, &buffer));
        EXPECT(buffer.index < camera.count, "DQBUF says index %u", buffer.index);
        EXPECT(!(buffer.flags & (BUF_FLAG_IN_FENCE | BUF_FLAG_OUT_FENCE)), "DQBUF says flags %#x",
               buffer.flags);
        camera_queue(&camera, buffer.index);
    }
    camera_stop(&camera);
}

static int64_t us_of(struct timeval time) {
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// Frames that waited for DQBUF have the times at which they were taken.
static void timestamps_of_capture(const char* node) {
    struct camera camera = camera_start(node, 0);
    struct v4l2_buffer last;
    do {  // Until all are done; nobody fetches them.
        readiness(camera.fd, 0, 20);
        last = camera_buffer(camera.count - 1);
        MUST(ioctl(camera.fd, VIDIOC_QUERYBUF, &last));
    } while (!(last.flags & V4L2_BUF_FLAG_DONE));
    // vivid's own times run ahead of its frames by some of them.
    enum { pause_ms = 1000, ahead_us = 500000 };
    const int64_t done_us = now_us();
    readiness(camera.fd, 0, pause_ms);
    int64_t before_us = 0;
    for (unsigned frame = 0; frame < camera.count; ++frame) {
        const struct v4l2_buffer buffer = camera_next(&camera);
        EXPECT((buffer.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC,
               "the clock of flags %#x", buffer.flags);
        const int64_t taken_us = us_of(buffer.timestamp);
        EXPECT(taken_us <= done_us + ahead_us, "frame %u says %lld us after it was done", frame,
               (long long)(taken_us - done_us));
        EXPECT(frame == 0 || taken_us - before_us > 5000, "frames %u and %u are %lld us apart",
               frame - 1, frame, (long long)(taken_us - before_us));
        before_us = taken_us;
    }
    camera_stop(&camera);
}

static void queued_in_any_order(const char* node) {
    static const unsigned orders[][4] = {{3, 1, 0, 2}, {2, 3, 1, 0}, {0, 2, 1, 3}, {1, 0, 3, 2}};
    struct camera camera = camera_start(node, 0);
    for (unsigned left = camera.count; left > 0; --left) {
        camera_next(&camera);
    }
    for (unsigned round = 0; round < 4; ++round) {
        for (unsigned i = 0; i < 4; ++i) {
            camera_queue(&camera, orders[round][i]);
        }
        for (unsigned i = 0; i < 4; ++i) {
            const unsigned index = camera_next(&camera).index;
            EXPECT(index == orders[round][i], "DQBUF gave %u, queued was %u", index,
                   orders[round][i]);
        }
    }
    camera_stop(&camera);
}

struct ring {
    int fd;
    char* submissions;
    char* completions;
    struct io_uring_sqe* entries;
    struct io_uring_params parameters;
};

static struct ring open_ring(void) {
    struct ring ring;
    memset(&ring, 0, sizeof(ring));
    ring.fd = (int)syscall(SYS_io_uring_setup, 4, &ring.parameters);
    if (ring.fd < 0) {
        SKIP("no io_uring here: %s", strerror(errno));
    }
    const struct io_uring_params* p = &ring.parameters;
    const int access = PROT_READ | PROT_WRITE;
    ring.submissions = MUST(mmap(NULL, p->sq_off.array + p->sq_entries * sizeof(unsigned), access,
                                 MAP_SHARED, ring.fd, IORING_OFF_SQ_RING));
    ring.completions = MUST(mmap(NULL, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe),
                                 access, MAP_SHARED, ring.fd, (off_t)IORING_OFF_CQ_RING));
    ring.entries = MUST(mmap(NULL, p->sq_entries * sizeof(struct io_uring_sqe), access, MAP_SHARED,
                             ring.fd, (off_t)IORING_OFF_SQES));
    return ring;
}

// One poll by io_uring; what it says.
static int poll_by_ring(struct ring* ring, int fd) {
    unsigned* tail = (unsigned*)(ring->submissions + ring->parameters.sq_off.tail);
    unsigned* array = (unsigned*)(ring->submissions + ring->parameters.sq_off.array);
    const unsigned mask = *(unsigned*)(ring->submissions + ring->parameters.sq_off.ring_mask);
    struct io_uring_sqe* entry = &ring->entries[*tail & mask];
    memset(entry, 0, sizeof(*entry));
    entry->opcode = IORING_OP_POLL_ADD;
    entry->fd = fd;
    entry->poll32_events = POLLIN;
    array[*tail & mask] = *tail & mask;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    MUST(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    unsigned* head = (unsigned*)(ring->completions + ring->parameters.cq_off.head);
    const unsigned cq_mask = *(unsigned*)(ring->completions + ring->parameters.cq_off.ring_mask);
    const struct io_uring_cqe* done =
        (struct io_uring_cqe*)(ring->completions + ring->parameters.cq_off.cqes) +
        (*head & cq_mask);
    const int result = done->res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

static void polled_by_io_uring(const char* node) {
    struct ring ring = open_ring();
    struct camera camera = camera_start(node, O_NONBLOCK);
    for (int round = 0; round < 10; ++round) {
        const int events = poll_by_ring(&ring, camera.fd);
        EXPECT(events > 0 && (events & POLLIN), "io_uring says %d for a frame", events);
        struct v4l2_buffer buffer = camera_buffer(0);
        MUST(ioctl(camera.fd, VIDIOC_DQBUF, &buffer));
        camera_queue(&camera, buffer.index);
    }
    camera_stop(&camera);
    MUST(close(ring.fd));
}

// libv4l2 makes its calls by syscall().
static void by_libv4l2(const char* node) {
    void* library = dlopen("libv4l2.so.0", RTLD_NOW);
    if (library == NULL) {
        SKIP("no libv4l2 here");
    }
    int (*v4l2_open)(const char*, int, ...) = dlsym(library, "v4l2_open");
    int (*v4l2_close)(int) = dlsym(library, "v4l2_close");
    int (*v4l2_ioctl)(int, unsigned long, ...) = dlsym(library, "v4l2_ioctl");
    void* (*v4l2_mmap)(void*, size_t, int, int, int, int64_t) = dlsym(library, "v4l2_mmap");
    int (*v4l2_munmap)(void*, size_t) = dlsym(library, "v4l2_munmap");
    const int fd = MUST(v4l2_open(node, O_RDWR, 0));
    struct v4l2_requestbuffers request = {
        .count = 4, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    MUST(v4l2_ioctl(fd, VIDIOC_REQBUFS, &request));
    struct v4l2_buffer buffer = camera_buffer(0);
    MUST(v4l2_ioctl(fd, VIDIOC_QUERYBUF, &buffer));
    void* memory = MUST(
        v4l2_mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, buffer.m.offset));
    for (unsigned index = 0; index < request.count; ++index) {
        buffer = camera_buffer(index);
        MUST(v4l2_ioctl(fd, VIDIOC_QBUF, &buffer));
    }
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    MUST(v4l2_ioctl(fd, VIDIOC_STREAMON, &type));
    for (int frame = 0; frame < 10; ++frame) {
        buffer = camera_buffer(0);
        MUST(v4l2_ioctl(fd, VIDIOC_DQBUF, &buffer));
        EXPECT(buffer.bytesused > 0, "an empty frame");
        MUST(v4l2_ioctl(fd, VIDIOC_QBUF, &buffer));
    }
    MUST(v4l2_ioctl(fd, VIDIOC_STREAMOFF, &type));
    MUST(v4l2_munmap(memory, buffer.length));
    MUST(v4l2_close(fd));
}

const struct trap traps_calls[] = {
    {"readiness-is-exact", readiness_is_exact},
    {"events-beside-frames", events_beside_frames},
    {"request-sign-extended", request_sign_extended},
    {"null-pointers-efault", null_pointers_efault},
    {"other-types-pass", other_types_pass},
    {"mapped-read-only", mapped_read_only},
    {"garbage-in-dqbuf", garbage_in_dqbuf},
    {"timestamps-of-capture", timestamps_of_capture},
    {"queued-in-any-order", queued_in_any_order},
    {"polled-by-io-uring", polled_by_io_uring},
    {"by-libv4l2", by_libv4l2},
    {NULL, NULL},
};
