// SPDX-License-Identifier: MIT
//
// Numbers that become other files in ways that nobody sees, and files that get other numbers.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"
#include "tests/shim/traps.h"

static const char text[] = "no camera";

static int memory_file(void) {
    const int fd = MUST(memfd_create("unrelated", MFD_CLOEXEC));
    MUST(write(fd, text, sizeof(text)));
    return fd;
}

// Every call that a camera would answer otherwise.
static void expect_memory_file(int fd) {
    char word[sizeof(text)] = "";
    EXPECT(MUST(lseek(fd, 0, SEEK_SET)) == 0, "lseek of an unrelated file");
    EXPECT(MUST(read(fd, word, sizeof(word))) == sizeof(text) && strcmp(word, text) == 0,
           "read of an unrelated file gave other bytes");
    EXPECT(camera_asks(fd) == ENOTTY, "an unrelated file answers QUERYCAP with %s",
           strerror(camera_asks(fd)));
    struct stat status;
    MUST(fstat(fd, &status));
    EXPECT(S_ISREG(status.st_mode) && status.st_size == sizeof(text),
           "fstat of an unrelated file says mode %o", status.st_mode);
    const char* memory = MUST(mmap(NULL, sizeof(text), PROT_READ, MAP_SHARED, fd, 0));
    EXPECT(strcmp(memory, text) == 0, "mmap of an unrelated file maps something else");
    MUST(munmap((void*)memory, sizeof(text)));
    EXPECT(MUST(write(fd, text, sizeof(text))) == sizeof(text), "write of an unrelated file");
    MUST(ftruncate(fd, sizeof(text)));
}

// The number is free now: an unrelated file gets it, and nobody may take it for the camera's, which
// is free for others.
static void expect_gone(const char* node, struct camera* camera) {
    const int number = camera->fd;
    EXPECT(camera_asks(number) == EBADF, "a closed number answers QUERYCAP with %s",
           strerror(camera_asks(number)));
    for (unsigned index = 0; index < camera->count; ++index) {
        MUST(munmap(camera->memory[index], camera->length[index]));
    }
    const int fd = memory_file();
    EXPECT(fd == number, "the number %d is not free: the next file got %d", number, fd);
    expect_memory_file(fd);
    struct camera again = camera_start(node, 0);
    camera_frames(&again, 3);
    expect_memory_file(fd);
    camera_stop(&again);
    expect_memory_file(fd);
    MUST(close(fd));
}

static void closed_by_wrapper(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    MUST(close(camera.fd));
    expect_gone(node, &camera);
}

static void closed_unseen(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    EXPECT(unseen_syscall(SYS_close, camera.fd, 0, 0) == 0, "close by a bare call");
    expect_gone(node, &camera);
}

static void closed_by_syscall(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    MUST(syscall(SYS_close, camera.fd));
    expect_gone(node, &camera);
}

static void closed_by_fclose(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    FILE* file = fdopen(camera.fd, "r+");
    EXPECT(file != NULL, "fdopen: %s", strerror(errno));
    EXPECT(fclose(file) == 0, "fclose: %s", strerror(errno));
    expect_gone(node, &camera);
}

static void closed_by_range(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    const unsigned number = (unsigned)camera.fd;
    MUST(close_range(number, number, 0));
    expect_gone(node, &camera);
}

static void closed_from(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    closefrom(camera.fd);
    expect_gone(node, &camera);
}

// Its descriptors are closed; a node's mapped buffers are the file's until they are unmapped.
static void start_again(const char* node, struct camera* camera) {
    for (unsigned index = 0; index < camera->count; ++index) {
        MUST(munmap(camera->memory[index], camera->length[index]));
    }
    *camera = camera_start(node, 0);
    camera_frames(camera, 3);
    camera_stop(camera);
}

// Also what of ours lives behind it is gone: the next device works all the same.
static void all_closed_from_three(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    closefrom(3);
    start_again(node, &camera);
}

// A program that closes whatever it does not know, and keeps its camera.
static void others_closed(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    MUST(close_range((unsigned)camera.fd + 1, ~0U, 0));
    camera_frames(&camera, 4);
    EXPECT(camera_asks(camera.fd) == 0, "QUERYCAP: %s", strerror(camera_asks(camera.fd)));
    camera_stop(&camera);
}

static void others_closed_one_by_one(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    for (int fd = camera.fd + 1; fd < 65536; ++fd) {
        close(fd);
    }
    camera_frames(&camera, 4);
    camera_stop(&camera);
}

static void others_closed_fenced(const char* node) {
    struct camera camera = camera_start(node, 0);
    const unsigned first = camera_next(&camera).index;
    const int fence = camera_queue_fenced(&camera, first);
    EXPECT(fence == camera.fd + 1, "the out-fence got %d behind %d", fence, camera.fd);
    MUST(close_range((unsigned)fence + 1, ~0U, 0));
    // The fence must end; a frame may be lost with what was closed, an endless wait may not be.
    struct pollfd entry = {fence, POLLIN, 0};
    EXPECT(MUST(poll(&entry, 1, patience_ms)) == 1, "the out-fence stays pending");
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    (void)ioctl(camera.fd, VIDIOC_STREAMOFF, &type);
    MUST(close(fence));
    closefrom(camera.fd);
    start_again(node, &camera);
}

