// SPDX-License-Identifier: MIT

#include "tests/display/screen.hpp"

#include <drm_fourcc.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include <array>
#include <fstream>
#include <memory>
#include <string>

#include "tests/display/check.hpp"

namespace v4lfence::display {

namespace {

/// The kernel bounds a fence of vgem by 10 s; nothing here may take longer.
constexpr int patience_ms = 12'000;

template <auto free_it>
struct Freed {
    template <class Pointer>
    void operator()(Pointer* pointer) const {
        free_it(pointer);
    }
};
using Resources = std::unique_ptr<drmModeRes, Freed<drmModeFreeResources>>;
using Connector = std::unique_ptr<drmModeConnector, Freed<drmModeFreeConnector>>;
using Planes = std::unique_ptr<drmModePlaneRes, Freed<drmModeFreePlaneResources>>;
using Plane = std::unique_ptr<drmModePlane, Freed<drmModeFreePlane>>;
using Properties = std::unique_ptr<drmModeObjectProperties, Freed<drmModeFreeObjectProperties>>;
using Property = std::unique_ptr<drmModePropertyRes, Freed<drmModeFreeProperty>>;
using Request = std::unique_ptr<drmModeAtomicReq, Freed<drmModeAtomicFree>>;
using Version = std::unique_ptr<drmVersion, Freed<drmFreeVersion>>;

UniqueFd open_card(const char* driver) {
    for (int number = 0; number < 16; ++number) {
        UniqueFd card(
            ::open(("/dev/dri/card" + std::to_string(number)).c_str(), O_RDWR | O_CLOEXEC));
        const Version version(card ? drmGetVersion(card.get()) : nullptr);
        if (version && std::strcmp(version->name, driver) == 0) {
            return card;
        }
    }
    give_up(status_lacking, "no card of the driver %s", driver);
}

struct Found {
    std::uint32_t id = 0;
    std::uint64_t value = 0;
};

Found find_property(int card, std::uint32_t object, std::uint32_t kind, const char* name) {
    const Properties all(drmModeObjectGetProperties(card, object, kind));
    for (unsigned i = 0; all && i < all->count_props; ++i) {
        const Property one(drmModeGetProperty(card, all->props[i]));
        if (one && std::strcmp(one->name, name) == 0) {
            return {one->prop_id, all->prop_values[i]};
        }
    }
    return {};
}

std::uint32_t property(int card, std::uint32_t object, std::uint32_t kind, const char* name) {
    const Found found = find_property(card, object, kind, name);
    if (found.id == 0) {
        give_up(status_lacking, "the display has no property %s", name);
    }
    return found.id;
}

drmModeModeInfo mode_of(Size size, unsigned rate_hz) {
    drmModeModeInfo mode{};
    mode.hdisplay = static_cast<std::uint16_t>(size.width);
    mode.hsync_start = static_cast<std::uint16_t>(mode.hdisplay + 8);
    mode.hsync_end = static_cast<std::uint16_t>(mode.hdisplay + 16);
    mode.htotal = static_cast<std::uint16_t>(mode.hdisplay + 24);
    mode.vdisplay = static_cast<std::uint16_t>(size.height);
    mode.vsync_start = static_cast<std::uint16_t>(mode.vdisplay + 4);
    mode.vsync_end = static_cast<std::uint16_t>(mode.vdisplay + 8);
    mode.vtotal = static_cast<std::uint16_t>(mode.vdisplay + 12);
    mode.clock = std::uint32_t{mode.htotal} * mode.vtotal * rate_hz / 1000;
    mode.vrefresh = rate_hz;
    mode.type = DRM_MODE_TYPE_USERDEF;
    std::snprintf(mode.name, sizeof(mode.name), "test");
    return mode;
}

void add(const Request& request, std::uint32_t object, std::uint32_t property,
         std::uint64_t value) {
    must(drmModeAtomicAddProperty(request.get(), object, property, value) < 0 ? -1 : 0,
         "a property of a commit");
}

/// libdrm returns a negative errno here.
void commit(int card, const Request& request, std::uint32_t flags, const char* what) {
    const int status = drmModeAtomicCommit(card, request.get(), flags, nullptr);
    if (status == -EACCES) {
        give_up(status_lacking, "%s: another program is the card's master", what);
    }
    if (status != 0) {
        give_up(status_wrong, "%s: %s", what, std::strerror(-status));
    }
}

}  // namespace

Screen::Screen(const char* driver, Size size, unsigned rate_hz, bool writeback)
    : size_(size), card_(open_card(driver)) {
    must(drmSetClientCap(card_.get(), DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1), "universal planes");
    must(drmSetClientCap(card_.get(), DRM_CLIENT_CAP_ATOMIC, 1), "atomic mode-setting");
    if (writeback && drmSetClientCap(card_.get(), DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1) != 0) {
        give_up(status_lacking, "the display cannot write back what it scans out");
    }
    choose_output(writeback);
    light(rate_hz);
}

void Screen::choose_output(bool writeback) {
    const int card = card_.get();
    const Resources resources(drmModeGetResources(card));
    if (!resources || resources->count_crtcs == 0) {
        give_up(status_lacking, "the card has no display");
    }
    crtc_ = resources->crtcs[0];
    for (int i = 0; i < resources->count_connectors; ++i) {
        const Connector one(drmModeGetConnector(card, resources->connectors[i]));
        const bool writes = one && one->connector_type == DRM_MODE_CONNECTOR_WRITEBACK;
        if (one && writes == writeback && connector_ == 0) {
            connector_ = one->connector_id;
        } else {
            other_connectors_.push_back(resources->connectors[i]);
        }
    }
    const Planes planes(drmModeGetPlaneResources(card));
    for (unsigned i = 0; planes && i < planes->count_planes && plane_ == 0; ++i) {
        const Plane plane(drmModeGetPlane(card, planes->planes[i]));
        const Found type = find_property(card, planes->planes[i], DRM_MODE_OBJECT_PLANE, "type");
        if (plane && (plane->possible_crtcs & 1) != 0 && type.value == DRM_PLANE_TYPE_PRIMARY) {
            plane_ = planes->planes[i];
        }
    }
    if (connector_ == 0 || plane_ == 0) {
        give_up(status_lacking, "the display has no %s",
                connector_ == 0 ? "connector of the kind that is needed" : "primary plane");
    }
    of_plane_ = {property(card, plane_, DRM_MODE_OBJECT_PLANE, "FB_ID"),
                 property(card, plane_, DRM_MODE_OBJECT_PLANE, "CRTC_ID"),
                 property(card, plane_, DRM_MODE_OBJECT_PLANE, "IN_FENCE_FD")};
    of_connector_.crtc = property(card, connector_, DRM_MODE_OBJECT_CONNECTOR, "CRTC_ID");
    if (writeback) {
        of_connector_.writeback =
            property(card, connector_, DRM_MODE_OBJECT_CONNECTOR, "WRITEBACK_FB_ID");
        of_connector_.written =
            property(card, connector_, DRM_MODE_OBJECT_CONNECTOR, "WRITEBACK_OUT_FENCE_PTR");
    }
    out_fence_ = property(card, crtc_, DRM_MODE_OBJECT_CRTC, "OUT_FENCE_PTR");
}

void Screen::light(unsigned rate_hz) {
    const int card = card_.get();
    const drmModeModeInfo mode = mode_of(size_, rate_hz);
    std::uint32_t blob = 0;
    must(drmModeCreatePropertyBlob(card, &mode, sizeof(mode), &blob) == 0 ? 0 : -1, "a mode");
    const Picture black = make_picture();
    const Request request(drmModeAtomicAlloc());
    for (const std::uint32_t other : other_connectors_) {
        add(request, other, property(card, other, DRM_MODE_OBJECT_CONNECTOR, "CRTC_ID"), 0);
    }
    add(request, connector_, of_connector_.crtc, crtc_);
    add(request, crtc_, property(card, crtc_, DRM_MODE_OBJECT_CRTC, "MODE_ID"), blob);
    add(request, crtc_, property(card, crtc_, DRM_MODE_OBJECT_CRTC, "ACTIVE"), 1);
    add(request, plane_, of_plane_.framebuffer, black.framebuffer);
    add(request, plane_, of_plane_.crtc, crtc_);
    const struct {
        const char* name;
        std::uint64_t value;
    } places[] = {{"SRC_X", 0},
                  {"SRC_Y", 0},
                  {"SRC_W", std::uint64_t{size_.width} << 16},
                  {"SRC_H", std::uint64_t{size_.height} << 16},
                  {"CRTC_X", 0},
                  {"CRTC_Y", 0},
                  {"CRTC_W", size_.width},
                  {"CRTC_H", size_.height}};
    for (const auto& place : places) {
        add(request, plane_, property(card, plane_, DRM_MODE_OBJECT_PLANE, place.name),
            place.value);
    }
    commit(card, request, DRM_MODE_ATOMIC_ALLOW_MODESET, "the first commit");
}

Picture Screen::make_picture() const {
    const int card = card_.get();
    drm_mode_create_dumb dumb{};
    dumb.width = size_.width;
    dumb.height = size_.height;
    dumb.bpp = 32;
    must(drmIoctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &dumb), "memory for a picture");
    Picture picture;
    picture.pitch = dumb.pitch;
    int dma_buf = -1;
    must(drmPrimeHandleToFD(card, dumb.handle, DRM_CLOEXEC | DRM_RDWR, &dma_buf) == 0 ? 0 : -1,
         "a picture's dma-buf");
    picture.dma_buf = UniqueFd(dma_buf);
    const std::array<std::uint32_t, 4> handles{dumb.handle};
    const std::array<std::uint32_t, 4> pitches{dumb.pitch};
    const std::array<std::uint32_t, 4> offsets{};
    must(drmModeAddFB2(card, size_.width, size_.height, DRM_FORMAT_XRGB8888, handles.data(),
                       pitches.data(), offsets.data(), &picture.framebuffer, 0) == 0
             ? 0
             : -1,
         "a picture as framebuffer");
    void* const memory = ::mmap(nullptr, dumb.size, PROT_READ, MAP_SHARED, dma_buf, 0);
    if (memory == MAP_FAILED) {
        give_up(status_wrong, "a picture cannot be mapped: %s", std::strerror(errno));
    }
    picture.pixels = {static_cast<const std::byte*>(memory), dumb.size};
    return picture;
}

