/* SPDX-License-Identifier: MIT */
/*
 * v4lfence: explicit synchronization for V4L2 on stock kernels. Start here to use the library from
 * C; v4lfence.hpp puts owning C++ types over the same calls, uapi_fences.h holds the flags and the
 * query.
 *
 * The calls have the shape of libv4l2: replace open() by v4lfence_open() and so on. The descriptor
 * of a kernel's node is the kernel's own, so it can be polled, mapped, duplicated and passed on as
 * before; V4L2 ioctls and close() must come through this library. Until a fence is asked for, each
 * call goes to the kernel unchanged and no thread exists.
 *
 * A virtual device lives in this process, and has a thread of its own while it streams. Its
 * descriptor can be polled; every other call on it must come through this library, mmap(), munmap()
 * and read() too.
 *
 * After fork() fences are the parent's to end. In the child its files that use fences, and all of
 * virtual devices, answer EIO until they are opened anew.
 *
 * Unless a comment says otherwise: thread-safe; returns -1 (MAP_FAILED) and sets errno on error, as
 * the system call of the same name does.
 */
#ifndef V4LFENCE_V4LFENCE_H
#define V4LFENCE_V4LFENCE_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/types.h>
#include <time.h>

#include "v4lfence/uapi_fences.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct epoll_event;

/* ---- Files --------------------------------------------------------------------------------------
 */

/* Opens a V4L2 node, or a virtual device: "virtual:camera", "virtual:camera-mplane";
 * "virtual:camera@NAME" is one more of its kind, each name one device for the whole process. It is
 * made when it is first opened, and keeps its formats and controls until the process ends or its
 * control "Disconnect, if Armed" unplugs it; the name is that of a new one then. Of `flags` a
 * virtual device heeds O_NONBLOCK and O_CLOEXEC. A mode follows `flags` where open() takes one. Any
 * other file is opened too, and left alone. Errors: as open(2); ENOENT no such kind of virtual
 * device. */
int v4lfence_open(const char* path, int flags, ...);

/* Takes over a descriptor of a V4L2 node that came from elsewhere: a portal, another process,
 * dup(). Returns it. A duplicate that the program makes of a managed descriptor is the kernel's
 * alone until it is taken over; then it is one more number of the same file, as one that
 * v4lfence_dup() made. Where the kernel cannot be asked whether it is a duplicate (kcmp(2)
 * forbidden) it counts as a second handle of the node. Of a virtual device only a duplicate can be
 * taken over; until then it can be polled, and nothing else. Errors: EBADF; EINVAL no V4L2 node,
 * nor a virtual device. */
int v4lfence_fd_open(int fd);

/* As dup(2): one more number of the same file, which may be used and closed like the first and in
 * any order. Of what is not managed it is dup(2), nothing else. Errors: EBADF; EMFILE. */
int v4lfence_dup(int fd);

/* Closes the descriptor. With the last number of a file, ends the stream first, and every fence
 * that has not ended (-ECANCELED); with any other the file goes on as it was. */
int v4lfence_close(int fd);

/* As ioctl(2). VIDIOC_QBUF takes and returns fences, see uapi_fences.h. On a descriptor that
 * v4lfence_open() did not return it is ioctl(2), with one addition: SYNC_IOC_FILE_INFO,
 * SYNC_IOC_MERGE and SYNC_IOC_SET_DEADLINE, which the kernel refuses on a fence of the providers
 * "user" and "eventfd" (ENOTTY), are answered as for a sync_file: one fence, of driver "v4lfence"
 * and the provider's timeline. When it ended is known of "user" alone, to a tick of the kernel's
 * clock; the name given to SYNC_IOC_MERGE is kept only where the kernel merges. */
int v4lfence_ioctl(int fd, unsigned long request, ...);

/* As mmap(2) and the others; of a kernel's node they are the system calls. Of a virtual device:
 * `offset` is what VIDIOC_QUERYBUF says; a mapping is MAP_SHARED, can be read, and is not longer
 * than the plane (EINVAL); it stays when the buffer goes. v4lfence_munmap() takes a mapping whole,
 * and clears V4L2_BUF_FLAG_MAPPED with the last one. read() gives frames of one plane (EBUSY: of
 * several, or the queue is used otherwise); nothing can be written (EINVAL). */
void* v4lfence_mmap(void* addr, size_t length, int prot, int flags, int fd, int64_t offset);
int v4lfence_munmap(void* addr, size_t length);
ssize_t v4lfence_read(int fd, void* buffer, size_t count);
ssize_t v4lfence_write(int fd, const void* buffer, size_t count);