static void marked_by_range(const char* node) {
    struct camera camera = camera_start(node, 0);
    MUST(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
    EXPECT(MUST(fcntl(camera.fd, F_GETFD)) & FD_CLOEXEC, "CLOSE_RANGE_CLOEXEC did nothing");
    camera_frames(&camera, 4);
    camera_stop(&camera);
}

// dup2() over the camera closes it; so does a bare call.
static void dup2_over(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    const int fd = memory_file();
    EXPECT(MUST(dup2(fd, camera.fd)) == camera.fd, "dup2 gave another number");
    expect_memory_file(camera.fd);
    MUST(close(camera.fd));
    MUST(close(fd));
    expect_gone(node, &camera);
}

static void dup2_over_unseen(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    const int fd = memory_file();
    EXPECT(unseen_syscall(SYS_dup3, fd, camera.fd, O_CLOEXEC) == camera.fd, "dup3 by a bare call");
    expect_memory_file(camera.fd);
    MUST(close(camera.fd));
    MUST(close(fd));
    expect_gone(node, &camera);
}

// A fenced file has more of ours behind it.
static void dup2_over_fenced(const char* node) {
    struct camera camera = camera_start(node, 0);
    const int fence = camera_queue_fenced(&camera, camera_next(&camera).index);
    const int fd = memory_file();
    EXPECT(unseen_syscall(SYS_dup3, fd, camera.fd, O_CLOEXEC) == camera.fd, "dup3 by a bare call");
    expect_memory_file(camera.fd);
    // Nothing is left pending, be it that the frame still comes or that the stream is over.
    struct pollfd entry = {fence, POLLIN, 0};
    EXPECT(MUST(poll(&entry, 1, patience_ms)) == 1, "the out-fence stays pending");
    MUST(close(camera.fd));
    MUST(close(fd));
    expect_gone(node, &camera);
    MUST(close(fence));
}

// Each way to another number of the same file; the last one closes it.
static void duplicates_are_the_camera(const char* node) {
    struct camera camera = camera_start(node, 0);
    const int numbers[] = {MUST(dup(camera.fd)),
                           MUST(dup2(camera.fd, 50)),
                           MUST(dup3(camera.fd, 51, O_CLOEXEC)),
                           MUST(fcntl(camera.fd, F_DUPFD, 60)),
                           MUST(fcntl(camera.fd, F_DUPFD_CLOEXEC, 61)),
                           (int)unseen_syscall(SYS_dup, camera.fd, 0, 0)};
    enum { count = sizeof(numbers) / sizeof(numbers[0]) };
    for (int i = 0; i < count; ++i) {
        EXPECT(camera_asks(numbers[i]) == 0, "number %d says %s", numbers[i],
               strerror(camera_asks(numbers[i])));
        struct stat status;
        MUST(fstat(numbers[i], &status));
        EXPECT(S_ISCHR(status.st_mode), "number %d has mode %o", numbers[i], status.st_mode);
    }
    MUST(close(camera.fd));
    // Frames by one of them, buffers mapped by another, as GStreamer does.
    for (int i = 0; i < count; ++i) {
        camera.fd = numbers[i];
        camera_frames(&camera, 2);
    }
    struct v4l2_buffer buffer = camera_buffer(0);
    MUST(ioctl(numbers[1], VIDIOC_QUERYBUF, &buffer));
    void* memory =
        MUST(mmap(NULL, buffer.length, PROT_READ, MAP_SHARED, numbers[2], buffer.m.offset));
    MUST(munmap(memory, buffer.length));
    for (int i = 0; i < count - 1; ++i) {
        MUST(close(numbers[i]));
    }
    camera.fd = numbers[count - 1];
    camera_frames(&camera, 2);
    camera_stop(&camera);
}

// The camera over another file's number, which is closed by that.
static void camera_over_another(const char* node) {
    int ends[2];
    MUST(pipe(ends));
    const int fd = MUST(open(node, O_RDWR));
    EXPECT(MUST(dup2(fd, ends[0])) == ends[0], "dup2 gave another number");
    EXPECT(camera_asks(ends[0]) == 0, "the number says %s", strerror(camera_asks(ends[0])));
    signal(SIGPIPE, SIG_IGN);
    MUST_FAIL(write(ends[1], "", 1), EPIPE);
    MUST(close(fd));
    struct camera camera = camera_start_file(ends[0]);
    camera_frames(&camera, 3);
    camera_stop(&camera);
    MUST(close(ends[1]));
}

static void opened_and_closed_often(const char* node) {
    enum { rounds = 300 };
    const int first = MUST(open(node, O_RDWR));
    MUST(close(first));
    for (int round = 0; round < rounds; ++round) {
        const int fd = MUST(open(node, O_RDWR));
        EXPECT(fd == first, "round %d got number %d, the first %d: something is left open", round,
               fd, first);
        if (round % 3 == 0) {
            EXPECT(unseen_syscall(SYS_close, fd, 0, 0) == 0, "close by a bare call");
        } else {
            MUST(close(fd));
        }
    }
}

const struct trap traps_descriptors[] = {
    {"closed-by-wrapper", closed_by_wrapper},
    {"closed-unseen", closed_unseen},
    {"closed-by-syscall", closed_by_syscall},
    {"closed-by-fclose", closed_by_fclose},
    {"closed-by-range", closed_by_range},
    {"closed-from", closed_from},
    {"all-closed-from-three", all_closed_from_three},
    {"others-closed", others_closed},
    {"others-closed-one-by-one", others_closed_one_by_one},
    {"others-closed-fenced", others_closed_fenced},
    {"marked-by-range", marked_by_range},
    {"dup2-over", dup2_over},
    {"dup2-over-unseen", dup2_over_unseen},
    {"dup2-over-fenced", dup2_over_fenced},
    {"duplicates-are-the-camera", duplicates_are_the_camera},
    {"camera-over-another", camera_over_another},
    {"opened-and-closed-often", opened_and_closed_often},
    {NULL, NULL},
};
