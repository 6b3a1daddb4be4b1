// SPDX-License-Identifier: MIT
//
// NodeWatch: notices when the capture node of the camera with a given serial number appears or
// vanishes.

#pragma once

#include <optional>
#include <string>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

class NodeWatch {
public:
    static Result<NodeWatch> create(std::string serial);

    /// Readable when something in /dev has come or gone since the last look().
    int fd() const { return inotify_.get(); }

    /// The node, such as /dev/video0, if it is there now. (uvcvideo makes a second one, for
    /// metadata: not that.)
    std::optional<std::string> look();

    /// Errors: ETIME when the node is still there at the deadline.
    Result<> wait_gone(Deadline deadline);

private:
    NodeWatch(UniqueFd inotify, std::string serial)
        : inotify_(std::move(inotify)), serial_(std::move(serial)) {}

    void drain();

    UniqueFd inotify_;
    std::string serial_;
};

}  // namespace v4lfence
