// SPDX-License-Identifier: MIT

#include "conformance/readiness.hpp"

#include <array>
#include <cerrno>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

Checked<Selected> select_once(const Rig& rig, int fd, int timeout_ms) {
    std::array<fd_set, 3> sets;
    for (fd_set& set : sets) {
        FD_ZERO(&set);
        FD_SET(fd, &set);
    }
    timeval timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    Selected selected;
    selected.count = rig.calls().select(fd + 1, &sets[0], &sets[1], &sets[2], &timeout);
    CHECK(selected.count >= 0, "select: {}", errno_name(errno));
    selected.readable = FD_ISSET(fd, &sets[0]);
    selected.writable = FD_ISSET(fd, &sets[1]);
    selected.exceptional = FD_ISSET(fd, &sets[2]);
    return selected;
}

Checked<UniqueFd> epoll_with(const Rig& rig, int fd, std::uint32_t events) {
    UniqueFd epoll = TRY(sys::epoll_create());
    epoll_event event{};
    event.events = events;
    event.data.u64 = epoll_word;
    CHECK(rig.calls().epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0, "EPOLL_CTL_ADD: {}",
          errno_name(errno));
    return epoll;
}

Checked<std::uint32_t> epoll_events(int epoll, int timeout_ms) {
    std::array<epoll_event, 4> events{};
    const std::size_t count = TRY(sys::epoll_wait(epoll, events, timeout_ms));
    CHECK(count <= 1, "epoll_wait says {} files, one was added", count);
    CHECK(count == 0 || events[0].data.u64 == epoll_word, "epoll_wait returned the data {:#x}",
          std::uint64_t{events[0].data.u64});
    return count == 0 ? 0 : std::uint32_t{events[0].events};
}

}  // namespace v4lfence
