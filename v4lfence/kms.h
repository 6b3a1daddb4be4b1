/* SPDX-License-Identifier: MIT */
/*
 * v4lfence-kms: one display of a Linux KMS device with fences both ways; a library of its own
 * (libv4lfence-kms.so, pkg-config v4lfence-kms), which uses libdrm. Start here to show frames.
 *
 * A picture is memory that the display can scan out: dma-bufs of another device, imported, or
 * memory of the display's own. v4lfence_display_show() hands one over before it is painted: the
 * kernel waits for the in-fence, shows the picture at the next vertical blank after it, and ends
 * the out-fence then. So
 *
 *   - the out-fence of the commit that shows picture N frees the picture that was shown BEFORE N;
 *   - one commit at a time can be under way: wait until v4lfence_display_fd() is readable, take
 *     the flip, and commit the next. Never wait for a frame.
 *
 *     struct v4lfence_display_frame frame = {.size = sizeof frame};
 *     frame.picture = picture[buf.index];
 *     frame.in_fence = v4l2_buffer_fence_fd(&buf);        // out-fence of VIDIOC_QBUF
 *     v4lfence_display_show(display, &frame, &out);
 *     ... poll(v4lfence_display_fd(display)); v4lfence_display_next_flip(display, &flip);
 *     ... queue the buffer shown before with `out` as its in-fence
 *
 * Calls return -1 (NULL) and set errno; v4lfence_display_error() has a sentence for a person.
 *
 * Structs may grow. One with `size` tells which the program knows: `size` is that of the whole
 * struct, and one smaller than it was in the first version is EINVAL. Of an older, smaller one the
 * rest counts as zero. Of a newer, larger one what this library does not know must be zero where it
 * is read, else the call is E2BIG, and becomes zero where it is filled. What is reserved must be
 * zero where it is read (else EINVAL), and is zero where it is filled.
 *
 * Not thread-safe: a display is one thread's at a time. After fork() it is the parent's: a child
 * that does not execute another program has its descriptors too, and while it keeps them it keeps
 * the card's master. All of them are close-on-exec. The card has the lowest free number, for the
 * kernel lets go of descriptors from the highest down, and fences of vgem must go before the card:
 * a program that closes 3..N at will closes its display.
 *
 * A program may be killed at any moment: the kernel then turns off what it showed, once the
 * in-fence of the commit under way has ended. Those of vgem that the program itself would have
 * ended end with it; for those of others the next v4lfence_display_open() waits, or says EBUSY, 10
 * s at most.
 */
#ifndef V4LFENCE_KMS_H
#define V4LFENCE_KMS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct v4lfence_display;

/* Which plane of the display shows the pictures. */
enum v4lfence_display_plane {
    V4LFENCE_PLANE_PRIMARY = 0,
    /* One above it, for formats or a scaling that the primary plane lacks, or to leave what it
     * shows alone: it becomes black, of the display's own memory. */
    V4LFENCE_PLANE_OVERLAY = 1,
};

/* What is wanted. Zeroed, with `size` set, or NULL: the best there is. */
struct v4lfence_display_choice {
    uint32_t size;         /* of this struct */
    uint32_t plane;        /* enum v4lfence_display_plane */
    const char* card;      /* "/dev/dri/card1", a driver's name ("vkms"), NULL: the first that has
                              the connector; never one of vgem, which has no display */
    const char* connector; /* "HDMI-A-1", NULL: the first that is connected */
    const char* mode;      /* "1280x720", "1280x720@60", NULL: the smallest that holds the picture,
                              else the preferred one */
    uint32_t width;        /* of the pictures, in pixels; 0: not known yet */
    uint32_t height;
    uint32_t fourcc;      /* their format (DRM_FORMAT_*); 0: not known yet. Decides the plane */
    uint32_t reserved[9]; /* zero */
};

