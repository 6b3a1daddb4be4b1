// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/file_io.hpp"

#include <algorithm>

namespace v4lfence {

namespace {

/// One is read while the device fills the others.
constexpr unsigned buffers_wanted = 3;

}  // namespace

Result<std::size_t> FileIo::read(ReadTarget& target, int caller) {
    if (!queue_.traits().readable || queue_.traits().access != DeviceAccess::Write) {
        return fail(-EINVAL, "the queue cannot be read");
    }
    const std::lock_guard lock(mutex_);
    if (!active()) {
        V4LFENCE_TRY(start());
    }
    if (!frame_) {
        V4LFENCE_TRY(next_frame(caller));
    }
    const std::size_t count = std::min(target.size(), frame_->left.size());
    V4LFENCE_TRY(target.put(frame_->left.first(count)));
    frame_->left = frame_->left.subspan(count);
    if (frame_->left.empty()) {
        const unsigned index = frame_->index;
        frame_.reset();
        V4LFENCE_TRY(give_back(index));
    }
    return count;
}

Result<> FileIo::start() {
    if (queue_.has_buffers() || queue_.view().streaming) {
        return fail(-EBUSY, "the queue is used otherwise");
    }
    const unsigned made = V4LFENCE_TRY(queue_.request_buffers(MemoryKind::Mmap, buffers_wanted));
    active_.store(true);
    Result<> started;
    for (unsigned index = 0; started && index < made; ++index) {
        started = give_back(index);
    }
    if (started && V4LFENCE_TRY(queue_.query(0)).plane_count > 1) {
        started = fail(-EBUSY, "a frame of several planes cannot be read");
    }
    if (started) {
        started = queue_.stream_on();
    }
    if (!started) {
        queue_.close();
        active_.store(false);
    }
    return started;
}

/// A frame that has gone wrong is read as an empty one would be: passed over.
Result<> FileIo::next_frame(int caller) {
    while (!frame_) {
        const BufferReport report = V4LFENCE_TRY(queue_.dequeue(caller));
        const BufferReport::Plane& plane = report.planes[0];
        const auto memory = V4LFENCE_TRY(queue_.mappable(plane.offset));
        const auto bytes = memory.plane->bytes();
        const std::size_t used = std::min<std::size_t>(plane.bytes_used, bytes.size());
        if (report.error || used == 0) {
            V4LFENCE_TRY(give_back(report.index));
        } else {
            frame_ = Frame{report.index, bytes.first(used)};
        }
    }
    return {};
}

Result<> FileIo::give_back(unsigned index) {
    BufferSettings settings;
    settings.plane_count = planes_max;
    V4LFENCE_TRY(queue_.queue(index, settings, BufferFences(), options_));
    return {};
}

void FileIo::stop() {
    const std::lock_guard lock(mutex_);
    if (active()) {
        frame_.reset();
        queue_.close();
        active_.store(false);
    }
}

}  // namespace v4lfence
