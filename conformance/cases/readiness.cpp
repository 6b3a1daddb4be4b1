// SPDX-License-Identifier: MIT
//
// poll, select and epoll on a file whose buffers wait for fences.

#include "conformance/readiness.hpp"

#include <array>
#include <vector>

#include "conformance/bounded.hpp"
#include "conformance/cases/cases.hpp"
#include "conformance/held.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

Checked<> poll_hides_error(Rig& rig) {
    HeldStream held = TRY(hold_all(rig));
    for (const short events :
         {short{POLLIN}, short{POLLIN | POLLPRI}, short{POLLRDNORM}, short{POLLOUT}}) {
        const int revents = held.stream.device().poll(events, settle_ms);
        CHECK(revents == 0, "poll for {:#x} says {:#x} while all is held, expected nothing", events,
              revents);
    }
    held.fence.end();
    TRY(held.stream.becomes_readable());
    TRY(held.stream.dequeue_good(0));
    return held.stream.stop();
}

Checked<> poll_with_others(Rig& rig) {
    HeldStream held = TRY(hold_all(rig));
    sys::Pipe pipe = TRY(sys::pipe(0));
    std::array<pollfd, 3> fds{pollfd{pipe.read_end.get(), POLLIN, 0},
                              pollfd{held.stream.device().fd(), POLLIN, 0}, pollfd{-1, POLLIN, 9}};
    CHECK(rig.calls().poll(fds.data(), fds.size(), settle_ms) == 0, "poll woke for nothing");
    pipe.write_end.reset();
    const int count = rig.calls().poll(fds.data(), fds.size(), must_happen_ms);
    CHECK(count == 1 && fds[0].revents == POLLHUP && fds[1].revents == 0 && fds[2].revents == 0,
          "poll says {} ready: {:#x}, {:#x}, {:#x}, expected the pipe alone", count, fds[0].revents,
          fds[1].revents, fds[2].revents);
    held.fence.end();
    TRY(held.stream.becomes_readable());
    return held.stream.stop();
}

/// A poll() that began while all was held wakes when the frame comes.
Checked<> poll_wakes(Rig& rig) {
    HeldStream held = TRY(hold_all(rig));
    BoundedThread waiter([&held] { return held.stream.becomes_readable(); });
    pause_ms(settle_ms);
    CHECK(!waiter.done(), "poll returned while all is held");
    held.fence.end();
    TRY(waiter.finish("a poll that began while all was held", 2 * must_happen_ms));
    TRY(held.stream.dequeue_good(0));
    return held.stream.stop();
}

Checked<> select_hides_error(Rig& rig) {
    HeldStream held = TRY(hold_all(rig));
    const int fd = held.stream.device().fd();
    const Selected early = TRY(select_once(rig, fd, settle_ms));
    CHECK(early.count == 0 && !early.readable && !early.writable && !early.exceptional,
          "select says {} ready while all is held, expected none", early.count);
    held.fence.end();
    const Selected ready = TRY(select_once(rig, fd, must_happen_ms));
    CHECK(ready.count == 1 && ready.readable, "select says {} ready, expected readable",
          ready.count);
    TRY(held.stream.dequeue_good(0));
    return held.stream.stop();
}

Checked<> epoll_tells_the_truth(Rig& rig, std::uint32_t extra, bool add_before_start) {
    HeldStream held = TRY(hold_all(rig, {.start = !add_before_start}));
    const UniqueFd epoll = TRY(epoll_with(rig, held.stream.device().fd(), EPOLLIN | extra));
    if (add_before_start) {
        TRY(held.stream.start());
    }
    const std::uint32_t early = TRY(epoll_events(epoll.get(), settle_ms));
    CHECK(early == 0, "epoll says {:#x} while all is held, expected nothing", early);
    held.fence.end();
    const std::uint32_t ready = TRY(epoll_events(epoll.get(), must_happen_ms));
    CHECK((ready & EPOLLIN) != 0 && (ready & EPOLLERR) == 0, "epoll says {:#x}, expected EPOLLIN",
          ready);
    TRY(held.stream.dequeue_good(0));
    TRY(held.stream.stop());
    for (unsigned index = 0; index < held.stream.count(); ++index) {
        held.stream.planes(index).clear();  // A mapping keeps the file.
    }
    (void)held.stream.device().shut();
    const std::uint32_t closed = TRY(epoll_events(epoll.get(), 0));
    CHECK(closed == 0, "epoll says {:#x} of a file that is closed", closed);
    return {};
}

Checked<> epoll_hides_error(Rig& rig) {
    return epoll_tells_the_truth(rig, 0, false);
}

Checked<> epoll_edge_triggered(Rig& rig) {
    return epoll_tells_the_truth(rig, EPOLLET, false);
}

Checked<> epoll_added_early(Rig& rig) {
    return epoll_tells_the_truth(rig, 0, true);
}

