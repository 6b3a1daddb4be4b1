// SPDX-License-Identifier: MIT
//
// Framebuffer: memory that a plane can scan out: dma-bufs of another device, or a dumb buffer of
// the card's own that other devices can import.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/kms/drm.hpp"
#include "v4lfence/kms/error.hpp"
#include "v4lfence/kms/formats.hpp"
#include "v4lfence/kms/layout.hpp"

namespace v4lfence {

struct MemoryPlane {
    int dma_buf = -1;  ///< Borrowed.
    std::uint32_t offset = 0;
    std::uint32_t stride = 0;
};

struct PictureMemory {
    Extent size;
    std::uint32_t fourcc = 0;
    std::uint64_t modifier = 0;  ///< DRM_FORMAT_MOD_INVALID: not known.
    unsigned plane_count = 0;
    std::array<MemoryPlane, framebuffer_planes_max> planes{};
};

/// May other devices have memory of the card's own?
enum class Sharing : std::uint8_t { None, Exported };

/// Owns the kernel's framebuffer. GEM handles live only while one is made: what the kernel needs of
/// the memory then hangs on the framebuffer. The Drm must outlive it.
class Framebuffer {
public:
    /// `formats`: those of the plane that is to show it. `driver` names it in sentences.
    /// Errors: EINVAL; what the driver says to memory of others.
    static Outcome<Framebuffer> import(Drm& drm, const PictureMemory& memory,
                                       std::span<const PlaneFormat> formats,
                                       const std::string& driver);

    /// Of one or two planes, all in one dma-buf, zeroed; a descriptor of that where it is to be
    /// shared. Errors: EINVAL; ENOMEM; EMFILE; EOPNOTSUPP.
    static Outcome<Framebuffer> allocate(Drm& drm, Extent size, std::uint32_t fourcc,
                                         std::span<const PlaneFormat> formats,
                                         const std::string& driver, Sharing sharing);

    Framebuffer(Framebuffer&& other) noexcept
        : drm_(std::exchange(other.drm_, nullptr)), id_(other.id_), memory_(other.memory_),
          dma_buf_(std::move(other.dma_buf_)) {}
    Framebuffer& operator=(Framebuffer&& other) noexcept {
        std::swap(drm_, other.drm_);
        std::swap(id_, other.id_);
        std::swap(memory_, other.memory_);
        std::swap(dma_buf_, other.dma_buf_);
        return *this;
    }
    Framebuffer(const Framebuffer&) = delete;
    Framebuffer& operator=(const Framebuffer&) = delete;
    ~Framebuffer();

    std::uint32_t id() const noexcept { return id_; }
    /// Its descriptors mean something where it was allocated to be shared: they are the
    /// Framebuffer's.
    const PictureMemory& memory() const noexcept { return memory_; }

private:
    Framebuffer(Drm& drm, std::uint32_t id, const PictureMemory& memory, UniqueFd dma_buf) noexcept
        : drm_(&drm), id_(id), memory_(memory), dma_buf_(std::move(dma_buf)) {}

    Drm* drm_;
    std::uint32_t id_;
    PictureMemory memory_;
    UniqueFd dma_buf_;  ///< Of memory that is shared.
};

}  // namespace v4lfence
