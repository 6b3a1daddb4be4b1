// SPDX-License-Identifier: MIT
//
// The eye on the kernel's descriptor (SEMANTICS 6.3), and what poll() is told (6.4). While a stream
// runs and the kernel owns a buffer with an out-fence, its completions wake the reactor,
// edge-triggered; while it owns none only its disappearance does. Never before STREAMON, and never
// level-triggered.

#include <linux/videodev2.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/file.hpp"

namespace v4lfence {

BridgeFile::Interest BridgeFile::interest() const {
    Interest now;
    for (std::uint32_t type = 1; type < buffer_types; ++type) {
        const BridgeQueue* queue = existing_queue(type);
        if (queue == nullptr) {
            continue;
        }
        const QueueView view = queue->view();
        const bool runs = view.streaming && view.failure == 0;
        now.hang_up = now.hang_up || runs;
        if (runs && view.given_fences) {
            now.frames |= V4L2_TYPE_IS_OUTPUT(type) ? EPOLLOUT : EPOLLIN;
        }
    }
    return now;
}

void BridgeFile::on_given() {
    update_mute();
    if (muted_pollers_.exchange(false)) {
        pollers_.notify();
    }
    if (!keeps_loop()) {
        return;  // Nobody has a fence on this file.
    }
    const Interest wanted = interest();
    const std::uint32_t seen = watched_events_.load();
    if (!wanted.hang_up || ((seen & EPOLLET) && (seen & wanted.frames) == wanted.frames)) {
        return;
    }
    const auto watched = widen_watch(wanted.frames | EPOLLET);
    if (!watched) {
        // Nobody would ever end these fences.
        fail_all(watched.error().code);
    }
}

Result<> BridgeFile::widen_watch(std::uint32_t events) {
    const std::lock_guard lock(watch_mutex_);
    if (paused_ > 0) {
        return {};
    }
    const std::uint32_t now = watched_events_.load() | events;
    if (watch_ == Reactor::WatchId::None) {
        watch_ = V4LFENCE_TRY(core_->reactor().watch(fd_, now, *this, 0));
    } else {
        V4LFENCE_TRY(core_->reactor().change(watch_, now));
    }
    watched_events_.store(now);
    return {};
}

void BridgeFile::pause() {
    Reactor::WatchId id{};
    {
        const std::lock_guard lock(watch_mutex_);
        ++paused_;
        id = std::exchange(watch_, Reactor::WatchId::None);
        watched_events_.store(0);
    }
    if (id != Reactor::WatchId::None) {
        core_->reactor().unwatch(id);
    }
}

void BridgeFile::resume() {
    {
        const std::lock_guard lock(watch_mutex_);
        --paused_;
    }
    on_given();
}

void BridgeFile::on_ready(std::uint64_t /*cookie*/, std::uint32_t events) {
    unsigned found = 0;
    for (const auto& queue : queues_) {
        if (BridgeQueue* made = queue.load(std::memory_order_acquire)) {
            found += made->scan();
        }
    }
    if (events & (EPOLLERR | EPOLLHUP)) {
        v4l2_capability caps{};
        const auto alive = sys::ioctl_retry(fd_, VIDIOC_QUERYCAP, &caps);
        fail_all(alive ? -EIO : alive.error().code);
        return;
    }
    if (found == 0 && interest().frames == 0) {
        // Frames that nobody has a fence on: from now on only a hang-up counts.
        {
            const std::lock_guard lock(watch_mutex_);
            if (watch_ == Reactor::WatchId::None || !core_->reactor().change(watch_, EPOLLET)) {
                return;
            }
            watched_events_.store(EPOLLET);
        }
        on_given();  // Who gave a buffer meanwhile took the wider watch for granted.
    }
}

/// An error of the kernel's poll means a broken queue only where a stream runs that has been given
/// buffers.
void BridgeFile::fail_all(int error) {
    for (const auto& queue : queues_) {
        BridgeQueue* made = queue.load(std::memory_order_acquire);
        if (made == nullptr) {
            continue;
        }
        const QueueView view = made->view();
        if (error == -ENODEV || (view.streaming && view.given_any)) {
            made->fail(error);
        }
    }
}

namespace {

constexpr short frame_events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;

}  // namespace

File::Readiness BridgeFile::readiness() const {
    Readiness now;
    for (const auto& queue : queues_) {
        BridgeQueue* made = queue.load(std::memory_order_acquire);
        if (made == nullptr) {
            continue;
        }
        const QueueView view = made->view();
        const bool returnable = view.streaming && view.failed > 0 && made->has_returnable();
        const bool muted = view.streaming && view.queued_any && !view.given_any;
        now.shown |= view.failure != 0 ? POLLERR : 0;
        now.shown |= returnable ? frame_events : 0;
        now.hidden |= muted ? frame_events : 0;
    }
    return now;
}

Result<> BridgeFile::epoll_ctl(int fd, int epfd, int operation, epoll_event* event) {
    V4LFENCE_TRY(mute_.control(epfd, operation, fd, event));
    update_mute();
    return {};
}

/// What the kernel says of this file, and what it cannot say, may have changed.
void BridgeFile::update_mute() {
    if (!mute_.empty() && fenced()) {
        mute_.refresh([this] {
            const Readiness now = readiness();
            return EpollMute::State{now.hidden != 0, now.shown != 0};
        });
    }
}

void BridgeFile::wake_pollers() {
    pollers_.notify();
    update_mute();
}

File::Readiness BridgeFile::readiness_for_poll() {
    muted_pollers_.store(true);  // A ring for nothing is harmless, a missing one is not.
    return readiness();
}

Result<Wake*> BridgeFile::pollers() {
    const std::lock_guard lock(watch_mutex_);
    V4LFENCE_TRY(pollers_.open());
    return &pollers_;
}

}  // namespace v4lfence
