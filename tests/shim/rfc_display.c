// SPDX-License-Identifier: MIT
//
// A program of the fence interface of 2017 that shows what a camera sends: each buffer is queued
// with an out-fence, which goes to KMS as IN_FENCE_FD before the frame is there; what KMS returns
// by OUT_FENCE_PTR is the in-fence of the buffer that was shown before. It never waits for the
// camera.
//
// usage: rfc_display NODE

#include <drm_fourcc.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "tests/shim/check.h"

#define fence_fd reserved2
#define V4L2_BUF_FLAG_IN_FENCE 0x00200000
#define V4L2_BUF_FLAG_OUT_FENCE 0x00400000

enum { buffers = 4, frames = 24, width = 640, height = 480, patience_ms = 5000 };

struct display {
    int fd;
    uint32_t connector, crtc, plane, mode;
    uint32_t in_fence, out_fence;
    uint32_t framebuffer[buffers];
    int memory[buffers];  // A dma-buf each.
    uint32_t pitch;
};

static uint32_t property(int fd, uint32_t object, uint32_t type, const char* name) {
    drmModeObjectProperties* all = drmModeObjectGetProperties(fd, object, type);
    uint32_t found = 0;
    for (unsigned i = 0; all != NULL && i < all->count_props; ++i) {
        drmModePropertyRes* one = drmModeGetProperty(fd, all->props[i]);
        found = strcmp(one->name, name) == 0 ? one->prop_id : found;
        drmModeFreeProperty(one);
    }
    drmModeFreeObjectProperties(all);
    EXPECT(found != 0, "KMS has no property %s", name);
    return found;
}

static int open_display(void) {
    for (int number = 0; number < 8; ++number) {
        char path[32];
        snprintf(path, sizeof(path), "/dev/dri/card%d", number);
        const int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd >= 0 && drmSetClientCap(fd, DRM_CLIENT_CAP_ATOMIC, 1) == 0) {
            drmModeRes* resources = drmModeGetResources(fd);
            if (resources != NULL && resources->count_connectors > 0) {
                drmModeFreeResources(resources);
                return fd;
            }
        }
    }
    SKIP("there is no display to show anything on");
}

static void choose_output(struct display* display) {
    drmModeRes* resources = drmModeGetResources(display->fd);
    display->connector = resources->connectors[0];
    display->crtc = resources->crtcs[0];
    drmModeConnector* connector = drmModeGetConnector(display->fd, display->connector);
    EXPECT(connector != NULL && connector->count_modes > 0, "the display has no mode");
    drmModeModeInfo mode = connector->modes[0];
    for (int i = 0; i < connector->count_modes; ++i) {
        if (connector->modes[i].hdisplay == width && connector->modes[i].vdisplay == height) {
            mode = connector->modes[i];
        }
    }
    MUST(drmModeCreatePropertyBlob(display->fd, &mode, sizeof(mode), &display->mode));
    drmModePlaneRes* planes = drmModeGetPlaneResources(display->fd);
    EXPECT(planes != NULL && planes->count_planes > 0, "the display has no plane");
    display->plane = planes->planes[0];
    display->in_fence = property(display->fd, display->plane, DRM_MODE_OBJECT_PLANE, "IN_FENCE_FD");
    display->out_fence =
        property(display->fd, display->crtc, DRM_MODE_OBJECT_CRTC, "OUT_FENCE_PTR");
    drmModeFreePlaneResources(planes);
    drmModeFreeConnector(connector);
    drmModeFreeResources(resources);
}

static void make_framebuffers(struct display* display) {
    for (unsigned index = 0; index < buffers; ++index) {
        struct drm_mode_create_dumb dumb = {.width = width, .height = height, .bpp = 32};
        MUST(drmIoctl(display->fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb));
        MUST(drmPrimeHandleToFD(display->fd, dumb.handle, DRM_CLOEXEC | DRM_RDWR,
                                &display->memory[index]));
        const uint32_t handles[4] = {dumb.handle}, pitches[4] = {dumb.pitch}, offsets[4] = {0};
        EXPECT(drmModeAddFB2(display->fd, width, height, DRM_FORMAT_XRGB8888, handles, pitches,
                             offsets, &display->framebuffer[index], 0) == 0,
               "no framebuffer: %s", strerror(errno));
        display->pitch = dumb.pitch;
    }
}

