// SPDX-License-Identifier: MIT
//
// PropertyBlob: content of a property as atomic requests name it, a blob of the kernel's: a mode, a
// table of colours.

#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "v4lfence/kms/drm.hpp"

namespace v4lfence {

/// Empty when default-made. The Drm must outlive it.
class PropertyBlob {
public:
    PropertyBlob() noexcept = default;
    PropertyBlob(PropertyBlob&& other) noexcept
        : drm_(std::exchange(other.drm_, nullptr)), id_(std::exchange(other.id_, 0)) {}
    PropertyBlob& operator=(PropertyBlob&& other) noexcept {
        std::swap(drm_, other.drm_);
        std::swap(id_, other.id_);
        return *this;
    }
    PropertyBlob(const PropertyBlob&) = delete;
    PropertyBlob& operator=(const PropertyBlob&) = delete;
    ~PropertyBlob() {
        if (drm_ != nullptr) {
            drm_->destroy_blob(id_);
        }
    }

    /// Errors: what the device says.
    static Result<PropertyBlob> create(Drm& drm, std::span<const std::byte> content) {
        PropertyBlob blob;
        blob.id_ = V4LFENCE_TRY(drm.create_blob(content));
        blob.drm_ = &drm;
        return blob;
    }

    /// 0 when empty.
    std::uint32_t id() const noexcept { return id_; }

private:
    Drm* drm_ = nullptr;
    std::uint32_t id_ = 0;
};

}  // namespace v4lfence