void Screen::leave_fence(const Picture& picture, const api::Fence& fence) {
    dma_buf_import_sync_file put{DMA_BUF_SYNC_WRITE, fence.fd()};
    if (drmIoctl(picture.dma_buf.get(), DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &put) != 0) {
        give_up(errno == ENOTTY ? status_lacking : status_wrong,
                "a picture's memory takes no fence: %s", std::strerror(errno));
    }
}

Screen::Fences Screen::show(const Picture& picture, int in_fence, const Picture* writeback) {
    const Request request(drmModeAtomicAlloc());
    add(request, plane_, of_plane_.framebuffer, picture.framebuffer);
    if (in_fence >= 0) {
        add(request, plane_, of_plane_.in_fence, static_cast<std::uint64_t>(in_fence));
    }
    std::int32_t shown = -1;
    std::int32_t written = -1;
    add(request, crtc_, out_fence_, reinterpret_cast<std::uintptr_t>(&shown));
    if (writeback != nullptr) {
        add(request, connector_, of_connector_.writeback, writeback->framebuffer);
        add(request, connector_, of_connector_.written, reinterpret_cast<std::uintptr_t>(&written));
    }
    commit(card_.get(), request, DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT, "a commit");
    return {api::Fence(shown), api::Fence(written)};
}

