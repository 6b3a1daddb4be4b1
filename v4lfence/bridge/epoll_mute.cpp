// SPDX-License-Identifier: MIT

#include "v4lfence/bridge/epoll_mute.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <span>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

std::uint32_t EpollMute::effective(std::uint32_t events) const {
    constexpr std::uint32_t frames = EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
    return state_.muted ? events & ~frames : events;
}

Result<> EpollMute::control(int epfd, int operation, int fd, epoll_event* event) {
    const std::lock_guard lock(mutex_);
    const auto known =
        std::find_if(registrations_.begin(), registrations_.end(), [&](const Registration& entry) {
            return entry.number == epfd && entry.file == fd;
        });
    if (operation == EPOLL_CTL_DEL || event == nullptr) {
        V4LFENCE_TRY(sys::epoll_ctl_raw(epfd, operation, fd, event));
        if (known != registrations_.end()) {
            registrations_.erase(known);
        }
        unfollow(epfd, epfd);
    } else {
        // Before the kernel is told, so that an error changes nothing. What is added anew may be
        // another epoll under a number that is known.
        const bool is_new = operation == EPOLL_CTL_ADD || known == registrations_.end();
        UniqueFd own = is_new ? V4LFENCE_TRY(sys::dup_high(epfd)) : UniqueFd();
        epoll_event now = *event;
        now.events = effective(event->events);
        V4LFENCE_TRY(sys::epoll_ctl_raw(epfd, operation, fd, &now));
        follow(epfd, operation, *event);
        if (known == registrations_.end()) {
            registrations_.push_back({epfd, fd, std::move(own), *event});
        } else {
            known->event = *event;
            known->own = is_new ? std::move(own) : std::move(known->own);
        }
    }
    count_.store(registrations_.size(), std::memory_order_relaxed);
    return {};
}

void EpollMute::release(int fd) {
    const std::lock_guard lock(mutex_);
    std::vector<Registration> kept;
    std::vector<Registration> released;
    for (Registration& entry : registrations_) {
        (entry.file == fd ? released : kept).push_back(std::move(entry));
    }
    registrations_ = std::move(kept);
    for (Registration& entry : released) {
        (void)sys::epoll_ctl_raw(entry.own.get(), EPOLL_CTL_MOD, fd, &entry.event);
        unfollow(entry.number, entry.own.get());
    }
    count_.store(registrations_.size(), std::memory_order_relaxed);
}

/// The bell stays where the file still is by another number, under that one's data: an epoll knows
/// it once.
void EpollMute::unfollow(int number, int epfd) {
    const auto other =
        std::find_if(registrations_.begin(), registrations_.end(),
                     [number](const Registration& entry) { return entry.number == number; });
    const bool stays = other != registrations_.end();
    follow(epfd, stays ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, stays ? other->event : epoll_event{});
}

/// The bell goes where the file goes.
void EpollMute::follow(int epfd, int operation, const epoll_event& event) {
    if (bell_) {
        epoll_event own = event;
        own.events = (event.events & EPOLLET) | (event.events & EPOLLIN);
        (void)sys::epoll_ctl_raw(epfd, operation, bell_.get(), &own);
    }
}

void EpollMute::set(State state) {
    const State before = std::exchange(state_, state);
    for (const Registration& entry : registrations_) {
        if (before.muted == state.muted) {
            break;
        }
        epoll_event now = entry.event;
        now.events = effective(now.events);
        // An epoll that no longer knows the file has nothing to be told.
        (void)sys::epoll_ctl_raw(entry.own.get(), EPOLL_CTL_MOD, entry.file, &now);
    }
    if (before.ringing == state.ringing) {
        return;
    }
    if (!bell_) {
        auto bell = sys::eventfd(0, EFD_NONBLOCK);
        if (!bell) {
            return;  // Without it the program learns of the buffer when it asks.
        }
        bell_ = sys::move_high(std::move(*bell));
        for (const Registration& entry : registrations_) {
            follow(entry.own.get(), EPOLL_CTL_ADD, entry.event);
        }
    }
    std::uint64_t count = 1;
    if (state.ringing) {
        (void)sys::write(bell_.get(), std::as_bytes(std::span(&count, 1)));
    } else {
        (void)sys::read(bell_.get(), std::as_writable_bytes(std::span(&count, 1)));
    }
}

}  // namespace v4lfence
