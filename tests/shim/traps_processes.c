// SPDX-License-Identifier: MIT
//
// Files that go to other processes: by fork, exec, a message, or taken from there.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"
#include "tests/shim/traps.h"

extern char** environ;

enum { child_patience_s = 40 };

static void expect_well(pid_t child, const char* who) {
    int status = 0;
    MUST(waitpid(child, &status, 0));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        _exit(77);  // It has said why.
    }
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s ended with %#x", who, status);
}

static pid_t fork_with_patience(void) {
    fflush(stdout);
    const pid_t child = MUST(fork());
    if (child == 0) {
        alarm(child_patience_s);
    }
    return child;
}

// The stream is one: both take frames of it.
static void unfenced_file_in_child(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 2);
    const pid_t child = fork_with_patience();
    if (child == 0) {
        EXPECT(camera_asks(camera.fd) == 0, "QUERYCAP: %s", strerror(camera_asks(camera.fd)));
        camera_frames(&camera, 5);
        MUST(close(camera.fd));
        _exit(0);
    }
    expect_well(child, "the child");
    camera_frames(&camera, 5);
    camera_stop(&camera);
}

static void fenced_file_in_child(const char* node) {
    struct camera camera = camera_start(node, 0);
    const int fence = camera_queue_fenced(&camera, camera_next(&camera).index);
    const pid_t child = fork_with_patience();
    if (child == 0) {
        struct v4l2_buffer buffer = camera_buffer(0);
        MUST_FAIL(ioctl(camera.fd, VIDIOC_QUERYBUF, &buffer), EIO);
        MUST(close(camera.fd));
        // The fence is a file like any other.
        struct pollfd entry = {fence, POLLIN, 0};
        EXPECT(MUST(poll(&entry, 1, patience_ms)) == 1, "the fence is pending in the child");
        // Opened anew it is the child's own.
        const int own = MUST(open(node, O_RDWR));
        EXPECT(camera_asks(own) == 0, "QUERYCAP: %s", strerror(camera_asks(own)));
        MUST(close(own));
        _exit(0);
    }
    expect_well(child, "the child");
    camera_frames(&camera, 5);
    MUST(close(fence));
    camera_stop(&camera);
}

// The parent is gone; the child has its stream, or, when it was fenced, may have one of its own.
static void parent_ends_first(const char* node) {
    int ends[2], done[2];
    MUST(pipe(ends));
    MUST(pipe(done));
    const pid_t parent = fork_with_patience();
    if (parent == 0) {
        struct camera camera = camera_start(node, 0);
        camera_frames(&camera, 2);
        const pid_t child = fork_with_patience();
        if (child != 0) {
            _exit(0);
        }
        char byte;
        MUST(close(ends[1]));
        MUST(read(ends[0], &byte, 1));  // Until the parent is gone.
        camera_frames(&camera, 5);
        camera_stop(&camera);
        MUST(write(done[1], "", 1));
        _exit(0);
    }
    expect_well(parent, "the parent");
    MUST(close(ends[1]));
    MUST(close(done[1]));
    char byte;
    EXPECT(MUST(read(done[0], &byte, 1)) == 1, "the child did not get its frames");
}

static char* word_of(int number) {
    char* word = malloc(16);
    snprintf(word, 16, "%d", number);
    return word;
}

static void inherited_by_exec(const char* node) {
    const struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 3);
    exec_self("--inherited", word_of(camera.fd), NULL);
}

// It has never opened a camera when the message comes.
static void sent_to_another_program(const char* node) {
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    const pid_t child = fork_with_patience();
    if (child == 0) {
        exec_self("--receive", word_of(pair[1]), NULL);
    }
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 3);
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof(control));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &camera.fd, sizeof(int));
    char byte = 0;
    struct iovec data = {&byte, 1};
    const struct msghdr message = {.msg_iov = &data,
                                   .msg_iovlen = 1,
                                   .msg_control = &control,
                                   .msg_controllen = sizeof(control)};
    MUST(sendmsg(pair[0], &message, 0));
    MUST(close(camera.fd));
    expect_well(child, "the program that got the file");
}

static void fetched_by_pidfd(const char* node) {
    struct camera camera = camera_start(node, 0);
    camera_frames(&camera, 3);
    const int parent = getpid();
    const pid_t child = fork_with_patience();
    if (child == 0) {
        char* number = word_of(camera.fd);
        closefrom(3);
        exec_self("--fetch", word_of(parent), number, NULL);
    }
    expect_well(child, "the program that took the file");
    // The same stream: it is off now.
    struct v4l2_buffer buffer = camera_buffer(0);
    MUST(ioctl(camera.fd, VIDIOC_QUERYBUF, &buffer));
    EXPECT(!(buffer.flags & V4L2_BUF_FLAG_QUEUED), "the stream is on: flags %#x", buffer.flags);
    MUST(close(camera.fd));
}

// Programs that start programs while they stream.
static void others_started_meanwhile(const char* node) {
    struct camera camera = camera_start(node, O_CLOEXEC);
    for (int round = 0; round < 5; ++round) {
        char* const words[] = {(char*)"true", NULL};
        pid_t child = 0;
        EXPECT(posix_spawnp(&child, "true", NULL, NULL, words, environ) == 0, "posix_spawn");
        camera_frames(&camera, 2);
        expect_well(child, "true");
        EXPECT(system("exit 3") == 3 << 8, "system() answered otherwise");
        const pid_t forked = MUST(vfork());
        if (forked == 0) {
            execlp("true", "true", (char*)NULL);
            _exit(1);
        }
        expect_well(forked, "a vforked child");
        camera_frames(&camera, 2);
    }
    camera_stop(&camera);
}

const struct trap traps_processes[] = {
    {"unfenced-file-in-child", unfenced_file_in_child},
    {"fenced-file-in-child", fenced_file_in_child},
    {"parent-ends-first", parent_ends_first},
    {"inherited-by-exec", inherited_by_exec},
    {"sent-to-another-program", sent_to_another_program},
    {"fetched-by-pidfd", fetched_by_pidfd},
    {"others-started-meanwhile", others_started_meanwhile},
    {NULL, NULL},
};