/* Opens a card, becomes its master and chooses connector, CRTC, planes and mode. The screen stays
 * as it is until the first picture. NULL and errno, with a sentence in `why` (`why_size` bytes, may
 * be NULL):
 *   ENODEV no card has a display, or that one does not; no such connector, or nothing connected to
 *     it; no CRTC or plane for it; no plane that takes the format
 *   ENOENT no such card
 *   EACCES no permission for its node; EBUSY another program is its master
 *   EOPNOTSUPP the driver has no atomic mode-setting
 *   EINVAL, E2BIG a choice that this version does not know; EINVAL no such mode
 *   ENOMEM, EMFILE */
struct v4lfence_display* v4lfence_display_open(const struct v4lfence_display_choice* choice,
                                               char* why, size_t why_size);

/* Waits for the commit under way (at most a bound of 10 s, the longest a fence of vgem can be
 * pending), puts back what the display showed before, frees everything. Where it cannot be put
 * back, because its program has gone, the display is off. With an in-fence that goes on being
 * pending nothing can be put back, and the kernel waits for it itself: end your own first. NULL:
 * nothing. */
void v4lfence_display_close(struct v4lfence_display* display);

/* Of the last call that failed; valid until the next one. Never NULL. */
const char* v4lfence_display_error(const struct v4lfence_display* display);

struct v4lfence_display_info {
    char card[64]; /* path of the node */
    char driver[32];
    char connector[32];
    char mode[32];  /* "1280x720@60.00": that is on, or will be with the first picture */
    uint32_t width; /* of the mode */
    uint32_t height;
    uint64_t refresh_mhz;  /* thousandths of Hz */
    uint32_t connector_id; /* KMS object ids */
    uint32_t crtc_id;
    uint32_t plane_id;
    uint32_t plane;      /* enum v4lfence_display_plane */
    uint32_t in_fences;  /* 1: the plane takes IN_FENCE_FD */
    uint32_t out_fences; /* 1: the CRTC gives OUT_FENCE_PTR */
    uint32_t scales;     /* 0: pictures of another size than the mode were refused to be scaled;
                            1: they were scaled, or not tried yet */
    uint32_t reserved[9];
};
/* `size`: sizeof(*info). Errors: EINVAL it is too small. */
int v4lfence_display_get_info(const struct v4lfence_display* display,
                              struct v4lfence_display_info* info, size_t size);

/* The formats that the chosen plane scans out, as pairs. Returns how many there are; fills the
 * first `count`. */
struct v4lfence_display_format {
    uint32_t fourcc; /* DRM_FORMAT_* */
    uint32_t reserved;
    uint64_t modifier; /* DRM_FORMAT_MOD_* */
};
size_t v4lfence_display_formats(const struct v4lfence_display* display,
                                struct v4lfence_display_format* formats, size_t count);

/* ---- Pictures -----------------------------------------------------------------------------------
 */

struct v4lfence_picture_plane {
    int32_t fd; /* dma-buf; several planes may name the same one */
    uint32_t offset;
    uint32_t stride; /* bytes a line */
    uint32_t reserved;
};

struct v4lfence_picture {
    uint32_t size; /* of this struct, all of it */
    uint32_t width;
    uint32_t height;
    uint32_t fourcc;
    uint64_t modifier; /* DRM_FORMAT_MOD_INVALID: not known, the driver's own; LINEAR is usual */
    uint32_t plane_count;
    uint32_t reserved;
    struct v4lfence_picture_plane planes[4];
};

/* Memory of another device as a picture. The descriptors stay the caller's. Returns its number,
 * from 1; the number of one that was forgotten is given anew. Errors: EINVAL not a format, size or
 * stride that the plane takes; EINVAL, E2BIG something of a later version; what the driver says to
 * memory that is not its own (virtio-gpu: ENODEV). */
int v4lfence_display_import(struct v4lfence_display* display,
                            const struct v4lfence_picture* picture);

