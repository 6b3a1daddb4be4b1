// SPDX-License-Identifier: MIT
//
// The command line of uvc_camera.

#pragma once

#include <string>
#include <variant>

#include "tests/vm/camera/vhci.hpp"
#include "tests/vm/camera/video_stream.hpp"

namespace v4lfence {

struct CameraOptions {
    std::string serial = "v4lfence-0";
    std::string controller = default_vhci;
    Misbehaviour misbehaviour;
    int ready_fd = 1;  ///< Gets a line with the node's path.
    bool wait_gone = false;
};

/// The options, or the exit status to end with: 0 after --help, 2 after wrong usage; the reason is
/// printed.
std::variant<CameraOptions, int> parse_options(int argc, char** argv);

}  // namespace v4lfence
