// SPDX-License-Identifier: MIT
//
// Stock videobuf2: poll, select and epoll in each state, and DQBUF that waits.

#include <fcntl.h>

#include "conformance/bounded.hpp"
#include "conformance/cases/cases.hpp"
#include "conformance/plain.hpp"
#include "conformance/readiness.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr int readable_bits = POLLIN | POLLRDNORM;

Checked<> poll_says(Stream& stream, short events, int expected, std::string_view when) {
    const int revents = stream.device().poll(events, expected == 0 ? settle_ms : 0);
    CHECK(revents == expected, "{} poll for {:#x} says {:#x}, expected {:#x}", when, events,
          revents, expected);
    return {};
}

Checked<> poll_follows_stream(Rig& rig) {
    if (!rig.polls_errors()) {
        return skipped("the file of a virtual device is a socket here, which has no POLLERR");
    }
    Stream stream = TRY(open_plain(rig));
    const auto says = [&](int expected, std::string_view when) {
        return poll_says(stream, POLLIN, expected, when);
    };
    TRY(says(POLLERR, "with nothing queued"));
    TRY(stream.queue_rest(0));
    TRY(says(POLLERR, "before STREAMON"));
    TRY(stream.start());
    TRY(stream.becomes_readable());
    const int revents = stream.device().poll(readable_bits, 0);
    CHECK(revents == readable_bits, "with a frame poll says {:#x}, expected {:#x}", revents,
          readable_bits);
    TRY(run_dry(rig, stream));
    TRY(says(0, "with nothing left"));
    TRY(stream.queue_rest(0));
    TRY(stream.becomes_readable());
    TRY(stream.stop());
    return says(POLLERR, "after STREAMOFF");
}

Checked<> poll_waits_for_qbuf(Rig& rig) {
    if (!rig.polls_errors()) {
        return skipped("the file of a virtual device is a socket here, which has no POLLERR");
    }
    Stream stream = TRY(open_plain(rig));
    TRY(stream.start());
    TRY(poll_says(stream, POLLIN, POLLERR, "streaming, before any QBUF,"));
    TRY(stream.queue_rest(0));
    TRY(stream.becomes_readable());
    return stream.stop();
}

Checked<> poll_of_what_a_camera_has_not(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    for (const short events : {short{POLLPRI}, short{POLLOUT}, short{0}}) {
        TRY(poll_says(stream, events, 0, "without a stream"));
    }
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(stream.becomes_readable());
    for (const short events : {short{POLLPRI}, short{POLLOUT}, short{0}}) {
        TRY(poll_says(stream, events, 0, "with a frame"));
    }
    return stream.stop();
}

Checked<> poll_wakes(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    // One buffer and back, so that poll waits instead of saying POLLERR.
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(run_dry(rig, stream));
    BoundedThread waiter([&stream] { return stream.becomes_readable(); });
    TRY(waiter.falls_asleep("poll with nothing queued"));
    TRY(stream.queue_rest(0));
    TRY(waiter.finish("poll after QBUF"));
    return stream.stop();
}

Checked<> select_follows_stream(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const int fd = stream.device().fd();
    if (rig.has_node()) {
        const Selected idle = TRY(select_once(rig, fd, 0));
        CHECK(idle.readable, "before STREAMON select does not say readable, which POLLERR is");
    }
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    const Selected ready = TRY(select_once(rig, fd, must_happen_ms));
    CHECK(ready.readable && !ready.writable && !ready.exceptional,
          "with a frame select says readable {}, writable {}, exceptional {}", ready.readable,
          ready.writable, ready.exceptional);
    TRY(run_dry(rig, stream));
    const Selected dry = TRY(select_once(rig, fd, settle_ms));
    CHECK(!dry.readable && !dry.writable && !dry.exceptional, "with nothing left select wakes");
    return stream.stop();
}

Checked<> epoll_follows_stream(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const UniqueFd epoll = TRY(epoll_with(rig, stream.device().fd(), EPOLLIN));
    if (rig.has_node()) {
        const std::uint32_t idle = TRY(epoll_events(epoll.get(), 0));
        CHECK(idle == EPOLLERR, "before STREAMON epoll says {:#x}, expected EPOLLERR", idle);
    }
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    std::uint32_t events = TRY(epoll_events(epoll.get(), must_happen_ms));
    CHECK(events == EPOLLIN, "with a frame epoll says {:#x}, expected EPOLLIN", events);
    events = TRY(epoll_events(epoll.get(), 0));
    CHECK(events == EPOLLIN, "the second time epoll says {:#x}, expected EPOLLIN", events);
    TRY(run_dry(rig, stream));
    events = TRY(epoll_events(epoll.get(), settle_ms));
    CHECK(events == 0, "with nothing left epoll says {:#x}", events);
    return stream.stop();
}

Checked<> epoll_edges(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    const UniqueFd epoll = TRY(epoll_with(rig, stream.device().fd(), EPOLLIN | EPOLLET));
    for (unsigned frame = 0; frame < 5; ++frame) {
        const std::uint32_t events = TRY(epoll_events(epoll.get(), must_happen_ms));
        CHECK((events & EPOLLIN) != 0, "epoll says {:#x}, expected EPOLLIN", events);
        while (const auto came = TRY(stream.dequeue_now())) {
            TRY(stream.queue(came->index));
        }
    }
    return stream.stop();
}

constexpr StreamOptions blocking{.memory = V4L2_MEMORY_MMAP, .count = 0, .open_flags = O_RDWR};

/// A stream with nothing to fetch, so that DQBUF blocks.
Checked<Stream> dry_stream(Rig& rig) {
    Stream stream = TRY(stream_plain(rig, blocking));
    TRY(run_dry(rig, stream));
    return stream;
}

