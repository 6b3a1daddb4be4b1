// SPDX-License-Identifier: MIT
//
// VideoStream: the bulk video endpoint. Turns pictures into the transfers that the host has
// waiting.

#pragma once

#include <deque>

#include "tests/vm/camera/bytes.hpp"
#include "tests/vm/camera/mode.hpp"
#include "tests/vm/camera/usbip.hpp"

namespace v4lfence {

/// Counts of frames since the camera was plugged in; 0 is never.
struct Misbehaviour {
    unsigned unplug_after = 0;
    unsigned freeze_after = 0;
    unsigned error_every = 0;
    unsigned short_every = 0;
};

class VideoStream {
public:
    VideoStream(UsbIpLink& link, const Misbehaviour& misbehaviour)
        : link_(link), misbehaviour_(misbehaviour) {}

    /// The next picture has number 0.
    void start(const VideoMode& mode);
    /// Forgets the picture under way. Transfers stay: the host takes them back itself.
    void stop();
    bool running() const { return running_; }

    /// A picture is due. It is left out while frozen, while the one before is under way, and when
    /// the host has no transfer waiting; no number is used up then. Errors: ENODEV, the camera is
    /// to unplug itself now.
    Result<> tick();

    Result<> take_transfer(const UsbTransfer& transfer);
    Result<> take_back(const UsbUnlink& unlink);

    void toggle_frozen() { frozen_ = !frozen_; }
    unsigned frames() const { return frames_; }

private:
    struct Waiting {
        std::uint32_t seqnum;
        std::uint32_t length;
    };

    bool due_every(unsigned n) const { return n != 0 && frames_ % n == n - 1; }
    void begin_frame();
    Result<> fill_transfers();
    Result<> fill(const Waiting& transfer);

    UsbIpLink& link_;
    const Misbehaviour misbehaviour_;
    VideoMode mode_;
    std::deque<Waiting> waiting_;  // oldest first
    Bytes frame_;
    Bytes header_;          // still to be sent before the picture
    std::size_t sent_ = 0;  // bytes of the picture
    std::size_t end_ = 0;   // where the picture stops, before its full size when it is a short one
    std::uint32_t number_ = 0;  // within the stream
    unsigned frames_ = 0;       // since the camera was plugged in
    std::uint8_t frame_id_ = 0;
    bool running_ = false;
    bool sending_ = false;
    bool frozen_ = false;
};

}  // namespace v4lfence
