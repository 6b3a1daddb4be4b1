/* SPDX-License-Identifier: MIT */
/*
 * A camera as most programs use it: mapped buffers, a stream, frame after frame. What fails ends
 * the program (check.h).
 */
#ifndef TESTS_SHIM_CAMERA_H
#define TESTS_SHIM_CAMERA_H

#include <linux/videodev2.h>
#include <stddef.h>

enum { camera_buffers_max = 8, patience_ms = 10000 };

/* As the interface of the patches of 2017 has them. */
#define BUF_FLAG_IN_FENCE 0x00200000
#define BUF_FLAG_OUT_FENCE 0x00400000

struct camera {
    int fd;
    unsigned count;
    void* memory[camera_buffers_max];
    size_t length[camera_buffers_max];
};

/* open(), REQBUFS, mmap; every buffer queued, in the order of their indexes; STREAMON. */
struct camera camera_start(const char* node, int flags);
/* The same of a file that is open. */
struct camera camera_start_file(int fd);
/* Another program's stream, which goes on: only the mappings are made anew. */
struct camera camera_take_over(int fd, unsigned count);

struct v4l2_buffer camera_buffer(unsigned index);
void camera_queue(const struct camera* camera, unsigned index);
/* With an out-fence, which is returned. */
int camera_queue_fenced(const struct camera* camera, unsigned index);
/* Waits in poll(), as either kind of file allows. */
struct v4l2_buffer camera_next(const struct camera* camera);
/* So many frames, each buffer queued again. */
void camera_frames(const struct camera* camera, unsigned frames);
void camera_stream(const struct camera* camera, int on);
/* STREAMOFF, munmap, close. */
void camera_stop(struct camera* camera);

/* Is it the camera? QUERYCAP, with no harm done. 0, or the errno. */
int camera_asks(int fd);

#endif
