// SPDX-License-Identifier: MIT

#include "v4lfence/bridge/epoll_mute.hpp"

#include <algorithm>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

std::uint32_t EpollMute::effective(std::uint32_t events) const {
    constexpr std::uint32_t frames = EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
    return muted_ ? events & ~frames : events;
}

Result<> EpollMute::control(int epfd, int operation, int fd, epoll_event* event) {
    const std::lock_guard lock(mutex_);
    const auto known =
        std::find_if(registrations_.begin(), registrations_.end(),
                     [epfd](const Registration& entry) { return entry.number == epfd; });
    if (operation == EPOLL_CTL_DEL || event == nullptr) {
        V4LFENCE_TRY(sys::epoll_ctl_raw(epfd, operation, fd, event));
        if (known != registrations_.end()) {
            registrations_.erase(known);
        }
    } else {
        epoll_event now = *event;
        now.events = effective(event->events);
        V4LFENCE_TRY(sys::epoll_ctl_raw(epfd, operation, fd, &now));
        if (known != registrations_.end()) {
            known->event = *event;
        } else {
            registrations_.push_back({epfd, V4LFENCE_TRY(sys::dup_high(epfd)), *event});
        }
    }
    count_.store(registrations_.size(), std::memory_order_relaxed);
    return {};
}

void EpollMute::set(bool muted, int fd) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(muted_, muted) == muted) {
        return;
    }
    for (Registration& entry : registrations_) {
        epoll_event now = entry.event;
        now.events = effective(now.events);
        // An epoll that no longer knows the file has nothing to be told.
        (void)sys::epoll_ctl_raw(entry.own.get(), EPOLL_CTL_MOD, fd, &now);
    }
}

}  // namespace v4lfence