/* ---- Readiness ----------------------------------------------------------------------------------
 *
 * The descriptor itself may be polled. Two moments are only right through these: while every queued
 * buffer waits for a fence after STREAMON the kernel, which has seen no buffer yet, says POLLERR;
 * and a buffer that is returned because its in-fence failed never was in the kernel, so the kernel
 * does not announce it. Of a virtual device poll and select also show what its descriptor, and so
 * epoll, cannot: POLLERR of a queue that does not stream, and an event (POLLPRI) without POLLIN.
 */
int v4lfence_poll(struct pollfd* fds, nfds_t count, int timeout_ms);
int v4lfence_select(int nfds, fd_set* readable, fd_set* writable, fd_set* exceptional,
                    struct timeval* timeout);
/* Registers a file so that a plain epoll_wait() tells the truth. */
int v4lfence_epoll_ctl(int epfd, int op, int fd, struct epoll_event* event);

/* ---- Choices for one file -----------------------------------------------------------------------
 *
 * Each is a fence option: the file counts as fenced from then on, unless the call fails. Errors of
 * each: ENOTTY no file of ours; EIO after fork(), of a fenced file of the parent's.
 */

/* Who makes the out-fences: "auto" (as "user"), "user", "eventfd", "vgem", "sw_sync". Holds for
 * buffers queued later. Errors: EINVAL no such provider; ENODEV this machine does not have it
 * (v4lfence_provider_reason() says why); EMFILE, ENFILE, ENOMEM it could not be tried. */
int v4lfence_set_provider(int fd, const char* name);

/* An in-fence that has not ended `deadline_ms` after its QBUF counts as failed with -ETIME. 0, the
 * default: wait for ever, as the RFC does. Holds for buffers queued later. */
int v4lfence_set_deadline(int fd, unsigned deadline_ms);

/* Implicit synchronization: the fences that lie in the dma-bufs of a buffer, where a program that
 * knows no descriptors of fences (GL, a compositor, KMS without IN_FENCE_FD) puts and finds them.
 * The dma-bufs are the planes of a V4L2_MEMORY_DMABUF buffer, or, of V4L2_MEMORY_MMAP, what
 * VIDIOC_EXPBUF has exported of it before this QBUF. A kernel's node makes a new dma-buf with each
 * VIDIOC_EXPBUF: those count that were exported while this was on. A buffer without dma-bufs
 * (V4L2_MEMORY_USERPTR, never exported) takes no part, nor does one with V4L2_BUF_FLAG_REQUEST_FD.
 *   IN   QBUF waits for the fences that are there at that moment as for an in-fence, but however
 *        they end: all of them for capture, those of writers for output. An in-fence of the
 *        program's is waited for too, and a deadline holds for all. While one is pending QUERYBUF
 *        says V4L2_BUF_FLAG_IN_FENCE; QBUF says it of the program's alone.
 *   OUT  QBUF puts its out-fence into each of them, as a writer's for capture, as a reader's for
 *        output. It is made by "vgem", whatever v4lfence_set_provider() says, and has its bound;
 *        the program gets a descriptor of it if it asks for one. Once a bound has expired nothing
 *        is put there until the stream is stopped, and VIDIOC_QUERY_FENCES names another provider.
 * Costs: IN a system call with each QBUF, and some for each dma-buf with a pending fence; OUT the
 * fence and a system call for each dma-buf; of a kernel's node's V4L2_MEMORY_MMAP a descriptor for
 * each dma-buf that somebody else still has, until its buffer goes: after 16 of one plane
 * VIDIOC_EXPBUF says EMFILE. Until the out-fence ends it holds up whoever else wants the dma-buf:
 * the display that shows it, the GPU driver that moves or frees its memory. Memory that its driver
 * moves when a device first uses it (VRAM) should be moved by VIDIOC_PREPARE_BUF, before there is
 * a fence.
 * Holds for buffers queued later; 0 ends it. Errors: EINVAL no such flag; ENODEV OUT without vgem;
 * ENOTTY the kernel's dma-bufs have no sync_files (before 6.0); EMFILE, ENFILE, ENOMEM vgem could
 * not be tried. Of VIDIOC_QBUF: EINVAL a plane is no dma-buf; ENOTTY; EMFILE, ENFILE, ENOMEM. */
#define V4LFENCE_IMPLICIT_IN 0x1u
#define V4LFENCE_IMPLICIT_OUT 0x2u
int v4lfence_set_implicit(int fd, unsigned flags);

