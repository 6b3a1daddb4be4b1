// SPDX-License-Identifier: MIT
//
// A request of the media controller's: buffers that are in one are queued when it is.

#pragma once

#include <utility>

#include "conformance/check.hpp"
#include "conformance/device.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

class MediaRequest {
public:
    /// An empty one of the media device that has `device`. Skipped where there is none, or it has
    /// no requests.
    static Checked<MediaRequest> allocate(const Device& device);

    /// For v4l2_buffer.request_fd.
    int fd() const { return fd_.get(); }

    /// What is in it is queued now.
    Checked<> queue() const;

private:
    explicit MediaRequest(UniqueFd fd) : fd_(std::move(fd)) {}

    UniqueFd fd_;
};

}  // namespace v4lfence