Screen::Flip Screen::wait_for_flip() const {
    pollfd entry{card_.get(), POLLIN, 0};
    alignas(drm_event_vblank) std::array<char, 1024> bytes{};
    if (::poll(&entry, 1, patience_ms) != 1) {
        give_up(status_wrong, "a frame did not come to the screen within %d ms", patience_ms);
    }
    const auto length = must(::read(card_.get(), bytes.data(), bytes.size()), "a flip");
    drm_event_vblank flip{};
    if (static_cast<std::size_t>(length) != sizeof(flip)) {
        give_up(status_wrong, "KMS told something else than one flip (%zd bytes)", length);
    }
    std::memcpy(&flip, bytes.data(), sizeof(flip));
    return {flip.sequence};
}

void Screen::wait_for_writeback(const Picture& writeback, const api::Fence& written) const {
    if (written.wait(patience_ms) != 0) {
        give_up(status_wrong, "what was scanned out is not written back");
    }
    // A reference that is still held is all there is to see of it.
    for (int waited_ms = 0; holders(writeback.framebuffer) > 1; ++waited_ms) {
        ::poll(nullptr, 0, 1);
        if (waited_ms > patience_ms) {
            give_up(status_wrong, "the driver keeps what it has written back");
        }
    }
}

unsigned Screen::holders(std::uint32_t framebuffer) const {
    std::ifstream list("/sys/kernel/debug/dri/" + std::to_string(card_number()) + "/framebuffer");
    const std::string wanted = "framebuffer[" + std::to_string(framebuffer) + "]:";
    bool found = false;
    for (std::string line; std::getline(list, line);) {
        unsigned count = 0;
        found = line.starts_with("framebuffer[") ? line == wanted : found;
        if (found && std::sscanf(line.c_str(), " refcount=%u", &count) == 1) {
            return count;
        }
    }
    give_up(status_lacking, "debugfs does not tell who holds a framebuffer");
}

unsigned Screen::card_number() const {
    struct stat facts {};
    must(::fstat(card_.get(), &facts), "the card's number");
    return minor(facts.st_rdev);
}

}  // namespace v4lfence::display
