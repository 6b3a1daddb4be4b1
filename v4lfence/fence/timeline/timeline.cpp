// SPDX-License-Identifier: MIT

#include "v4lfence/fence/timeline/timeline.hpp"

#include <sys/eventfd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// How long the kernel has to find memory: half a frame at 60 Hz, and no load where it takes long.
constexpr std::chrono::milliseconds retry_after{8};

}  // namespace

Result<std::unique_ptr<Timeline>> Timeline::create(Reactor& reactor,
                                                   std::unique_ptr<KernelTimeline> kernel) {
    const std::uint64_t submitted = V4LFENCE_TRY(kernel->submitted());
    return std::unique_ptr<Timeline>(new Timeline(reactor, std::move(kernel), submitted));
}

Timeline::~Timeline() {
    std::uint64_t first = 0;
    std::uint64_t next = 0;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            return;  // A forked child's.
        }
        closed_ = true;
        first = held_.first_number();
        next = held_.next_number();
    }
    // Without the lock, which a callback may be waiting for. Nobody changes anything any more.
    for (; first != next; ++first) {
        unwatch(*held_.find(first));
    }
    reactor_.remove_timer(retry_);
    give_up_waiting();
}

/// What is left is reached now, and a sync_file goes where it would have gone.
void Timeline::give_up_waiting() {
    for (; !held_.empty(); held_.pop()) {
        HeldPoint& held = held_.front();
        const bool carried = held.fence && held.fence->kind() == FenceKind::SyncFile &&
                             signal_due() && kernel_->carry(held.point, held.fence->fd());
        due_ = carried ? due_ : held.point;
    }
    static_cast<void>(signal_due());
}

Result<UniqueFd> Timeline::export_fd() const {
    const std::lock_guard lock(mutex_);
    V4LFENCE_TRY(check_alive());
    return kernel_->export_fd();
}

// --- promising -----------------------------------------------------------------------------------

Result<> Timeline::check(std::uint64_t point) const {
    V4LFENCE_TRY(check_alive());
    if (point <= promised_) {
        return fail(-EINVAL, "a point that is not above the last one promised");
    }
    return {};
}

Result<> Timeline::signal_due() {
    if (due_ != 0) {
        V4LFENCE_TRY(kernel_->signal(due_));
        due_ = 0;
    }
    return {};
}

/// Places it, or returns the fence that has to be watched for it.
Result<std::optional<Fence>> Timeline::place(std::uint64_t point, int fence) {
    V4LFENCE_TRY(check(point));
    const bool first = held_.empty();
    if (first) {
        V4LFENCE_TRY(signal_due());
        const auto carried = kernel_->carry(point, fence);
        if (carried || carried.error().code != -EINVAL) {
            return carried.map([&]() -> std::optional<Fence> {
                promised_ = point;
                return std::nullopt;
            });
        }
    }
    auto imported = V4LFENCE_TRY(
        Fence::import(fence, DmaBufAccess::Write, first ? FenceKind::Stream : FenceKind::SyncFile));
    if (!imported.pending) {
        V4LFENCE_TRY(first ? kernel_->signal(point) : hold(point, std::nullopt));
    } else if (first && imported.pending->kind() == FenceKind::SyncFile) {
        V4LFENCE_TRY(kernel_->carry(point, imported.pending->fd()));  // The fences of a dma-buf.
    } else {
        return std::move(imported.pending);
    }
    promised_ = point;
    return std::nullopt;
}

Result<> Timeline::promise_unwatched(std::uint64_t point, int fence) {
    const std::lock_guard lock(mutex_);
    const auto pending = V4LFENCE_TRY(place(point, fence));
    return pending ? fail(-EAGAIN, "the fence has to be watched") : Result<>();
}

Result<> Timeline::promise(std::uint64_t point, int fence) {
    const std::lock_guard lock(mutex_);
    auto pending = V4LFENCE_TRY(place(point, fence));
    if (pending) {
        V4LFENCE_TRY(hold(point, std::move(pending)));
        promised_ = point;
    }
    return {};
}

Result<> Timeline::hold(std::uint64_t point, std::optional<Fence> fence) {
    if (retry_ == Reactor::TimerId::None) {
        retry_ = V4LFENCE_TRY(reactor_.add_timer(*this));
    }
    auto watch = Reactor::WatchId::None;
    if (fence) {
        watch = V4LFENCE_TRY(
            reactor_.watch(fence->fd(), Fence::watch_events, *this, held_.next_number()));
    }
    held_.push({point, std::move(fence), watch});
    return {};
}

// --- ends ----------------------------------------------------------------------------------------

void Timeline::on_ready(std::uint64_t number, std::uint32_t events) {
    const std::lock_guard lock(mutex_);
    HeldPoint* const held = closed_ ? nullptr : held_.find(number);
    if (held == nullptr || !held->fence || !held->fence->outcome(events).ended()) {
        return;
    }
    unwatch(*held);
    held->fence.reset();
    settle();
}

void Timeline::unwatch(HeldPoint& held) {
    reactor_.unwatch(std::exchange(held.watch, Reactor::WatchId::None));
}

void Timeline::on_deadline(MonotonicTime /*now*/) {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
        settle();
    }
}

/// Whoever waits for a point has nothing else to wake him: what the kernel has no memory for now is
/// tried again.
void Timeline::settle() {
    const auto handed = hand_over();
    if (!handed && handed.error().code == -ENOMEM) {
        reactor_.set_timer(retry_, SystemClock().now() + retry_after);
    }
}

/// To the kernel, what need not be held back any longer; after an error the rest stays. In a
/// callback: to unwatch is not to wait there.
Result<> Timeline::hand_over() {
    while (!held_.empty()) {
        HeldPoint& held = held_.front();
        if (!held.fence) {
            due_ = held.point;
        } else if (held.fence->kind() == FenceKind::SyncFile) {
            V4LFENCE_TRY(signal_due());
            V4LFENCE_TRY(kernel_->carry(held.point, held.fence->fd()));
            unwatch(held);
        } else {
            break;
        }
        held_.pop();
    }
    return signal_due();
}

// --- asking --------------------------------------------------------------------------------------

Result<> Timeline::check_alive() const {
    return closed_ ? fail(-EIO, "the timeline is the parent process's") : Result<>();
}

Result<std::uint64_t> Timeline::reached() const {
    const std::lock_guard lock(mutex_);
    V4LFENCE_TRY(check_alive());
    return kernel_->reached();
}

Result<UniqueFd> Timeline::fence_of(std::uint64_t point) const {
    const std::lock_guard lock(mutex_);
    V4LFENCE_TRY(check_alive());
    // The kernel does not know that 0 is where a timeline begins.
    auto fence = V4LFENCE_TRY(sys::eventfd(point == 0 ? 1 : 0, EFD_NONBLOCK));
    if (point != 0) {
        V4LFENCE_TRY(kernel_->notify(point, fence.get()));
    }
    return fence;
}

void Timeline::abandon() noexcept {
    closed_ = true;
    held_.clear();
    kernel_->abandon();
}

}  // namespace v4lfence