/* For programs built for the RFC: VIDIOC_QUERYCAP reports 0x20000000, v5's V4L2_CAP_ORDERED, where
 * every format of the device is ordered. In today's headers that bit means V4L2_CAP_IO_MC, so it is
 * off unless asked for. */
int v4lfence_set_rfc_caps(int fd, int on);

/* Names for out-fences that are sync_files, as SYNC_IOC_FILE_INFO shows them: "video0
 * capture 3 #17" is the 17th buffer that was queued, the one of index 3. Costs two system calls for
 * each fence, so it is off by default. Holds for buffers queued later. */
int v4lfence_set_fence_names(int fd, int on);

/* The last buffer of this file whose fence was given up on. */
struct v4lfence_expiry {
    uint32_t count; /* how many so far; 0: none, and the rest means nothing */
    uint32_t type;  /* enum v4l2_buf_type */
    uint32_t index;
    int32_t error;  /* -ETIME */
    uint32_t bound; /* 1: that of a kernel-waitable out-fence; 0: the deadline of an in-fence */
    uint32_t reserved;
    int64_t queued_at_ns; /* CLOCK_MONOTONIC */
    int64_t expired_at_ns;
    char driver_name[32]; /* of the in-fence, where it is a sync_file; else its kind */
    char timeline_name[32];
    uint64_t reserved2[4];
};
int v4lfence_last_expiry(int fd, struct v4lfence_expiry* expiry);

/* Why this machine lacks a provider, or NULL if it has it. The text stays valid until the process
 * ends. */
const char* v4lfence_provider_reason(const char* name);

/* ---- Fences -------------------------------------------------------------------------------------
 *
 * A fence is a descriptor: a sync_file, an eventfd, the read end of a pipe, or a socket. It ends
 * once, when it becomes readable or hangs up. A dma-buf stands for the fences that it has at that
 * moment. Errors of each that takes one: EINVAL not a fence; EMFILE.
 */
enum v4lfence_fence_state {
    V4LFENCE_PENDING = 0,
    V4LFENCE_SIGNALED = 1,
    V4LFENCE_FAILED = 2,
};

struct v4lfence_fence_result {
    int32_t state;       /* enum v4lfence_fence_state */
    int32_t error;       /* negative errno when failed, else 0 */
    int64_t ended_at_ns; /* CLOCK_MONOTONIC, where the kind of fence knows it; else 0 */
    uint64_t reserved[2];
};

/* Never blocks. */
int v4lfence_fence_status(int fence_fd, struct v4lfence_fence_result* result);

/* Waits until the fence has ended, well or badly; `result` may be NULL. `timeout_ms` -1: for ever.
 * Errors: ETIME; EINTR. */
int v4lfence_fence_wait(int fence_fd, int timeout_ms, struct v4lfence_fence_result* result);

/* A new fence that ends when both have, badly if either did. The inputs stay the caller's. `name`
 * is what the kernel shows for it, where it is a sync_file. */
int v4lfence_fence_merge(const char* name, int first, int second);

/* The program's own fences, for stages that are not V4L2. */
struct v4lfence_promise;

/* Makes a pending fence; returns the maker's side and stores the descriptor to hand out. NULL and
 * errno on error, as v4lfence_set_provider() and EMFILE. */
struct v4lfence_promise* v4lfence_promise_create(const char* provider, int* fence_fd);

/* Ends the fence: 0 well, a negative errno badly. Frees the promise. */
void v4lfence_promise_end(struct v4lfence_promise* promise, int error);

/* A sync_file for a fence that has ended: one that has ended too, for interfaces that take nothing
 * else. When it says that it ended means nothing. Of a sync_file, pending or not, a duplicate; of a
 * dma-buf, that of its fences. Errors: EAGAIN a fence of another kind that is still pending; EIO it
 * ended badly, which an ended sync_file cannot say; ENODEV nothing on this machine makes sync_files
 * (no dma-buf can be made, no DRM node has syncobjs). */
int v4lfence_fence_sync_file(int fence_fd);

/* ---- Timelines ----------------------------------------------------------------------------------
 *
 * A DRM syncobj of the kernel as {syncobj, point}: what linux-drm-syncobj-v1 of Wayland, the
 * SyncTimeline of PipeWire and Vulkan's timeline semaphores exchange. A point may be waited for
 * before anybody has promised it. Points rise; a point is reached when it, or a later one, is.
 * doc/consumers.md shows the calls for each kind of consumer.
 *
 * The kernel ends no point by itself. When a process dies its points that carry a sync_file are
 * still reached, and no others: whoever waits for another process needs a timeout.
 */
