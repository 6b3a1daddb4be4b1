// SPDX-License-Identifier: MIT
//
// UsbCamera: the whole device, driven by what becomes ready.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/vm/camera/control.hpp"
#include "tests/vm/camera/usbip.hpp"
#include "tests/vm/camera/video_stream.hpp"
#include "v4lfence/base/time.hpp"

namespace v4lfence {

/// One thread. Any error of its functions means that the camera is unplugged.
class UsbCamera {
public:
    UsbCamera(UniqueFd socket, std::string serial, const Misbehaviour& misbehaviour)
        : link_(std::move(socket)), control_(std::move(serial)), stream_(link_, misbehaviour) {}

    /// The host's messages arrive here.
    int fd() const { return link_.fd(); }

    /// Handles one message, which fd() announces.
    Result<> serve(MonotonicTime now);

    /// When the next picture is due; empty while no stream runs.
    Deadline next_picture() const;

    /// Sends the picture if it is due.
    Result<> tick(MonotonicTime now);

    void toggle_frozen() { stream_.toggle_frozen(); }
    unsigned frames() const { return stream_.frames(); }

private:
    Result<> serve_unlink(const UsbUnlink& unlink);
    Result<> serve_transfer(const UsbTransfer& transfer, MonotonicTime now);
    Result<> serve_control(const UsbTransfer& transfer, MonotonicTime now);
    Nanoseconds interval() const { return Nanoseconds(control_.mode().interval * 100ll); }

    UsbIpLink link_;
    ControlEndpoint control_;
    VideoStream stream_;
    MonotonicTime due_;
    std::vector<UsbUnlink> early_;  // those that have overtaken their transfers
    std::uint32_t newest_ = 0;      // seqnum of a transfer
};

}  // namespace v4lfence
