// SPDX-License-Identifier: MIT
//
// Drm: the calls of one open KMS device that the library makes, and nothing else of it. The
// kernel's is KernelDrm (kernel_drm.hpp); tests have one in memory (testing/fake_drm.hpp).
//
// Errors of each: what the ioctl says; each releases what it is told to without a word.

#pragma once

#include <drm_mode.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/kms/atomic_request.hpp"

namespace v4lfence {

using DrmMode = drm_mode_modeinfo;

enum class DrmObject : std::uint32_t {
    Connector = DRM_MODE_OBJECT_CONNECTOR,
    Crtc = DRM_MODE_OBJECT_CRTC,
    Plane = DRM_MODE_OBJECT_PLANE,
};

struct DrmResources {
    std::vector<std::uint32_t> connectors;
    std::vector<std::uint32_t> crtcs;  ///< In the order that masks of possible CRTCs count.
};

enum class Connection : std::uint8_t { Connected, Disconnected, Unknown };

struct DrmConnector {
    std::uint32_t id = 0;
    std::uint32_t type = 0;         ///< DRM_MODE_CONNECTOR_*
    std::uint32_t type_number = 0;  ///< Of its type, from 1.
    Connection connection = Connection::Unknown;
    std::uint32_t possible_crtcs = 0;  ///< Bit N: by some encoder, the CRTC number N.
    std::vector<DrmMode> modes;
};

struct DrmPlane {
    std::uint32_t id = 0;
    std::uint32_t possible_crtcs = 0;
    std::vector<std::uint32_t> formats;  ///< DRM_FORMAT_*
};

struct DrmChoice {
    std::string name;
    std::uint64_t value = 0;
};

struct DrmProperty {
    std::uint32_t id = 0;
    std::string name;
    std::uint64_t value = 0;
    std::vector<DrmChoice> choices{};  ///< Of an enumeration, or the bits of a mask.
};

struct DumbMemory {
    std::uint32_t handle = 0;
    std::uint32_t stride = 0;
    std::uint64_t size = 0;
};

inline constexpr unsigned framebuffer_planes_max = 4;

struct DrmFramebuffer {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::uint32_t fourcc = 0;
    std::optional<std::uint64_t> modifier;  ///< Empty: the driver's own, told to nobody.
    std::array<std::uint32_t, framebuffer_planes_max> handles{};
    std::array<std::uint32_t, framebuffer_planes_max> strides{};
    std::array<std::uint32_t, framebuffer_planes_max> offsets{};
};

/// A commit with an event has reached the screen.
struct DrmFlip {
    std::uint32_t crtc_id = 0;
    std::uint32_t sequence = 0;
    std::int64_t time_ns = 0;  ///< CLOCK_MONOTONIC
};

/// Thread: one at a time.
class Drm {
public:
    virtual ~Drm() = default;

    /// Borrowed. Readable while next_flip() has something.
    virtual int fd() const = 0;

    virtual Result<std::uint64_t> capability(std::uint64_t name) = 0;
    virtual Result<> set_client_capability(std::uint64_t name, std::uint64_t value) = 0;
    virtual Result<> become_master() = 0;
    virtual void drop_master() = 0;

    virtual Result<DrmResources> resources() = 0;
    virtual Result<DrmConnector> connector(std::uint32_t id) = 0;
    virtual Result<std::vector<std::uint32_t>> planes() = 0;
    virtual Result<DrmPlane> plane(std::uint32_t id) = 0;
    virtual Result<std::vector<DrmProperty>> properties(std::uint32_t id, DrmObject kind) = 0;

    virtual Result<std::vector<std::byte>> read_blob(std::uint32_t id) = 0;
    virtual Result<std::uint32_t> create_blob(std::span<const std::byte> content) = 0;
    virtual void destroy_blob(std::uint32_t id) = 0;

    virtual Result<DumbMemory> create_dumb(std::uint32_t width, std::uint32_t height,
                                           std::uint32_t bits_per_pixel) = 0;
    /// The same handle for the same memory, however often: it is closed once.
    virtual Result<std::uint32_t> import_dma_buf(int dma_buf) = 0;
    virtual Result<UniqueFd> export_dma_buf(std::uint32_t handle) = 0;
    virtual void close_handle(std::uint32_t handle) = 0;
    virtual Result<std::uint32_t> add_framebuffer(const DrmFramebuffer& framebuffer) = 0;
    /// What shows it is turned off.
    virtual void remove_framebuffer(std::uint32_t id) = 0;

    /// `flags`: DRM_MODE_ATOMIC_*, DRM_MODE_PAGE_FLIP_EVENT.
    virtual Result<> commit(const AtomicRequest& request, std::uint32_t flags) = 0;
    /// Never blocks.
    virtual Result<std::optional<DrmFlip>> next_flip() = 0;
};

}  // namespace v4lfence