struct v4lfence_timeline;

/* `node`: a DRM node, "/dev/dri/renderD128", or NULL: the first render node that has timelines.
 * `syncobj_fd`: the syncobj of somebody else, of whatever node, which stays the caller's, or -1: a
 * new one. In a forked child the timeline answers EIO; the points are the parent's. NULL and errno:
 * ENODEV no node has timelines (v4lfence_timeline_reason()); ENOENT; EACCES; EINVAL no syncobj;
 * EMFILE. */
struct v4lfence_timeline* v4lfence_timeline_create(const char* node, int syncobj_fd);

/* Points that were promised here and wait for this process are reached now: nobody waits for ever.
 * Those that carry a sync_file are reached with it, as the kernel does that alone. Those that
 * others promised stay theirs. No other call on the timeline may be under way. */
void v4lfence_timeline_destroy(struct v4lfence_timeline* timeline);

/* The syncobj's descriptor for others, new, the caller's. It is no fence: its poll() lies. */
int v4lfence_timeline_export(struct v4lfence_timeline* timeline);

/* `point` is reached when `fence_fd` has ended, well or badly, and the points promised before it
 * are: an out-fence of VIDIOC_QBUF makes a queue's completions a timeline. The fence stays the
 * caller's. Where it is a sync_file the point carries it, so that the kernel can wait for it: at
 * once, unless a fence of another kind was promised before it and is pending. Fences of other kinds
 * are waited for by the loop (see below). Errors: EINVAL not a fence, or `point` is not above the
 * last one promised, nor above those that somebody else's syncobj had when it was taken over;
 * EMFILE; ENOMEM. */
int v4lfence_timeline_promise(struct v4lfence_timeline* timeline, uint64_t point, int fence_fd);

/* The highest point reached. */
int v4lfence_timeline_value(struct v4lfence_timeline* timeline, uint64_t* value);

/* A fence, an eventfd, the caller's, that ends when the point is reached; promised or not. For
 * V4L2_BUF_FLAG_IN_FENCE. Nobody ends it where the timeline goes without reaching the point: give
 * the queue a deadline. Errors: ENOTTY the kernel has no such (before 6.6); EMFILE. */
int v4lfence_timeline_fence(struct v4lfence_timeline* timeline, uint64_t point);

/* Why `node` (NULL: every node) has no timelines, or NULL if one has. The text stays valid until
 * the thread asks again. */
const char* v4lfence_timeline_reason(const char* node);

/* ---- The loop -----------------------------------------------------------------------------------
 *
 * Fences are waited for by a thread of the library, which starts with the first fence. A program
 * that wants no such thread runs the work in its own loop instead. The thread of a virtual device
 * that streams has nothing to do with it.
 */

/* Before the first fence. Returns a descriptor, the library's, that is readable while there is work
 * for v4lfence_dispatch(). The thread that dispatches must not wait for a fence of the library's,
 * nor in a blocking DQBUF: only it could end that wait. A forked child begins without a choice.
 * Errors: EBUSY a thread does it already. */
int v4lfence_use_own_loop(void);

/* Does what is due, without blocking. Returns how many events were handled. Call it from one thread
 * at a time. */
int v4lfence_dispatch(void);

/* What `v4lfence trace` and `v4lfence doctor` show of this process lies on a board: a memfd of
 * 1.6 MB, of which what is written to takes memory, and a descriptor. It comes with the first
 * fence and goes with the last fenced file; to write on it needs no system call. 0: there is to be
 * none, for a sandbox that kills who makes a memfd, or for who must not be watched; 1, the default:
 * one. Where none can be had there is none. A forked child keeps the choice. A display of
 * v4lfence/kms.h has a board of its own. Errors: EBUSY there is a fenced file, or something else
 * that waits for fences, and it began otherwise. */
int v4lfence_use_board(int on);

/* Counters of this process, for tests and for the curious. */
struct v4lfence_stats {
    uint64_t wakeups; /* times the thread or v4lfence_dispatch() looked for work */
    uint64_t fences_made;
    uint64_t fences_ended; /* of those made */
    uint64_t in_fences;    /* waited for */
    uint64_t threads;      /* that wait for fences, running now: 0 or 1 */
    uint64_t fenced_files; /* open now */
};
/* Fills the first `size` bytes. Errors: EINVAL `size` is 0. */
int v4lfence_get_stats(struct v4lfence_stats* stats, size_t size);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
