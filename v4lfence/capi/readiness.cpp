// SPDX-License-Identifier: MIT
//
// v4lfence.h: readiness. The kernel's descriptor tells the truth but for two moments
// (SEMANTICS 6.4, 5.1); these calls put that right and leave the rest to poll() and epoll.

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/capi/process.hpp"
#include "v4lfence/v4lfence.h"

using namespace v4lfence;
using capi::failed;
using capi::process;

namespace {

/// A stream that is not on is an error to who asks for frames; hang-up is shown to everybody.
short shown_to(const pollfd& asked, const File::Readiness& now) {
    const bool everything = (asked.events & now.frames) != 0 || (now.shown & POLLHUP) != 0;
    const int errors = everything ? POLLERR | POLLHUP : 0;
    return static_cast<short>(now.shown & (asked.events | errors));
}

/// One poll() over the program's entries, in which those of fenced files are corrected. Each may
/// take a second entry: the descriptor that rings when its answer may have changed.
class Polling {
public:
    explicit Polling(std::span<pollfd> asked) : asked_(asked) {
        if (asked.size() > entries_inline) {
            many_entries_ = std::make_unique<pollfd[]>(asked.size() * 2);
            many_files_ = std::make_unique<std::uint64_t[]>(asked.size());
            entries_ = many_entries_.get();
            files_ = many_files_.get();
        }
    }
    Polling(const Polling&) = delete;
    Polling& operator=(const Polling&) = delete;

    /// Looks once, waiting up to `timeout_ms`. How many entries are ready; 0 also when a bell rang
    /// and it is worth looking again. Errors: EINTR.
    Result<int> look(int timeout_ms) {
        begin();
        const std::span<pollfd> all(entries_, asked_.size() + bells_);
        const auto polled = sys::poll(all, immediate_ ? 0 : timeout_ms);
        const int ready = polled ? collect() : 0;
        end();
        V4LFENCE_TRY(polled);
        return ready;
    }

    bool rang() const { return rang_; }

private:
    void begin() {
        bells_ = 0;
        immediate_ = rang_ = false;
        for (std::size_t i = 0; i < asked_.size(); ++i) {
            entries_[i] = pollfd{asked_[i].fd, asked_[i].events, 0};
            const FdTable::Use file = process().files.find(asked_[i].fd, files_[i]);
            if (!file && files_[i] != 0) {
                immediate_ = true;  // Closed since the last look: collect() says so.
                continue;
            }
            files_[i] = 0;
            if (!file || !file->corrects_poll()) {
                continue;
            }
            const auto bell = file->pollers();
            if (!bell) {
                continue;  // No descriptor to be had: the kernel's word must do.
            }
            files_[i] = file->serial();
            (*bell)->begin();
            entries_[asked_.size() + bells_++] = pollfd{(*bell)->fd(), POLLIN, 0};
            const File::Readiness now = file->readiness_for_poll();
            if (shown_to(asked_[i], now) != 0) {
                immediate_ = true;
                if ((*bell)->others()) {
                    (*bell)->notify();
                }
            }
            entries_[i].events = static_cast<short>(asked_[i].events & ~now.hidden);
        }
    }

    int collect() {
        int ready = 0;
        for (std::size_t i = 0; i < asked_.size(); ++i) {
            asked_[i].revents = entries_[i].revents;
            if (files_[i] != 0) {
                const FdTable::Use file = corrected(i);
                asked_[i].revents = file
                                        ? static_cast<short>(asked_[i].revents |
                                                             shown_to(asked_[i], file->readiness()))
                                        : short{POLLNVAL};
            }
            ready += asked_[i].revents != 0 ? 1 : 0;
        }
        for (std::size_t bell = 0; bell < bells_; ++bell) {
            rang_ = rang_ || entries_[asked_.size() + bell].revents != 0;
        }
        return ready;
    }

    void end() {
        for (std::size_t i = 0; i < asked_.size(); ++i) {
            const FdTable::Use file = corrected(i);
            if (file) {
                if (const auto bell = file->pollers()) {
                    (*bell)->end();
                }
            }
        }
    }

    /// The file whose answer is corrected here, unless it was closed meanwhile.
    FdTable::Use corrected(std::size_t i) const {
        return process().files.find(files_[i] != 0 ? asked_[i].fd : -1, files_[i]);
    }

    static constexpr std::size_t entries_inline = 16;

