// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/file_handle.hpp"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "v4lfence/v4l2/device.hpp"

namespace v4lfence {

Result<FileHandle::Opened> FileHandle::open(VideoDevice& device) {
    if (device.is_gone()) {
        return fail(-ENODEV, "the device is gone");
    }
    auto made = V4LFENCE_TRY(Readiness::create(
        device.is_output() ? Readiness::Directions::Output : Readiness::Directions::Capture));
    std::unique_ptr<FileHandle> handle(new FileHandle(device, std::move(made.readiness)));
    device.add(*handle);
    if (device.is_gone()) {
        handle->hang_up();  // It went before add(): nobody else tells it.
    }
    return Opened{std::move(handle), std::move(made.program_end)};
}

FileHandle::FileHandle(VideoDevice& device, Readiness readiness)
    : device_(device), readiness_(std::move(readiness)), identity_(readiness_.cookie()),
      events_(device.events(), device.controls(), *this) {}

FileHandle::~FileHandle() {
    // Who waits at them would never hear of it.
    event_wake_.notify();
    poll_wake_.notify();
    device_.remove(*this);
}

void FileHandle::set_program_fd(int fd) {
    if (program_fd_.exchange(fd) == fd) {
        return;
    }
    options_.fd.store(fd);
    const std::lock_guard lock(readiness_mutex_);
    if (stale_) {
        stale_ = readiness_.settle(fd) == Readiness::Reach::Stale;
    }
}

bool FileHandle::abandoned() const {
    const std::lock_guard lock(readiness_mutex_);
    return readiness_.abandoned();
}

int FileHandle::watch_fd() const {
    const std::lock_guard lock(readiness_mutex_);
    return readiness_.watch_fd();
}

FileHandle::Lent::Lent(FileHandle& file, int fd) : file_(file), fd_(fd) {
    const std::lock_guard lock(file_.readiness_mutex_);
    next_ = std::exchange(file_.lent_, this);
    if (file_.stale_) {
        file_.stale_ = file_.readiness_.settle(fd) == Readiness::Reach::Stale;
    }
}

FileHandle::Lent::~Lent() {
    const std::lock_guard lock(file_.readiness_mutex_);
    Lent** place = &file_.lent_;
    while (*place != this) {
        place = &(*place)->next_;
    }
    *place = next_;
}

void FileHandle::count_change() noexcept {
    if (std::uint64_t* const counter = changes_.load()) {
        std::atomic_ref(*counter).fetch_add(1);
    }
}

void FileHandle::note_change() noexcept {
    count_change();
    poll_wake_.notify();
}

// --- what the descriptor shows -------------------------------------------------------------------

Readiness::Direction FileHandle::direction() const {
    return device_.is_output() ? Readiness::Direction::Output : Readiness::Direction::Capture;
}

void FileHandle::update_readiness() {
    const std::lock_guard lock(readiness_mutex_);
    note_change();  // First: who is woken by the descriptor asks at once.
    show_frames(device_.is_owner(*this) ? device_.queue().ready_counts() : ReadyCounts{});
}

void FileHandle::show_frames(const ReadyCounts& counts) {
    if (counts.waited_for && counts.failure == 0) {
        return;  // Handed to that thread; what it leaves is shown when it stops waiting.
    }
    // What a DQBUF answers at once without a buffer (EPIPE, EIO) has to wake the program too.
    const unsigned now = counts.now + (counts.last_taken || counts.failure != 0 ? 1 : 0);
    const auto came = static_cast<unsigned>(
        std::min<std::uint64_t>(now, counts.became - std::min(counts.became, shown_became_)));
    const unsigned more = now > shown_frames_ ? now - shown_frames_ : 0;
    const unsigned news = std::max(came, more);
    for (unsigned i = 0; i < news; ++i) {
        readiness_.frame_done(direction());
    }
    if (now < shown_frames_ + news || stale_) {
        stale_ = readiness_.frame_taken(direction(), now, program_end()) == Readiness::Reach::Stale;
    }
    shown_became_ = std::max(shown_became_, counts.became);
    shown_frames_ = now;
}

void FileHandle::events_changed(unsigned pending) {
    const std::lock_guard lock(readiness_mutex_);
    note_change();
    if (pending > 0) {
        readiness_.event_pending();
        event_wake_.notify();
    } else {
        stale_ = readiness_.events_gone(program_end()) == Readiness::Reach::Stale;
    }
}

void FileHandle::hang_up() {
    const std::lock_guard lock(readiness_mutex_);
    note_change();
    readiness_.hang_up();
    event_wake_.notify();
}

// --- for those that wait -------------------------------------------------------------------------

short FileHandle::poll_state() const {
    if (device_.is_gone()) {
        return POLLERR | POLLHUP | POLLPRI;
    }
    const auto urgent = static_cast<short>(events_.pending() > 0 ? POLLPRI : 0);
    Queue& queue = device_.queue();
    if (queue.traits().readable && !queue.has_buffers()) {
        return urgent;
    }
    const ReadyCounts counts = queue.ready_counts();
    const bool output = device_.is_output();
    const bool waits_for_qbuf = !output && !queue.view().queued_any;
    if (!counts.streaming || counts.failure != 0 || waits_for_qbuf) {
        return static_cast<short>(urgent | POLLERR);
    }
    const int ready = output ? POLLOUT | POLLWRNORM : POLLIN | POLLRDNORM;
    return static_cast<short>(urgent | (counts.now > 0 || counts.last_taken ? ready : 0));
}

Result<Wake*> FileHandle::open_wake(Wake& wake) {
    const std::lock_guard lock(readiness_mutex_);
    V4LFENCE_TRY(wake.open());
    return &wake;
}

/// Without a word: hang_up() would be heard by the parent's program.
void FileHandle::abandon() noexcept {
    const Readiness dropped = std::move(readiness_);
}

}  // namespace v4lfence