// Shows a buffer once its fence has ended. Returns the fence of the moment it is on screen.
static int show(const struct display* display, unsigned index, int in_fence, int first) {
    drmModeAtomicReq* request = drmModeAtomicAlloc();
    const struct {
        const char* name;
        uint64_t value;
    } of_plane[] = {
        {"FB_ID", display->framebuffer[index]},
        {"CRTC_ID", display->crtc},
        {"SRC_X", 0},
        {"SRC_Y", 0},
        {"SRC_W", (uint64_t)width << 16},
        {"SRC_H", (uint64_t)height << 16},
        {"CRTC_X", 0},
        {"CRTC_Y", 0},
        {"CRTC_W", width},
        {"CRTC_H", height},
    };
    for (unsigned i = 0; i < sizeof(of_plane) / sizeof(of_plane[0]); ++i) {
        const uint32_t name =
            property(display->fd, display->plane, DRM_MODE_OBJECT_PLANE, of_plane[i].name);
        drmModeAtomicAddProperty(request, display->plane, name, of_plane[i].value);
    }
    if (first) {
        const int fd = display->fd;
        drmModeAtomicAddProperty(
            request, display->connector,
            property(fd, display->connector, DRM_MODE_OBJECT_CONNECTOR, "CRTC_ID"), display->crtc);
        drmModeAtomicAddProperty(request, display->crtc,
                                 property(fd, display->crtc, DRM_MODE_OBJECT_CRTC, "MODE_ID"),
                                 display->mode);
        drmModeAtomicAddProperty(request, display->crtc,
                                 property(fd, display->crtc, DRM_MODE_OBJECT_CRTC, "ACTIVE"), 1);
    }
    int32_t out = -1;
    drmModeAtomicAddProperty(request, display->plane, display->in_fence, (uint64_t)in_fence);
    drmModeAtomicAddProperty(request, display->crtc, display->out_fence, (uintptr_t)&out);
    int status = 0;
    do {  // Only one flip at a time may be under way.
        status = drmModeAtomicCommit(
            display->fd, request,
            DRM_MODE_ATOMIC_NONBLOCK | (first ? DRM_MODE_ATOMIC_ALLOW_MODESET : 0), NULL);
    } while (status == -EBUSY && poll(NULL, 0, 1) == 0);
    EXPECT(status == 0, "KMS refused a frame and its fence: %s", strerror(-status));
    drmModeAtomicFree(request);
    EXPECT(out >= 0, "KMS returned no fence");
    return out;
}

static int queue(int camera, const struct display* display, unsigned index, int in_fence) {
    struct v4l2_buffer buffer = {.index = index,
                                 .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
                                 .memory = V4L2_MEMORY_DMABUF,
                                 .flags = V4L2_BUF_FLAG_OUT_FENCE};
    buffer.m.fd = display->memory[index];
    if (in_fence >= 0) {
        buffer.flags |= V4L2_BUF_FLAG_IN_FENCE;
        buffer.fence_fd = (__u32)in_fence;
    }
    MUST(ioctl(camera, VIDIOC_QBUF, &buffer));
    const int fence = (int)buffer.fence_fd;
    struct sync_file_info info;
    memset(&info, 0, sizeof(info));
    EXPECT(fence >= 0 && ioctl(fence, SYNC_IOC_FILE_INFO, &info) == 0,
           "the out-fence is no sync_file: %s", strerror(errno));
    return fence;
}

static int ended(int fence, int timeout_ms) {
    struct pollfd entry = {fence, POLLIN, 0};
    return MUST(poll(&entry, 1, timeout_ms)) == 1;
}

static int open_camera(const char* node, const struct display* display) {
    const int camera = MUST(open(node, O_RDWR));
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    MUST(ioctl(camera, VIDIOC_G_FMT, &format));
    format.fmt.pix.width = width;
    format.fmt.pix.height = height;
    format.fmt.pix.pixelformat = V4L2_PIX_FMT_XBGR32;
    format.fmt.pix.field = V4L2_FIELD_NONE;
    format.fmt.pix.bytesperline = display->pitch;
    MUST(ioctl(camera, VIDIOC_S_FMT, &format));
    if (format.fmt.pix.width != width || format.fmt.pix.height != height ||
        format.fmt.pix.pixelformat != V4L2_PIX_FMT_XBGR32 ||
        format.fmt.pix.bytesperline != display->pitch) {
        SKIP("the camera has no %dx%d of four bytes", width, height);
    }
    struct v4l2_requestbuffers request = {
        .count = buffers, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_DMABUF};
    MUST(ioctl(camera, VIDIOC_REQBUFS, &request));
    EXPECT(request.count == buffers, "REQBUFS gave %u buffers", request.count);
    return camera;
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: rfc_display NODE\n");
        return 2;
    }
    struct display display;
    display.fd = open_display();
    choose_output(&display);
    make_framebuffers(&display);
    const int camera = open_camera(argv[1], &display);
    int done[buffers];
    for (unsigned index = 0; index < buffers; ++index) {
        done[index] = queue(camera, &display, index, -1);
    }
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    MUST(ioctl(camera, VIDIOC_STREAMON, &type));

    unsigned early = 0;  // Given to KMS before the frame was there.
    for (unsigned frame = 0; frame < frames; ++frame) {
        const unsigned index = frame % buffers;
        early += !ended(done[index], 0);
        const int shown = show(&display, index, done[index], frame == 0);
        // What was on screen before is free once this one is there: it goes back to the camera now.
        if (frame > 0) {
            const unsigned before = (frame - 1) % buffers;
            done[before] = queue(camera, &display, before, shown);
        }
        EXPECT(ended(shown, patience_ms), "frame %u never came to the screen", frame);
        EXPECT(ended(done[index], 0), "frame %u was shown before the camera had ended", frame);
        struct v4l2_buffer buffer = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
                                     .memory = V4L2_MEMORY_DMABUF};
        MUST(ioctl(camera, VIDIOC_DQBUF, &buffer));
        EXPECT(buffer.index == index && !(buffer.flags & V4L2_BUF_FLAG_ERROR),
               "frame %u: buffer %u, flags %#x", frame, buffer.index, buffer.flags);
        MUST(close(done[index]));
        MUST(close(shown));
    }
    EXPECT(early > 0, "every frame was there before KMS was told of it");
    MUST(ioctl(camera, VIDIOC_STREAMOFF, &type));
    MUST(close(camera));
    printf("%d frames shown, KMS waited for %u\n", frames, early);
    return 0;
}
