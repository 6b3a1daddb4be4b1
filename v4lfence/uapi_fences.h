/* SPDX-License-Identifier: MIT */
/*
 * The fence interface of V4L2 as the kernel patchset specified it (RFC v5, November 2017), for
 * headers that never got it.
 *
 * A program queues a buffer with an in-fence, an out-fence, or both:
 *
 *     buf.flags |= V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;
 *     v4l2_buffer_fence_fd(&buf) = in_fence;              // stays the program's: it is duplicated
 *     v4lfence_ioctl(fd, VIDIOC_QBUF, &buf);
 *     int out_fence = v4l2_buffer_fence_fd(&buf);         // the program's to close
 *
 * The flags say nothing about support: a stock kernel accepts and echoes both bits. Ask
 * VIDIOC_QUERY_FENCES; a file that knows no fences answers ENOTTY.
 */
#ifndef V4LFENCE_UAPI_FENCES_H
#define V4LFENCE_UAPI_FENCES_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/videodev2.h>

#ifdef __cplusplus
extern "C" {
#endif

/* v4l2_buffer.flags, in: the field below is a fence to wait for before the device may touch the
 * buffer. Out: that fence has not ended yet. */
#define V4L2_BUF_FLAG_IN_FENCE 0x00200000
/* v4l2_buffer.flags, in: return a fence that ends when the device is finished with the buffer.
 * Out: an out-fence is attached and has not ended. */
#define V4L2_BUF_FLAG_OUT_FENCE 0x00400000

/* The field: an lvalue of type __s32 in struct v4l2_buffer `b` points to (`reserved2`, offset 76 on
 * 64 bit). VIDIOC_QBUF alone takes and returns a descriptor in it. On a file that has used fences
 * it must be 0 or -1 in VIDIOC_QBUF and VIDIOC_PREPARE_BUF where IN_FENCE is not set (EINVAL): an
 * old out-fence must not be left in it. */
#define v4l2_buffer_fence_fd(b) (*(__s32*)&(b)->reserved2)

/* v4l2_requestbuffers.capabilities and v4l2_create_buffers.capabilities of a file that uses fences.
 */
#define V4L2_BUF_CAP_SUPPORTS_FENCES 0x80000000u
/* The queue gives its buffers back in the order they were queued, with the format it has now. */
#define V4L2_BUF_CAP_IS_ORDERED 0x40000000u

/* v4l2_query_fences.features */
#define V4L2_FENCES_IN 0x00000001u  /* IN_FENCE is honoured */
#define V4L2_FENCES_OUT 0x00000002u /* OUT_FENCE is honoured */
#define V4L2_FENCES_KERNEL_WAITABLE                                                                \
    0x00000004u /* out-fences are sync_files that KMS and GPUs can wait for */
#define V4L2_FENCES_ERRORS 0x00000008u  /* an out-fence that ended badly says so, and why */
#define V4L2_FENCES_ORDERED 0x00000010u /* as V4L2_BUF_CAP_IS_ORDERED */

#define V4L2_FENCES_VERSION 1

/* What the queue of one buffer type does with fences, now. `size` must be set to the size the
 * caller was built with; as many bytes are answered, and fields this library does not know stay
 * zero. */
struct v4l2_query_fences {
    __u32 size;
    __u32 version;     /* out: V4L2_FENCES_VERSION */
    __u32 type;        /* in: enum v4l2_buf_type */
    __u32 features;    /* out: V4L2_FENCES_* */
    __u32 bound_ms;    /* out: an out-fence is ended at the latest this long after its QBUF; 0: no
                          bound */
    __u32 deadline_ms; /* out: an in-fence counts as failed this long after its QBUF; 0: never */
    char provider[16]; /* out: who makes the out-fences: "user", "eventfd", "vgem", "sw_sync" */
    __u32 reserved[8]; /* must be zero */
};

/* Errors: ENOTTY not a managed file; EINVAL `size` too small, `reserved` not zero, no such buffer
 * type. */
#define VIDIOC_QUERY_FENCES _IOWR(0xF5, 0x00, struct v4l2_query_fences)

#ifdef __cplusplus
}
#endif

#endif
