// SPDX-License-Identifier: MIT

#include "v4lfence/kms/kernel_drm.hpp"

#include <fcntl.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include <cstring>
#include <memory>
#include <utility>

namespace v4lfence {

namespace {

static_assert(sizeof(DrmMode) == sizeof(drmModeModeInfo));

template <auto Free>
struct FreedBy {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, FreedBy<Free>>;

/// Some calls of libdrm return -1 and set errno, others return a negative errno.
Result<> checked(int status, const char* where) {
    if (status == -1) {
        return fail_errno(where);
    }
    if (status < 0) {
        return fail(status, where);
    }
    return {};
}

/// Of a call that returned no object.
tl::unexpected<Error> nothing(const char* where) {
    return fail(errno != 0 ? -errno : -EIO, where);
}

Connection connection_of(drmModeConnection connection) {
    return connection == DRM_MODE_CONNECTED      ? Connection::Connected
           : connection == DRM_MODE_DISCONNECTED ? Connection::Disconnected
                                                 : Connection::Unknown;
}

std::uint64_t address(const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

}  // namespace

Result<std::string> KernelDrm::driver_name(int fd) {
    errno = 0;
    const Owned<drmVersion, drmFreeVersion> version(drmGetVersion(fd));
    if (!version) {
        return nothing("drm version");
    }
    return std::string(version->name, static_cast<std::size_t>(version->name_len));
}

Result<std::uint64_t> KernelDrm::capability(std::uint64_t name) {
    std::uint64_t value = 0;
    V4LFENCE_TRY(checked(drmGetCap(fd(), name, &value), "drm capability"));
    return value;
}

Result<> KernelDrm::set_client_capability(std::uint64_t name, std::uint64_t value) {
    return checked(drmSetClientCap(fd(), name, value), "drm client capability");
}

Result<> KernelDrm::become_master() {
    // Who opens a card that nobody is master of is its master by that.
    if (drmIsMaster(fd()) != 0) {
        return {};
    }
    return checked(drmSetMaster(fd()), "drm master");
}

void KernelDrm::drop_master() {
    drmDropMaster(fd());
}

Result<DrmResources> KernelDrm::resources() {
    errno = 0;
    const Owned<drmModeRes, drmModeFreeResources> found(drmModeGetResources(fd()));
    if (!found) {
        return nothing("kms resources");
    }
    DrmResources resources;
    resources.connectors.assign(found->connectors, found->connectors + found->count_connectors);
    resources.crtcs.assign(found->crtcs, found->crtcs + found->count_crtcs);
    return resources;
}

Result<DrmConnector> KernelDrm::connector(std::uint32_t id) {
    errno = 0;
    const Owned<drmModeConnector, drmModeFreeConnector> found(drmModeGetConnector(fd(), id));
    if (!found) {
        return nothing("kms connector");
    }
    DrmConnector connector;
    connector.id = found->connector_id;
    connector.type = found->connector_type;
    connector.type_number = found->connector_type_id;
    connector.connection = connection_of(found->connection);
    for (int i = 0; i < found->count_encoders; ++i) {
        const Owned<drmModeEncoder, drmModeFreeEncoder> encoder(
            drmModeGetEncoder(fd(), found->encoders[i]));
        connector.possible_crtcs |= encoder ? encoder->possible_crtcs : 0;
    }
    connector.modes.resize(static_cast<std::size_t>(found->count_modes));
    if (!connector.modes.empty()) {
        std::memcpy(connector.modes.data(), found->modes, connector.modes.size() * sizeof(DrmMode));
    }
    return connector;
}

Result<std::vector<std::uint32_t>> KernelDrm::planes() {
    errno = 0;
    const Owned<drmModePlaneRes, drmModeFreePlaneResources> found(drmModeGetPlaneResources(fd()));
    if (!found) {
        return nothing("kms planes");
    }
    return std::vector<std::uint32_t>(found->planes, found->planes + found->count_planes);
}

Result<DrmPlane> KernelDrm::plane(std::uint32_t id) {
    errno = 0;
    const Owned<drmModePlane, drmModeFreePlane> found(drmModeGetPlane(fd(), id));
    if (!found) {
        return nothing("kms plane");
    }
    DrmPlane plane;
    plane.id = found->plane_id;
    plane.possible_crtcs = found->possible_crtcs;
    plane.formats.assign(found->formats, found->formats + found->count_formats);
    return plane;
}

Result<std::vector<DrmProperty>> KernelDrm::properties(std::uint32_t id, DrmObject kind) {
    errno = 0;
    const Owned<drmModeObjectProperties, drmModeFreeObjectProperties> found(
        drmModeObjectGetProperties(fd(), id, static_cast<std::uint32_t>(kind)));
    if (!found) {
        return nothing("kms properties");
    }
    std::vector<DrmProperty> properties;
    for (std::uint32_t i = 0; i < found->count_props; ++i) {
        const Owned<drmModePropertyRes, drmModeFreeProperty> one(
            drmModeGetProperty(fd(), found->props[i]));
        if (!one) {
            continue;
        }
        properties.push_back({one->prop_id, one->name, found->prop_values[i]});
        for (int choice = 0; choice < one->count_enums; ++choice) {
            const drm_mode_property_enum& named = one->enums[choice];
            properties.back().choices.push_back({named.name, named.value});
        }
    }
    return properties;
}

Result<std::vector<std::byte>> KernelDrm::read_blob(std::uint32_t id) {
    errno = 0;
    const Owned<drmModePropertyBlobRes, drmModeFreePropertyBlob> found(
        drmModeGetPropertyBlob(fd(), id));
    if (!found) {
        return nothing("kms blob");
    }
    const auto* const first = static_cast<const std::byte*>(found->data);
    return std::vector<std::byte>(first, first + found->length);
}

Result<std::uint32_t> KernelDrm::create_blob(std::span<const std::byte> content) {
    std::uint32_t id = 0;
    V4LFENCE_TRY(checked(drmModeCreatePropertyBlob(fd(), content.data(), content.size(), &id),
                         "kms new blob"));
    return id;
}

void KernelDrm::destroy_blob(std::uint32_t id) {
    drmModeDestroyPropertyBlob(fd(), id);
}

Result<DumbMemory> KernelDrm::create_dumb(std::uint32_t width, std::uint32_t height,
                                          std::uint32_t bits_per_pixel) {
    DumbMemory memory;
    V4LFENCE_TRY(checked(drmModeCreateDumbBuffer(fd(), width, height, bits_per_pixel, 0,
                                                 &memory.handle, &memory.stride, &memory.size),
                         "dumb buffer"));
    return memory;
}

Result<std::uint32_t> KernelDrm::import_dma_buf(int dma_buf) {
    std::uint32_t handle = 0;
    V4LFENCE_TRY(checked(drmPrimeFDToHandle(fd(), dma_buf, &handle), "prime import"));
    return handle;
}

Result<UniqueFd> KernelDrm::export_dma_buf(std::uint32_t handle) {
    int dma_buf = -1;
    V4LFENCE_TRY(checked(drmPrimeHandleToFD(fd(), handle, DRM_CLOEXEC | DRM_RDWR, &dma_buf),
                         "prime export"));
    return UniqueFd(dma_buf);
}

void KernelDrm::close_handle(std::uint32_t handle) {
    drmCloseBufferHandle(fd(), handle);
}

Result<std::uint32_t> KernelDrm::add_framebuffer(const DrmFramebuffer& framebuffer) {
    std::uint32_t id = 0;
    std::array<std::uint64_t, framebuffer_planes_max> modifiers{};
    for (unsigned plane = 0; plane < framebuffer_planes_max; ++plane) {
        modifiers[plane] = framebuffer.handles[plane] != 0 ? framebuffer.modifier.value_or(0) : 0;
    }
    V4LFENCE_TRY(checked(
        drmModeAddFB2WithModifiers(
            fd(), framebuffer.width, framebuffer.height, framebuffer.fourcc,
            framebuffer.handles.data(), framebuffer.strides.data(), framebuffer.offsets.data(),
            framebuffer.modifier ? modifiers.data() : nullptr, &id,
            framebuffer.modifier ? static_cast<std::uint32_t>(DRM_MODE_FB_MODIFIERS) : 0),
        "framebuffer"));
    return id;
}

void KernelDrm::remove_framebuffer(std::uint32_t id) {
    drmModeRmFB(fd(), id);
}

Result<> KernelDrm::commit(const AtomicRequest& request, std::uint32_t flags) {
    // By hand: libdrm's request allocates and sorts for each frame.
    drm_mode_atomic atomic{};
    atomic.flags = flags;
    atomic.count_objs = static_cast<std::uint32_t>(request.objects().size());
    atomic.objs_ptr = address(request.objects().data());
    atomic.count_props_ptr = address(request.counts().data());
    atomic.props_ptr = address(request.properties().data());
    atomic.prop_values_ptr = address(request.values().data());
    atomic.user_data = address(&flips_);
    return checked(drmIoctl(fd(), DRM_IOCTL_MODE_ATOMIC, &atomic), "atomic commit");
}

Result<std::optional<DrmFlip>> KernelDrm::next_flip() {
    drmEventContext context{};
    context.version = 3;  // page_flip_handler2
    context.page_flip_handler2 = [](int, unsigned sequence, unsigned seconds, unsigned micros,
                                    unsigned crtc, void* flips) {
        static_cast<std::vector<DrmFlip>*>(flips)->push_back(
            {crtc, sequence, std::int64_t{seconds} * 1'000'000'000 + micros * 1000LL});
    };
    errno = 0;
    if (flips_.empty() && drmHandleEvent(fd(), &context) < 0 && errno != EAGAIN && errno != EINTR) {
        return nothing("display event");
    }
    if (flips_.empty()) {
        return std::nullopt;
    }
    const DrmFlip first = flips_.front();
    flips_.erase(flips_.begin());
    return first;
}

}  // namespace v4lfence
