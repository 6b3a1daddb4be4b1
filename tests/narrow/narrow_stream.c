/* SPDX-License-Identifier: MIT */
/*
 * A camera program as any 32-bit one: it knows the C library, videodev2.h and the two fence flags.
 * It is built with 32-bit times, with 64-bit times, and, to judge the program itself, for 64 bit.
 *
 *     narrow_stream NODE MEMORY FENCES     MEMORY: mmap or userptr, FENCES: fenced or unfenced
 *
 * Prints `ok NAME`, `skip NAME - why` or `not ok NAME - why` for each thing it has seen; exit
 * status 1 when one was not well.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "v4lfence/uapi_fences.h"

#if __SIZEOF_POINTER__ == 8
_Static_assert(sizeof(struct v4l2_buffer) == 88, "");
#elif defined(_TIME_BITS)
_Static_assert(sizeof(struct v4l2_buffer) == 76 && sizeof(struct v4l2_event) == 128, "");
#else
_Static_assert(sizeof(struct v4l2_buffer) == 68 && sizeof(struct v4l2_event) == 120, "");
#endif

enum { buffers_max = 4, frames_wanted = 24, timeout_ms = 10000, short_ms = 50, alarm_s = 50 };

static struct {
    int fd;
    int is_planar;
    enum v4l2_buf_type type;
    enum v4l2_memory memory;
    int has_fences;
    unsigned count;
    unsigned size; /* of a buffer's first plane */
    void* memories[buffers_max];
    unsigned sizes[buffers_max][VIDEO_MAX_PLANES];
    unsigned planes;
    int in_fences[buffers_max]; /* write ends */
    int out_fences[buffers_max];
} camera = {.fd = -1};

static int failures;

