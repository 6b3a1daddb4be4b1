// SPDX-License-Identifier: MIT

#include "tests/vm/camera/video_stream.hpp"

#include <algorithm>

#include "tests/vm/camera/picture.hpp"

namespace v4lfence {
namespace {

// Bits of a payload header.
constexpr std::uint8_t frame_id_bit = 0x01;
constexpr std::uint8_t end_of_frame_bit = 0x02;
constexpr std::uint8_t error_bit = 0x40;
constexpr std::uint8_t end_of_header_bit = 0x80;

}  // namespace

void VideoStream::start(const VideoMode& mode) {
    stop();
    mode_ = mode;
    number_ = 0;
    running_ = true;
}

void VideoStream::stop() {
    running_ = false;
    sending_ = false;
}

Result<> VideoStream::tick() {
    const bool frozen =
        frozen_ || (misbehaviour_.freeze_after != 0 && frames_ >= misbehaviour_.freeze_after);
    if (!running_ || sending_ || frozen || waiting_.empty()) {
        return {};
    }
    begin_frame();
    return fill_transfers();
}

void VideoStream::begin_frame() {
    paint(frame_, mode_, number_);
    frame_id_ ^= frame_id_bit;
    unsigned flags = end_of_header_bit | end_of_frame_bit | frame_id_;
    if (due_every(misbehaviour_.error_every)) {
        flags |= error_bit;
    }
    header_ = {payload_header_size, static_cast<std::uint8_t>(flags)};
    end_ = due_every(misbehaviour_.short_every) ? frame_.size() / 2 : frame_.size();
    sent_ = 0;
    sending_ = true;
}

Result<> VideoStream::take_transfer(const UsbTransfer& transfer) {
    waiting_.push_back({transfer.seqnum, transfer.length});
    return fill_transfers();
}

Result<> VideoStream::take_back(const UsbUnlink& unlink) {
    const auto victim = std::find_if(waiting_.begin(), waiting_.end(),
                                     [&](const Waiting& w) { return w.seqnum == unlink.victim; });
    const bool found = victim != waiting_.end();
    if (found) {
        waiting_.erase(victim);
    }
    return link_.answer_unlink(unlink, found);
}

Result<> VideoStream::fill_transfers() {
    while (sending_ && !waiting_.empty()) {
        const Waiting transfer = waiting_.front();
        waiting_.pop_front();
        V4LFENCE_TRY(fill(transfer));
    }
    return {};
}

// A payload is one whole picture. The host sees its end at the size they agreed on, or by a
// transfer that is not filled up: a short picture whose last transfer is full needs an empty one
// behind it.
Result<> VideoStream::fill(const Waiting& transfer) {
    if (transfer.length < header_.size()) {
        return link_.refuse(transfer.seqnum, -EOVERFLOW);
    }
    const std::size_t room = transfer.length - header_.size();
    const std::size_t count = std::min(room, end_ - sent_);
    V4LFENCE_TRY(link_.answer(transfer.seqnum, header_, std::span(frame_).subspan(sent_, count)));
    header_.clear();
    sent_ += count;
    if (misbehaviour_.unplug_after != 0 && frames_ >= misbehaviour_.unplug_after &&
        sent_ >= end_ / 2) {
        return fail(-ENODEV, "it was told to unplug itself");
    }
    const bool payload_ended = count < room || end_ == frame_.size();
    if (sent_ == end_ && payload_ended) {
        sending_ = false;
        ++number_;
        ++frames_;
    }
    return {};
}

}  // namespace v4lfence