    std::span<pollfd> asked_;
    std::array<pollfd, entries_inline * 2> few_entries_{};
    std::array<std::uint64_t, entries_inline> few_files_{};
    std::unique_ptr<pollfd[]> many_entries_;
    std::unique_ptr<std::uint64_t[]> many_files_;
    pollfd* entries_ = few_entries_.data();  ///< As asked, then a bell for each that is corrected.
    /// The serials of those that are corrected, 0 for the others.
    std::uint64_t* files_ = few_files_.data();
    std::size_t bells_ = 0;
    bool immediate_ = false;
    bool rang_ = false;
};

bool any_corrected(std::span<const pollfd> fds) {
    return std::any_of(fds.begin(), fds.end(), [](const pollfd& entry) {
        const FdTable::Use file = process().files.find(entry.fd);
        return file && file->corrects_poll();
    });
}

Result<int> poll_corrected(std::span<pollfd> fds, int timeout_ms) {
    const SystemClock clock;
    const Deadline deadline = deadline_after_ms(timeout_ms, clock.now());
    Polling polling(fds);
    while (true) {
        const int left = v4lfence::timeout_ms(deadline, clock.now());
        const int ready = V4LFENCE_TRY(polling.look(left));
        if (ready > 0 || (!polling.rang() && left == 0) || (deadline && clock.now() >= *deadline)) {
            return ready;
        }
    }
}

/// A timeout of select(): beyond some days it is as good as endless.
struct SelectTimeout {
    explicit SelectTimeout(const timeval& asked)
        : us(std::min<std::int64_t>(asked.tv_sec, seconds_max) * 1'000'000 +
             std::min<std::int64_t>(asked.tv_usec, INT32_MAX)) {}

    int ms() const {
        return static_cast<int>(std::min<std::int64_t>((us + 999) / 1000, INT32_MAX));
    }
    /// What is left of it, as Linux stores it.
    timeval left_after(std::chrono::microseconds used) const {
        const std::int64_t left_us = std::max<std::int64_t>(us - used.count(), 0);
        return {left_us / 1'000'000, left_us % 1'000'000};
    }

    static constexpr std::int64_t seconds_max = INT32_MAX / 1000;
    std::int64_t us;
};

/// select()'s three sets as poll() entries, and back.
struct SelectSets {
    fd_set* readable;
    fd_set* writable;
    fd_set* exceptional;

    static bool has(const fd_set* set, int fd) { return set != nullptr && FD_ISSET(fd, set); }

    short events_of(int fd) const {
        return static_cast<short>((has(readable, fd) ? POLLIN : 0) |
                                  (has(writable, fd) ? POLLOUT : 0) |
                                  (has(exceptional, fd) ? POLLPRI : 0));
    }

    int store(const pollfd& entry) const {
        int bits = 0;
        const auto keep = [&](fd_set* set, short asked, short shown) {
            if (set == nullptr || (entry.events & asked) == 0) {
                return;
            }
            if (entry.revents & shown) {
                FD_SET(entry.fd, set);
                ++bits;
            }
        };
        keep(readable, POLLIN, POLLIN | POLLHUP | POLLERR);
        keep(writable, POLLOUT, POLLOUT | POLLERR);
        keep(exceptional, POLLPRI, POLLPRI);
        return bits;
    }

    void clear() const {
        for (fd_set* set : {readable, writable, exceptional}) {
            if (set != nullptr) {
                FD_ZERO(set);
            }
        }
    }
};

}  // namespace

extern "C" {

int v4lfence_poll(struct pollfd* fds, nfds_t count, int timeout_ms) {
    const std::span<pollfd> entries(fds, fds != nullptr ? count : 0);
    if (!any_corrected(entries)) {
        return libc.poll(fds, count, timeout_ms);
    }
    const auto ready = poll_corrected(entries, timeout_ms);
    return ready ? *ready : failed(ready.error());
}

int v4lfence_select(int nfds, fd_set* readable, fd_set* writable, fd_set* exceptional,
                    struct timeval* timeout) {
    const bool negative = timeout != nullptr && (timeout->tv_sec < 0 || timeout->tv_usec < 0);
    if (nfds < 0 || nfds > FD_SETSIZE || negative) {
        return failed(Error{-EINVAL, "select"});
    }
    const SelectSets sets{readable, writable, exceptional};
    std::array<pollfd, FD_SETSIZE> entries;
    std::size_t count = 0;
    for (int fd = 0; fd < nfds; ++fd) {
        if (const short events = sets.events_of(fd)) {
            entries[count++] = pollfd{fd, events, 0};
        }
    }
    const std::span<pollfd> asked(entries.data(), count);
    if (!any_corrected(asked)) {
        return libc.select(nfds, readable, writable, exceptional, timeout);
    }
    const SystemClock clock;
    const MonotonicTime begun = clock.now();
    const auto ready =
        poll_corrected(asked, timeout != nullptr ? SelectTimeout(*timeout).ms() : -1);
    if (!ready) {
        return failed(ready.error());
    }
    if (timeout != nullptr) {
        *timeout = SelectTimeout(*timeout).left_after(
            std::chrono::duration_cast<std::chrono::microseconds>(clock.now() - begun));
    }
    sets.clear();
    int bits = 0;
    for (const pollfd& entry : asked) {
        if (entry.revents & POLLNVAL) {
            return failed(Error{-EBADF, "select"});
        }
        bits += sets.store(entry);
    }
    return bits;
}

int v4lfence_epoll_ctl(int epfd, int op, int fd, struct epoll_event* event) {
    const FdTable::Use file = process().files.find(fd);
    if (!file) {
        return libc.epoll_ctl(epfd, op, fd, event);
    }
    const auto done = file->epoll_ctl(fd, epfd, op, event);
    return done ? 0 : failed(done.error());
}

}  // extern "C"
