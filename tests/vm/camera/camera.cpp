// SPDX-License-Identifier: MIT

#include "tests/vm/camera/camera.hpp"

#include <algorithm>
#include <cstdio>

namespace v4lfence {

Result<> UsbCamera::serve(MonotonicTime now) {
    const UsbMessage message = V4LFENCE_TRY(link_.receive());
    if (const auto* unlink = std::get_if<UsbUnlink>(&message)) {
        return serve_unlink(*unlink);
    }
    const auto& transfer = std::get<UsbTransfer>(message);
    newest_ = std::max(newest_, transfer.seqnum);
    const auto early = std::find_if(early_.begin(), early_.end(), [&](const UsbUnlink& unlink) {
        return unlink.victim == transfer.seqnum;
    });
    if (early != early_.end()) {
        const UsbUnlink unlink = *early;
        early_.erase(early);
        return link_.answer_unlink(unlink, true);
    }
    return serve_transfer(transfer, now);
}

// vhci-hcd now and then sends an unlink ahead of its transfer. It gives that transfer back when it
// has the answer, and closes the connection at a second answer; where it has the answer before it
// has sent the transfer, it waits for ever. So the answer waits for the transfer.
Result<> UsbCamera::serve_unlink(const UsbUnlink& unlink) {
    if (unlink.victim > newest_) {
        early_.push_back(unlink);
        return {};
    }
    return stream_.take_back(unlink);
}

Result<> UsbCamera::serve_transfer(const UsbTransfer& transfer, MonotonicTime now) {
    if (transfer.endpoint == 0) {
        return serve_control(transfer, now);
    }
    if (transfer.endpoint == (video_endpoint & 0x0f) && transfer.in) {
        return stream_.take_transfer(transfer);
    }
    return link_.refuse(transfer.seqnum, -EPIPE);
}

Result<> UsbCamera::serve_control(const UsbTransfer& transfer, MonotonicTime now) {
    const auto answer = control_.handle(transfer);
    if (!answer) {
        return link_.refuse(transfer.seqnum, -EPIPE);
    }
    if (answer->change == StreamChange::Stop) {
        stream_.stop();
    } else if (answer->change == StreamChange::Start) {
        const VideoMode& mode = control_.mode();
        stream_.start(mode);
        due_ = now + interval();
        std::printf("stream: %s %ux%u, a frame every %u us\n",
                    mode.format == PictureFormat::Yuyv ? "YUYV" : "NV12",
                    unsigned{mode.size().width}, unsigned{mode.size().height}, mode.interval / 10);
    }
    if (transfer.in) {
        return link_.answer(transfer.seqnum, answer->data);
    }
    return link_.acknowledge(transfer.seqnum, static_cast<std::uint32_t>(transfer.data.size()));
}

Deadline UsbCamera::next_picture() const {
    return stream_.running() ? Deadline(due_) : std::nullopt;
}

Result<> UsbCamera::tick(MonotonicTime now) {
    if (!stream_.running() || now < due_) {
        return {};
    }
    // On the grid of the stream's start: a late wake-up does not slow the camera down.
    const Nanoseconds late = now - due_;
    due_ += interval() * (late / interval() + 1);
    return stream_.tick();
}

}  // namespace v4lfence
