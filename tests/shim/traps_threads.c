// SPDX-License-Identifier: MIT
//
// Many threads on one camera, and what becomes of them.

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"
#include "tests/shim/traps.h"

struct busy {
    const char* node;
    const struct camera* camera;
    atomic_int stop;
    atomic_uint rounds;
};

// Opens, asks, closes; also files that are no camera, on the same numbers.
static void* keep_busy(void* argument) {
    struct busy* busy = argument;
    while (!atomic_load(&busy->stop)) {
        const int fd = MUST(open(busy->node, O_RDWR | O_CLOEXEC));
        EXPECT(camera_asks(fd) == 0, "QUERYCAP: %s", strerror(camera_asks(fd)));
        const int same = MUST(fcntl(fd, F_DUPFD_CLOEXEC, 3));
        MUST(close(fd));
        const int null = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
        EXPECT(camera_asks(null) == ENOTTY, "/dev/null says %s", strerror(camera_asks(null)));
        EXPECT(camera_asks(same) == 0, "the other number says %s", strerror(camera_asks(same)));
        MUST(close(null));
        MUST(close(same));
        if (busy->camera != NULL) {
            struct v4l2_buffer buffer = camera_buffer(0);
            MUST(ioctl(busy->camera->fd, VIDIOC_QUERYBUF, &buffer));
        }
        atomic_fetch_add(&busy->rounds, 1);
    }
    return NULL;
}

enum { threads = 4 };

static void start_busy(pthread_t* all, struct busy* busy) {
    for (int i = 0; i < threads; ++i) {
        EXPECT(pthread_create(&all[i], NULL, keep_busy, busy) == 0, "no thread");
    }
    while (atomic_load(&busy->rounds) < threads) {
        poll(NULL, 0, 1);
    }
}

static void stop_busy(pthread_t* all, struct busy* busy) {
    atomic_store(&busy->stop, 1);
    for (int i = 0; i < threads; ++i) {
        EXPECT(pthread_join(all[i], NULL) == 0, "no end of a thread");
    }
}

static void streamed_beside_threads(const char* node) {
    struct camera camera = camera_start(node, 0);
    struct busy busy = {.node = node, .camera = &camera};
    pthread_t all[threads];
    start_busy(all, &busy);
    camera_frames(&camera, 40);
    stop_busy(all, &busy);
    camera_stop(&camera);
}

// A child of a process with threads: whatever they held at that moment, it may open and close.
static void forked_beside_threads(const char* node) {
    enum { forks = 40, child_patience_s = 30 };
    struct busy busy = {.node = node};
    pthread_t all[threads];
    start_busy(all, &busy);
    for (int round = 0; round < forks; ++round) {
        const pid_t child = MUST(fork());
        if (child == 0) {
            alarm(child_patience_s);
            const int fd = MUST(open(node, O_RDWR));
            EXPECT(camera_asks(fd) == 0, "QUERYCAP: %s", strerror(camera_asks(fd)));
            MUST(close(fd));
            _exit(0);
        }
        int status = 0;
        MUST(waitpid(child, &status, 0));
        EXPECT(status == 0, "the child of round %d ended with %#x", round, status);
    }
    stop_busy(all, &busy);
}

struct waiter {
    struct camera* camera;
    atomic_int asked;
    int error;
};

static void* dequeue_blocking(void* argument) {
    struct waiter* waiter = argument;
    struct v4l2_buffer buffer = camera_buffer(0);
    atomic_store(&waiter->asked, 1);
    waiter->error = ioctl(waiter->camera->fd, VIDIOC_DQBUF, &buffer) < 0 ? errno : 0;
    return NULL;
}

static void run_dry(const struct camera* camera) {
    for (unsigned left = camera->count; left > 0; --left) {
        camera_next(camera);
    }
}

static pthread_t start_waiter(struct waiter* waiter) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, dequeue_blocking, waiter) == 0, "no thread");
    while (!atomic_load(&waiter->asked)) {
        poll(NULL, 0, 1);
    }
    poll(NULL, 0, 100);  // It sleeps by now; when not, the outcome is the same.
    return thread;
}

static void streamoff_ends_wait(const char* node) {
    struct camera camera = camera_start(node, 0);
    run_dry(&camera);
    struct waiter waiter = {.camera = &camera};
    const pthread_t thread = start_waiter(&waiter);
    camera_stream(&camera, 0);
    EXPECT(pthread_join(thread, NULL) == 0, "no end of the thread");
    EXPECT(waiter.error == EINVAL, "DQBUF ended with %s, expected EINVAL", strerror(waiter.error));
    MUST(close(camera.fd));
}

static void qbuf_ends_wait(const char* node) {
    struct camera camera = camera_start(node, 0);
    run_dry(&camera);
    struct waiter waiter = {.camera = &camera};
    const pthread_t thread = start_waiter(&waiter);
    camera_queue(&camera, 1);
    EXPECT(pthread_join(thread, NULL) == 0, "no end of the thread");
    EXPECT(waiter.error == 0, "DQBUF ended with %s", strerror(waiter.error));
    camera_queue(&camera, 1);
    camera_stop(&camera);
}

// As Chromium and others end their threads.
static void cancelled_in_wait(const char* node) {
    struct camera camera = camera_start(node, 0);
    run_dry(&camera);
    struct waiter waiter = {.camera = &camera};
    const pthread_t thread = start_waiter(&waiter);
    EXPECT(pthread_cancel(thread) == 0, "pthread_cancel");
    camera_queue(&camera, 0);  // ioctl() is no cancellation point of every C library.
    EXPECT(pthread_join(thread, NULL) == 0, "no end of the thread");
    camera_stream(&camera, 0);
    for (unsigned index = 0; index < camera.count; ++index) {
        camera_queue(&camera, index);
    }
    camera_stream(&camera, 1);
    camera_frames(&camera, 5);
    camera_stop(&camera);
}

static void on_alarm(int number) {
    (void)number;
}

static void signal_interrupts(const char* node) {
    struct camera camera = camera_start(node, 0);
    run_dry(&camera);
    const struct sigaction action = {.sa_handler = on_alarm};  // Without SA_RESTART.
    MUST(sigaction(SIGALRM, &action, NULL));
    alarm(1);
    struct v4l2_buffer buffer = camera_buffer(0);
    MUST_FAIL(ioctl(camera.fd, VIDIOC_DQBUF, &buffer), EINTR);
    for (unsigned index = 0; index < camera.count; ++index) {
        camera_queue(&camera, index);
    }
    camera_frames(&camera, 4);
    camera_stop(&camera);
}

const struct trap traps_threads[] = {
    {"streamed-beside-threads", streamed_beside_threads},
    {"forked-beside-threads", forked_beside_threads},
    {"streamoff-ends-wait", streamoff_ends_wait},
    {"qbuf-ends-wait", qbuf_ends_wait},
    {"cancelled-in-wait", cancelled_in_wait},
    {"signal-interrupts", signal_interrupts},
    {NULL, NULL},
};