/* A picture in memory of the display's (a dumb buffer), which other devices can import: `picture`
 * has width, height and fourcc, and gets planes and strides; its descriptors are the display's, and
 * live until v4lfence_display_forget(). Formats of one or two planes (XRGB8888, YUYV, NV12, ...); a
 * second plane is in the same dma-buf, right behind the first, as V4L2_PIX_FMT_NV12 has it. Black
 * in RGB at first. Returns as v4lfence_display_import(). Errors: EINVAL; E2BIG; ENOMEM; EMFILE;
 * EOPNOTSUPP the driver has no dumb buffers or cannot export. */
int v4lfence_display_allocate(struct v4lfence_display* display, struct v4lfence_picture* picture);

/* Errors: EBUSY it is on screen or on its way there; ENOENT no such picture. */
int v4lfence_display_forget(struct v4lfence_display* display, int picture);

/* ---- Showing ------------------------------------------------------------------------------------
 */

/* What is to be on screen next. */
struct v4lfence_display_frame {
    uint32_t size; /* of this struct */
    int32_t picture;
    int32_t in_fence;  /* a sync_file, which stays the caller's; -1, and not 0: none */
    uint32_t flags;    /* 0: there are none */
    uint32_t source_x; /* the part of the picture that is shown, in its pixels, such as what is left
                          without the padding of a codec; all 0: the whole picture. Where samples of
                          colour are shared (YUYV, NV12) drivers may want even numbers */
    uint32_t source_y;
    uint32_t source_width;
    uint32_t source_height;
    uint32_t reserved[8]; /* zero */
};

/* Shows the picture once the in-fence has ended; does not block. Where the kernel cannot wait for
 * it (no sync_file: a pipe, an eventfd) it fails with EINVAL and nothing has changed. The first one
 * sets the mode. `out_fence` gets a sync_file, the caller's, that ends when it is on screen; may be
 * NULL. The picture, or the part of it, is scaled to the screen where the plane can, else centred.
 * YCbCr is taken as that of cameras, by BT.601 in limited range, where the plane has a choice.
 * An in-fence costs two system calls beside the commit: until the flip the display keeps a
 * duplicate of it, so that others can see what the screen waits for.
 * Errors: EBUSY a commit is under way; ENOENT no such picture; EACCES another program has become
 * master, or the session is not active; ERANGE the plane does not take this size (many primary
 * planes want the whole screen covered); EINVAL the part is not within the picture; EINVAL, E2BIG
 * something of a later version; EINVAL, ENOSPC the driver refuses the mode, or pictures of this
 * format in it; EOPNOTSUPP, EPERM the driver has no fences, or takes none; EIO, ENODEV the card is
 * gone. */
int v4lfence_display_show(struct v4lfence_display* display,
                          const struct v4lfence_display_frame* frame, int* out_fence);

/* Another mode for the pictures that follow, as v4lfence_display_choice.mode. The screen changes
 * with the next picture, and v4lfence_display_info with it. Where the driver refuses the mode that
 * and each later v4lfence_display_show() fails, until another is set: v4lfence_display_info still
 * has the one that is on. Errors: EBUSY a commit is under way; EINVAL no such mode. */
int v4lfence_display_set_mode(struct v4lfence_display* display, const char* mode);

/* Readable while a flip can be taken. Borrowed. */
int v4lfence_display_fd(const struct v4lfence_display* display);

struct v4lfence_flip {
    uint32_t size;     /* of this struct */
    int32_t picture;   /* on screen now */
    int32_t previous;  /* was on screen before; 0: none of ours */
    uint32_t sequence; /* vertical blanks so far, as the driver counts them; it wraps. 0 always: it
                          does not (virtio-gpu) */
    int64_t time_ns;   /* of the vertical blank, CLOCK_MONOTONIC, to a microsecond */
    uint64_t reserved[4];
};
/* Never blocks. Returns 1 and the flip, or 0: none yet. Errors: EINVAL `size`; EIO, ENODEV. */
int v4lfence_display_next_flip(struct v4lfence_display* display, struct v4lfence_flip* flip);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
