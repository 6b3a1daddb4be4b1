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
#include <atomic>
#include <chrono>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/file.hpp"

namespace v4lfence {

namespace {

constexpr short frame_events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;

/// epoll_ctl() puts a file into the device's wait queue by its poll(), and nobody is told where a
/// stop interrupts that poll() first: such a watch is deaf. Its first event may come from epoll's
/// look at the file when it was put in; the second one comes from the device.
constexpr unsigned heard_surely = 2;
/// How long a fence may stay pending because of that.
constexpr std::chrono::milliseconds patience(500);

/// One interruption is rare, this many in a row do not happen.
constexpr int looks_at_an_error = 3;

bool has_fences_in_kernel(const std::atomic<BridgeQueue*>& queue) {
    const BridgeQueue* const made = queue.load(std::memory_order_acquire);
    return made != nullptr && made->view().streaming && made->has_fences_in_kernel();
}

}  // namespace

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
    Reactor& reactor = core_->reactor();
    const std::uint32_t now = watched_events_.load() | events;
    if (watch_ == Reactor::WatchId::None) {
        if (deaf_timer_ == Reactor::TimerId::None) {
            deaf_timer_ = V4LFENCE_TRY(reactor.add_timer(*this));
        }
        heard_.store(0);
        watch_ = V4LFENCE_TRY(reactor.watch(fd_, now, *this, 0));
    } else {
        V4LFENCE_TRY(reactor.change(watch_, now));
    }
    watched_events_.store(now);
    if (heard_.load() < heard_surely) {
        reactor.set_timer(deaf_timer_, core_->clock().now() + patience);
    }
    return {};
}

void BridgeFile::pause() {
    Reactor::WatchId watch{};
    Reactor::TimerId timer{};
    {
        const std::lock_guard lock(watch_mutex_);
        ++paused_;
        watch = std::exchange(watch_, Reactor::WatchId::None);
        timer = std::exchange(deaf_timer_, Reactor::TimerId::None);
        watched_events_.store(0);
    }
    if (watch != Reactor::WatchId::None) {
        core_->reactor().unwatch(watch);
    }
    if (timer != Reactor::TimerId::None) {
        core_->reactor().remove_timer(timer);
    }
}

void BridgeFile::resume() {
    {
        const std::lock_guard lock(watch_mutex_);
        --paused_;
    }
    on_given();
}

unsigned BridgeFile::scan() {
    unsigned found = 0;
    for (const auto& queue : queues_) {
        if (BridgeQueue* made = queue.load(std::memory_order_acquire)) {
            found += made->scan();
        }
    }
    return found;
}

void BridgeFile::on_ready(std::uint64_t /*cookie*/, std::uint32_t events) {
    const unsigned found = scan();
    if (events & (EPOLLERR | EPOLLHUP)) {
        if (const int error = kernel_error(); error != 0) {
            fail_all(error);
            return;
        }
    } else {
        heard_.fetch_add(1);
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

/// Looks after a watch that may be deaf, until it has been heard.
void BridgeFile::on_deadline(MonotonicTime now) {
    if (heard_.load() >= heard_surely) {
        return;
    }
    const bool deaf = scan() > 0;
    const bool goes_on = interest().frames != 0;
    if (const auto done = look_after_watch(deaf, goes_on, now + patience); !done) {
        fail_all(done.error().code);
    }
}

Result<> BridgeFile::look_after_watch(bool deaf, bool goes_on, MonotonicTime again) {
    const std::lock_guard lock(watch_mutex_);
    if (watch_ == Reactor::WatchId::None) {
        return {};
    }
    if (goes_on) {
        core_->reactor().set_timer(deaf_timer_, again);
    }
    if (!deaf) {
        return {};
    }
    heard_.store(0);
    return core_->reactor().renew(watch_, watched_events_.load());
}

/// What the kernel's poll means by an error: 0 nothing. It says so too of a memory-to-memory device
/// that has no buffer at all, and where a stop, a tracer or the freezer interrupts its wait for the
/// device's lock (vb2_fop_poll, seen with vivid): what counts is there again while the kernel has
/// buffers whose fences would stay pending.
int BridgeFile::kernel_error() const {
    v4l2_capability caps{};
    if (const auto alive = sys::ioctl_retry(fd_, VIDIOC_QUERYCAP, &caps); !alive) {
        return alive.error().code;
    }
    const auto asked = static_cast<short>(watched_events_.load() & frame_events);
    for (int look = 0; look < looks_at_an_error; ++look) {
        if (std::none_of(queues_.begin(), queues_.end(), has_fences_in_kernel)) {
            return 0;
        }
        const auto now = sys::poll_now(fd_, asked);
        if (now && !(*now & (POLLERR | POLLHUP))) {
            return 0;
        }
    }
    return -EIO;
}

/// A broken queue is one that would leave fences pending; a device that has gone takes all along.
void BridgeFile::fail_all(int error) {
    for (const auto& queue : queues_) {
        BridgeQueue* made = queue.load(std::memory_order_acquire);
        if (made != nullptr && (error == -ENODEV || has_fences_in_kernel(queue))) {
            made->fail(error);
        }
    }
}

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
