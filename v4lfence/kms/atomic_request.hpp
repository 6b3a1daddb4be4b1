// SPDX-License-Identifier: MIT
//
// AtomicRequest: values for properties of KMS objects, which take effect together or not at all.

#pragma once

#include <cstdint>
#include <vector>

namespace v4lfence {

/// Keeps its memory when it is cleared: a request that is built for each frame allocates once.
class AtomicRequest {
public:
    void clear() noexcept {
        objects_.clear();
        counts_.clear();
        properties_.clear();
        values_.clear();
    }

    /// Those of one object are set one after the other.
    void set(std::uint32_t object, std::uint32_t property, std::uint64_t value) {
        if (objects_.empty() || objects_.back() != object) {
            objects_.push_back(object);
            counts_.push_back(0);
        }
        ++counts_.back();
        properties_.push_back(property);
        values_.push_back(value);
    }

    // As DRM_IOCTL_MODE_ATOMIC takes them: so many properties of each object, all in one row.
    const std::vector<std::uint32_t>& objects() const noexcept { return objects_; }
    const std::vector<std::uint32_t>& counts() const noexcept { return counts_; }
    const std::vector<std::uint32_t>& properties() const noexcept { return properties_; }
    const std::vector<std::uint64_t>& values() const noexcept { return values_; }

private:
    std::vector<std::uint32_t> objects_;
    std::vector<std::uint32_t> counts_;
    std::vector<std::uint32_t> properties_;
    std::vector<std::uint64_t> values_;
};

}  // namespace v4lfence