static void tell(const char* name, const char* format, ...) {
    if (format == NULL) {
        printf("ok %s\n", name);
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    printf("not ok %s - ", name);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    failures++;
}

static void die(const char* what) {
    tell(what, "%s", strerror(errno));
    exit(1);
}

static void call(unsigned long request, void* argument, const char* name) {
    if (ioctl(camera.fd, request, argument) < 0) {
        die(name);
    }
}

/* --- what the structs carry --------------------------------------------------------------------
 */

static void check_format(void) {
    struct v4l2_format format = {.type = camera.type};
    call(VIDIOC_G_FMT, &format, "G_FMT");
    if (camera.is_planar) {
        format.fmt.pix_mp.width = 640;
        format.fmt.pix_mp.height = 360;
    } else {
        format.fmt.pix.width = 640;
        format.fmt.pix.height = 360;
    }
    call(VIDIOC_S_FMT, &format, "S_FMT");
    unsigned width = camera.is_planar ? format.fmt.pix_mp.width : format.fmt.pix.width;
    camera.planes = camera.is_planar ? format.fmt.pix_mp.num_planes : 1;
    camera.size =
        camera.is_planar ? format.fmt.pix_mp.plane_fmt[0].sizeimage : format.fmt.pix.sizeimage;
    tell("format", width < 160 || camera.size < width ? "width %u, size %u" : NULL, width,
         camera.size);
}

static void check_inputs(void) {
    struct v4l2_input input = {.index = 0};
    call(VIDIOC_ENUMINPUT, &input, "ENUMINPUT");
    tell("input", input.name[0] == 0 ? "it has no name" : NULL);
    struct v4l2_standard standard = {.index = 0};
    if (ioctl(camera.fd, VIDIOC_ENUMSTD, &standard) == 0) {
        tell("standard",
             standard.framelines != 525 && standard.framelines != 625 ? "%u lines" : NULL,
             standard.framelines);
    } else {
        tell("standard", errno != ENODATA && errno != ENOTTY ? "%s" : NULL, strerror(errno));
    }
}

static void check_controls(void) {
    struct v4l2_ext_control control = {.id = V4L2_CID_BRIGHTNESS};
    struct v4l2_ext_controls controls = {
        .which = V4L2_CTRL_WHICH_CUR_VAL, .count = 1, .controls = &control};
    if (ioctl(camera.fd, VIDIOC_G_EXT_CTRLS, &controls) < 0) {
        tell("controls", "%s", strerror(errno));
        return;
    }
    int old = control.value;
    control.value = old == 100 ? 101 : 100;
    call(VIDIOC_S_EXT_CTRLS, &controls, "S_EXT_CTRLS");
    control.value = 0;
    call(VIDIOC_G_EXT_CTRLS, &controls, "G_EXT_CTRLS");
    tell("controls", control.value != (old == 100 ? 101 : 100) ? "got %d back" : NULL,
         control.value);
}

/* The flags to set back. */
static int be_nonblocking(void) {
    int flags = fcntl(camera.fd, F_GETFL);
    fcntl(camera.fd, F_SETFL, flags | O_NONBLOCK);
    return flags;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void check_event(void) {
    struct v4l2_event_subscription wanted = {.type = V4L2_EVENT_CTRL,
                                             .id = V4L2_CID_BRIGHTNESS,
                                             .flags = V4L2_EVENT_SUB_FL_SEND_INITIAL};
    call(VIDIOC_SUBSCRIBE_EVENT, &wanted, "SUBSCRIBE_EVENT");
    struct v4l2_event event;
    memset(&event, 0xEE, sizeof event);
    call(VIDIOC_DQEVENT, &event, "DQEVENT");
    double age = now() - ((double)event.timestamp.tv_sec + (double)event.timestamp.tv_nsec / 1e9);
    int is_wrong = event.type != V4L2_EVENT_CTRL || event.id != V4L2_CID_BRIGHTNESS ||
                   event.pending != 0 || (event.u.ctrl.value != 100 && event.u.ctrl.value != 101) ||
                   event.u.ctrl.maximum < 100 || age < 0 || age > 60;
    tell("event", is_wrong ? "type %u, id %x, value %d, %.3f s old" : NULL, event.type, event.id,
         event.u.ctrl.value, age);
    int flags = be_nonblocking();
    if (ioctl(camera.fd, VIDIOC_DQEVENT, &event) == 0 || errno != ENOENT) {
        tell("no event", "%s", strerror(errno));
    }
    fcntl(camera.fd, F_SETFL, flags);
}

static void check_wrong_pointers(void) {
    int error = ioctl(camera.fd, VIDIOC_QUERYBUF, NULL) < 0 ? errno : 0;
    tell("null", error != EFAULT ? "%s" : NULL, strerror(error));
    struct v4l2_buffer buffer = {.type = camera.type, .index = 1000, .memory = camera.memory};
    error = ioctl(camera.fd, VIDIOC_QUERYBUF, &buffer) < 0 ? errno : 0;
    tell("index", error != EINVAL ? "%s" : NULL, strerror(error));
}

/* --- buffers -----------------------------------------------------------------------------------
 */

static struct v4l2_buffer empty_buffer(struct v4l2_plane* planes) {
    struct v4l2_buffer buffer = {.type = camera.type, .memory = camera.memory};
    if (camera.is_planar) {
        memset(planes, 0, VIDEO_MAX_PLANES * sizeof *planes);
        buffer.m.planes = planes;
        buffer.length = camera.planes;
    }
    return buffer;
}

static void map_buffer(unsigned index) {
    struct v4l2_plane planes[VIDEO_MAX_PLANES];
    struct v4l2_buffer buffer = empty_buffer(planes);
    buffer.index = index;
    call(VIDIOC_QUERYBUF, &buffer, "QUERYBUF");
    for (unsigned i = 0; i < camera.planes; i++) {
        camera.sizes[index][i] = camera.is_planar ? planes[i].length : buffer.length;
    }
    unsigned offset = camera.is_planar ? planes[0].m.mem_offset : buffer.m.offset;
    if (camera.memory == V4L2_MEMORY_MMAP) {
        camera.memories[index] = mmap(NULL, camera.sizes[index][0], PROT_READ | PROT_WRITE,
                                      MAP_SHARED, camera.fd, (off_t)offset);
    } else {
        camera.sizes[index][0] = camera.size;
        camera.memories[index] =
            mmap(NULL, camera.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (camera.memories[index] == MAP_FAILED) {
        die("mmap");
    }
}

static void make_buffers(void) {
    struct v4l2_requestbuffers request = {
        .count = buffers_max - 1, .type = camera.type, .memory = camera.memory};
    call(VIDIOC_REQBUFS, &request, "REQBUFS");
    camera.count = request.count;
    struct v4l2_create_buffers create = {.count = 1, .memory = camera.memory};
    create.format.type = camera.type;
    call(VIDIOC_G_FMT, &create.format, "G_FMT");
    call(VIDIOC_CREATE_BUFS, &create, "CREATE_BUFS");
    tell("create",
         create.index != camera.count || create.count != 1 ? "index %u, %u of them" : NULL,
         create.index, create.count);
    camera.count = camera.count < buffers_max ? camera.count + 1 : buffers_max;
    for (unsigned i = 0; i < camera.count; i++) {
        camera.in_fences[i] = camera.out_fences[i] = -1;
        map_buffer(i);
    }
}

/* With an in-fence that has not ended: end_in_fence() does it. */
static void queue(unsigned index) {
    struct v4l2_plane planes[VIDEO_MAX_PLANES];
    struct v4l2_buffer buffer = empty_buffer(planes);
    buffer.index = index;
    if (camera.memory == V4L2_MEMORY_USERPTR && camera.is_planar) {
        planes[0].m.userptr = (unsigned long)camera.memories[index];
        planes[0].length = camera.sizes[index][0];
    } else if (camera.memory == V4L2_MEMORY_USERPTR) {
        buffer.m.userptr = (unsigned long)camera.memories[index];
        buffer.length = camera.sizes[index][0];
    }
    int ends[2] = {-1, -1};
    if (camera.has_fences) {
        if (pipe(ends) < 0) {
            die("pipe");
        }
        buffer.flags = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;
        v4l2_buffer_fence_fd(&buffer) = ends[0];
    }
    call(VIDIOC_QBUF, &buffer, "QBUF");
    if (camera.has_fences) {
        camera.in_fences[index] = ends[1];
        camera.out_fences[index] = v4l2_buffer_fence_fd(&buffer);
        int is_wrong = camera.out_fences[index] <= 2 || camera.out_fences[index] == ends[0] ||
                       !(buffer.flags & V4L2_BUF_FLAG_IN_FENCE) ||
                       !(buffer.flags & V4L2_BUF_FLAG_OUT_FENCE);
        if (is_wrong) {
            tell("out-fence", "fence_fd %d, flags %#x", camera.out_fences[index], buffer.flags);
        }
        close(ends[0]);
    }
}

static void end_in_fence(unsigned index) {
    if (camera.has_fences) {
        if (write(camera.in_fences[index], "", 1) != 1) {
            die("in-fence");
        }
        close(camera.in_fences[index]);
    }
}

static int is_ready(int fd, int wait_ms) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, wait_ms) == 1;
}

/* While no in-fence has ended, nothing may come. */
static void check_in_fences_hold(void) {
    if (!camera.has_fences) {
        return;
    }
    struct v4l2_plane planes[VIDEO_MAX_PLANES];
    struct v4l2_buffer buffer = empty_buffer(planes);
    int flags = be_nonblocking();
    int early = is_ready(camera.out_fences[0], short_ms);
    int error = ioctl(camera.fd, VIDIOC_DQBUF, &buffer) < 0 ? errno : 0;
    fcntl(camera.fd, F_SETFL, flags);
    tell("in-fence holds", early || error != EAGAIN ? "out-fence ended %d, DQBUF %s" : NULL, early,
         strerror(error));
}

/* The program's memory holds a picture: not one byte alone. */
static int has_picture(const unsigned char* bytes, unsigned size) {
    for (unsigned i = 1; i < size; i++) {
        if (bytes[i] != bytes[0]) {
            return 1;
        }
    }
    return 0;
}

static const char* problem_of(const struct v4l2_buffer* buffer, const struct v4l2_plane* planes,
                              double last) {
    double time = (double)buffer->timestamp.tv_sec + (double)buffer->timestamp.tv_usec / 1e6;
    unsigned used = camera.is_planar ? planes[0].bytesused : buffer->bytesused;
    if (buffer->index >= camera.count || buffer->type != camera.type) {
        return "index or type";
    }
    if (buffer->flags & V4L2_BUF_FLAG_ERROR) {
        return "the error flag";
    }
    if (used == 0 || used > camera.sizes[buffer->index][0]) {
        return "bytesused";
    }
    if (time <= last || time > now() + 1 || time < now() - 60) {
        return "timestamp";
    }
    if (camera.memory == V4L2_MEMORY_USERPTR && !camera.is_planar &&
        buffer->m.userptr != (unsigned long)camera.memories[buffer->index]) {
        return "userptr";
    }
    return has_picture(camera.memories[buffer->index], used) ? NULL : "no picture";
}

static void stream(void) {
    for (unsigned i = 0; i < camera.count; i++) {
        queue(i);
    }
    call(VIDIOC_STREAMON, &camera.type, "STREAMON");
    check_in_fences_hold();
    for (unsigned i = 0; i < camera.count; i++) {
        end_in_fence(i);
    }
    double last = 0;
    unsigned next = 0;
    for (unsigned frame = 0; frame < frames_wanted; frame++) {
        unsigned oldest = frame % camera.count;
        if (camera.has_fences && !is_ready(camera.out_fences[oldest], timeout_ms)) {
            tell("out-fence", "frame %u never ended", frame);
            return;
        }
        struct v4l2_plane planes[VIDEO_MAX_PLANES];
        struct v4l2_buffer buffer = empty_buffer(planes);
        call(VIDIOC_DQBUF, &buffer, "DQBUF");
        const char* problem = problem_of(&buffer, planes, last);
        if (problem == NULL && buffer.sequence < next) {
            problem = "sequence";
        }
        if (problem != NULL) {
            tell("frame", "%u: %s", frame, problem);
            return;
        }
        last = (double)buffer.timestamp.tv_sec + (double)buffer.timestamp.tv_usec / 1e6;
        next = buffer.sequence + 1;
        if (camera.has_fences) {
            close(camera.out_fences[buffer.index]);
        }
        queue(buffer.index);
        end_in_fence(buffer.index);
    }
    tell("frames", NULL);
    call(VIDIOC_STREAMOFF, &camera.type, "STREAMOFF");
}

/* A fence_fd without its flag is refused by a file that uses fences. */
static void check_stray_fence(void) {
    if (!camera.has_fences) {
        return;
    }
    struct v4l2_plane planes[VIDEO_MAX_PLANES];
    struct v4l2_buffer buffer = empty_buffer(planes);
    v4l2_buffer_fence_fd(&buffer) = camera.fd;
    int error = ioctl(camera.fd, VIDIOC_QBUF, &buffer) < 0 ? errno : 0;
    tell("stray fence_fd", error != EINVAL ? "%s" : NULL, strerror(error));
}

int main(int argc, char** argv) {
    alarm(alarm_s);
    if (argc != 4) {
        fprintf(stderr, "usage: %s NODE mmap|userptr fenced|unfenced\n", argv[0]);
        return 2;
    }
    camera.memory = strcmp(argv[2], "mmap") == 0 ? V4L2_MEMORY_MMAP : V4L2_MEMORY_USERPTR;
    camera.has_fences = strcmp(argv[3], "fenced") == 0;
    camera.fd = open(argv[1], O_RDWR);
    if (camera.fd < 0) {
        die("open");
    }
    struct v4l2_capability caps;
    call(VIDIOC_QUERYCAP, &caps, "QUERYCAP");
    camera.is_planar = (caps.device_caps & V4L2_CAP_VIDEO_CAPTURE_MPLANE) != 0;
    camera.type =
        camera.is_planar ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
    check_format();
    check_inputs();
    check_controls();
    check_event();
    make_buffers();
    check_wrong_pointers();
    stream();
    check_stray_fence();
    close(camera.fd);
    return failures == 0 ? 0 : 1;
}