BoundedThread dequeue_beside(Stream& stream, int error) {
    return BoundedThread([&stream, error]() -> Checked<> {
        return answers(stream.try_dequeue(), error, "a blocking DQBUF");
    });
}

Checked<> dqbuf_waits(Rig& rig) {
    Stream stream = TRY(dry_stream(rig));
    BoundedThread waiter = dequeue_beside(stream, 0);
    TRY(waiter.falls_asleep("a blocking DQBUF with nothing queued"));
    TRY(stream.queue_rest(0));
    TRY(waiter.finish("a blocking DQBUF after QBUF"));
    return stream.stop();
}

Checked<> dqbuf_ended_by_streamoff(Rig& rig) {
    Stream stream = TRY(dry_stream(rig));
    BoundedThread waiter = dequeue_beside(stream, EINVAL);
    TRY(waiter.falls_asleep("a blocking DQBUF with nothing queued"));
    TRY(stream.stop());
    return waiter.finish("a blocking DQBUF after STREAMOFF");
}

Checked<> dqbuf_second_waiter(Rig& rig) {
    Stream stream = TRY(dry_stream(rig));
    BoundedThread first = dequeue_beside(stream, 0);
    TRY(first.falls_asleep("a blocking DQBUF with nothing queued"));
    BoundedThread second = dequeue_beside(stream, EBUSY);
    TRY(second.finish("the DQBUF of a second waiter"));
    CHECK(!first.done(), "the second waiter ended the first");
    TRY(stream.queue_rest(0));
    TRY(first.finish("the first waiter"));
    return stream.stop();
}

Checked<> dqbuf_interrupted(Rig& rig) {
    Stream stream = TRY(dry_stream(rig));
    BoundedThread waiter = dequeue_beside(stream, EINTR);
    TRY(waiter.falls_asleep("a blocking DQBUF with nothing queued"));
    TRY(eventually(
        [&]() -> Checked<bool> {
            waiter.interrupt();
            return waiter.done();
        },
        "a signal to end DQBUF"));
    TRY(waiter.finish("a DQBUF that a signal interrupts"));
    TRY(stream.queue_rest(0));
    TRY(answers(stream.try_dequeue(), 0, "DQBUF after the interrupted one"));
    return stream.stop();
}

Checked<> nonblocking_by_fcntl(Rig& rig) {
    Stream stream = TRY(dry_stream(rig));
    TRY(answers(stream.device().set_nonblocking(true), 0, "F_SETFL"));
    TRY(answers(stream.try_dequeue(), EAGAIN, "DQBUF after O_NONBLOCK was set"));
    TRY(answers(stream.device().set_nonblocking(false), 0, "F_SETFL"));
    BoundedThread waiter = dequeue_beside(stream, 0);
    TRY(waiter.falls_asleep("DQBUF after O_NONBLOCK was taken away"));
    TRY(stream.queue_rest(0));
    TRY(waiter.finish("a blocking DQBUF after QBUF"));
    return stream.stop();
}

Checked<> calls_pass_a_waiter(Rig& rig) {
    Stream stream = TRY(dry_stream(rig));
    BoundedThread waiter = dequeue_beside(stream, 0);
    TRY(waiter.falls_asleep("a blocking DQBUF with nothing queued"));
    // Nothing of this may wait for the waiter.
    BoundedThread other([&]() -> Checked<> {
        TRY(stream.is_dequeued(0));
        const int revents = stream.device().poll(POLLIN, 0);
        CHECK(revents == 0, "poll says {:#x} beside a waiter", revents);
        return stream.queue_rest(0);
    });
    TRY(other.finish("QUERYBUF, poll and QBUF beside a blocked DQBUF"));
    TRY(waiter.finish("a blocking DQBUF after QBUF"));
    return stream.stop();
}

constexpr Case cases[] = {
    plain_case("vb2@poll-follows-stream", "POLLERR without a stream, POLLIN with a frame",
               poll_follows_stream),
    plain_case("vb2@poll-before-qbuf-error", "POLLERR as long as nothing was ever queued",
               poll_waits_for_qbuf),
    plain_case("vb2@poll-pri-and-out-nothing", "Who asks for events or output is told no errors",
               poll_of_what_a_camera_has_not),
    plain_case("vb2@poll-wakes", "poll wakes when a frame comes", poll_wakes),
    plain_case("vb2@select-follows-stream", "select says the same", select_follows_stream),
    plain_case("vb2@epoll-follows-stream", "And epoll, level-triggered", epoll_follows_stream),
    plain_case("vb2@epoll-edges", "And edge-triggered: each frame is an edge", epoll_edges),
    plain_case("vb2@dqbuf-waits", "DQBUF waits for a frame", dqbuf_waits),
    plain_case("vb2@dqbuf-ended-by-streamoff", "Another thread's STREAMOFF ends it with EINVAL",
               dqbuf_ended_by_streamoff),
    plain_case("vb2@dqbuf-second-waiter-ebusy", "A second waiter gets EBUSY", dqbuf_second_waiter),
    plain_case("vb2@dqbuf-signal-eintr", "A signal ends it with EINTR", dqbuf_interrupted),
    plain_case("vb2@dqbuf-nonblock-by-fcntl", "O_NONBLOCK may be set and taken away",
               nonblocking_by_fcntl),
    plain_case("vb2@dqbuf-others-pass", "Other calls do not wait for it", calls_pass_a_waiter),
};

}  // namespace

std::span<const Case> vb2_waiting_cases() {
    return cases;
}

}  // namespace v4lfence
