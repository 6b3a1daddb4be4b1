// SPDX-License-Identifier: MIT
//
// ControlEndpoint: endpoint 0. Answers enumeration and the video class's negotiation; says when the
// stream changes.

#pragma once

#include <optional>
#include <string>

#include "tests/vm/camera/bytes.hpp"
#include "tests/vm/camera/mode.hpp"
#include "tests/vm/camera/usbip.hpp"

namespace v4lfence {

enum class StreamChange { None, Start, Stop };

struct ControlAnswer {
    Bytes data;                                ///< For the host, at most what it asked for.
    StreamChange change = StreamChange::None;  ///< Start: with mode().
};

class ControlEndpoint {
public:
    explicit ControlEndpoint(std::string serial) : serial_(std::move(serial)) {}

    /// Empty: the request is not known here and must be stalled.
    std::optional<ControlAnswer> handle(const UsbTransfer& transfer);

    /// What the host has committed to.
    const VideoMode& mode() const { return committed_; }

private:
    std::optional<ControlAnswer> handle_standard(const UsbSetup& setup) const;
    std::optional<ControlAnswer> handle_video(const UsbSetup& setup, const Bytes& data);

    std::string serial_;
    VideoMode probed_;
    VideoMode committed_;
};

}  // namespace v4lfence