Checked<> epoll_ctl_errors(Rig& rig) {
    HeldStream held = TRY(hold_all(rig));
    const int fd = held.stream.device().fd();
    const UniqueFd epoll = TRY(epoll_with(rig, fd, EPOLLIN));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = epoll_word;
    const auto control = [&](int operation) {
        return rig.calls().epoll_ctl(epoll.get(), operation, fd, &event) < 0 ? -errno : 0;
    };
    TRY(answers(control(EPOLL_CTL_ADD), EEXIST, "EPOLL_CTL_ADD again"));
    event.events = 0;
    TRY(answers(control(EPOLL_CTL_MOD), 0, "EPOLL_CTL_MOD"));
    held.fence.end();
    TRY(held.stream.becomes_readable());
    std::uint32_t events = TRY(epoll_events(epoll.get(), 0));
    CHECK((events & EPOLLIN) == 0, "epoll says {:#x} after EPOLLIN was taken away", events);
    event.events = EPOLLIN;
    TRY(answers(control(EPOLL_CTL_MOD), 0, "EPOLL_CTL_MOD"));
    events = TRY(epoll_events(epoll.get(), must_happen_ms));
    CHECK((events & EPOLLIN) != 0, "epoll says {:#x}, expected EPOLLIN", events);
    TRY(answers(control(EPOLL_CTL_DEL), 0, "EPOLL_CTL_DEL"));
    TRY(answers(control(EPOLL_CTL_DEL), ENOENT, "EPOLL_CTL_DEL again"));
    TRY(answers(control(EPOLL_CTL_MOD), ENOENT, "EPOLL_CTL_MOD after DEL"));
    CHECK(TRY(epoll_events(epoll.get(), 0)) == 0, "a file that was removed is still reported");
    return held.stream.stop();
}

/// A buffer that never was in the kernel is announced all the same.
Checked<> failed_buffer_is_announced(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.failing_fence());
    TRY(stream.queue(0, {.in = fence.fd.get()}));
    TRY(stream.start());
    const int fd = stream.device().fd();
    const UniqueFd epoll = TRY(epoll_with(rig, fd, EPOLLIN));
    const std::uint32_t early = TRY(epoll_events(epoll.get(), settle_ms));
    CHECK(early == 0, "epoll says {:#x} while all is held", early);
    fence.end(-EIO);
    TRY(stream.becomes_readable());
    CHECK(TRY(select_once(rig, fd, must_happen_ms)).readable, "select does not say readable");
    const std::uint32_t ready = TRY(epoll_events(epoll.get(), must_happen_ms));
    CHECK((ready & EPOLLIN) != 0, "epoll says {:#x}, expected EPOLLIN", ready);
    TRY(stream.dequeue_bad(0));
    TRY(stream.nothing_to_dequeue());
    const std::uint32_t late = TRY(epoll_events(epoll.get(), 0));
    CHECK(late == 0, "epoll says {:#x} after the buffer was fetched", late);
    return stream.stop();
}

Checked<> stopped_says_error(Rig& rig) {
    if (!rig.polls_errors()) {
        return skipped("the file of a virtual device is a socket here, which has no POLLERR");
    }
    HeldStream held = TRY(hold_all(rig, {.start = false}));
    int revents = held.stream.device().poll(POLLIN, 0);
    CHECK(revents == POLLERR, "poll says {:#x} before STREAMON, expected POLLERR", revents);
    TRY(held.stream.start());
    TRY(held.stream.stop());
    revents = held.stream.device().poll(POLLIN, 0);
    CHECK(revents == POLLERR, "poll says {:#x} after STREAMOFF, expected POLLERR", revents);
    return {};
}

Checked<> held_does_not_spin(Rig& rig) {
    HeldStream held = TRY(hold_all(rig));
    const auto before = rig.stats();
    const Nanoseconds cpu_before = cpu_time();
    constexpr int window_ms = 2000;
    const int revents = held.stream.device().poll(POLLIN, window_ms);
    const Nanoseconds cpu = cpu_time() - cpu_before;
    CHECK(revents == 0, "poll says {:#x} while all is held", revents);
    if (before) {
        const std::uint64_t wakeups = TRY(rig.stats()).wakeups - before->wakeups;
        constexpr std::uint64_t wakeups_max = 10;
        CHECK(wakeups <= wakeups_max, "{} wake-ups while nothing happened, expected at most {}",
              wakeups, wakeups_max);
    }
    CHECK(cpu < std::chrono::milliseconds(window_ms) / 2,
          "{} ms of CPU time in {} ms while nothing happened", cpu.count() / 1'000'000, window_ms);
    held.fence.end();
    TRY(held.stream.dequeue_good(0));
    return held.stream.stop();
}

constexpr Case cases[] = {
    {"poll@all-held-nothing", "6.4", "Q16", "poll hides the kernel's POLLERR while all is held",
     poll_hides_error},
    {"poll@all-held-with-others", "6.4", "Q16", "poll on several files waits for the others",
     poll_with_others},
    {"poll@fence-ends-readable", "6.3, 6.4", "#64", "poll wakes when the held frame has come",
     poll_wakes},
    {"select@all-held-nothing", "6.4", "Q16", "select hides it, in all three sets",
     select_hides_error},
    {"epoll@all-held-nothing", "6.4", "Q16", "A plain epoll_wait is told nothing",
     epoll_hides_error},
    {"epoll@edge-triggered", "6.4", "", "Edge-triggered as well", epoll_edge_triggered},
    {"epoll@added-before-streamon", "6.3, 6.4", "", "Also when it was added before STREAMON",
     epoll_added_early},
    {"epoll@ctl-errors", "6.4", "", "ADD, MOD and DEL answer as the kernel's", epoll_ctl_errors},
    {"poll@failed-buffer-readable", "5.1, 6.6", "#113",
     "A buffer whose in-fence failed is announced to poll, select and epoll",
     failed_buffer_is_announced},
    {"poll@not-streaming-error", "6.4", "", "Without a stream poll says POLLERR as before",
     stopped_says_error},
    {"streamon@all-held-no-spinning", "6.3", "", "Nobody wakes while everything is held",
     held_does_not_spin},
};

}  // namespace

std::span<const Case> readiness_cases() {
    return cases;
}

}  // namespace v4lfence
