// SPDX-License-Identifier: MIT
//
// Out-fences: when they end, what they are, and what can be seen of a buffer whose fence has ended.

#include <linux/sync_file.h>

#include <array>
#include <vector>

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

Checked<> pending_until_done(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(fence_is_pending(stream.out_fence(index), "an out-fence before STREAMON"));
        CHECK(TRY(stream.look(index)).out_pending(), "QUERYBUF does not report the out-fence of {}",
              index);
    }
    TRY(stream.start());
    const FenceStatus status = TRY(fence_ends(stream.out_fence(0), "the first out-fence"));
    CHECK(status.state == FenceState::Signaled, "the first out-fence ended with {}",
          errno_name(status.error));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

/// Frames that nobody fetches keep the device readable, which wakes once for each and not for ever.
Checked<> unfetched_frames_do_not_spin(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    const auto before = rig.stats();
    if (!before) {
        return skipped("the library counts no wake-ups");
    }
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    for (unsigned index = 0; index < stream.count() - rig.facts().keeps; ++index) {
        TRY(fence_ends(stream.out_fence(index), "an out-fence whose frame nobody fetches"));
    }
    const std::uint64_t wakeups = TRY(rig.stats()).wakeups - before->wakeups;
    const std::uint64_t wakeups_max = 4 * std::uint64_t{stream.count()};
    CHECK(wakeups <= wakeups_max, "{} wake-ups for {} frames, expected at most {}", wakeups,
          stream.count(), wakeups_max);
    return stream.stop();
}

Checked<> close_on_exec(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue(0, {.out = true}));
    CHECK(TRY(is_close_on_exec(stream.out_fence(0))), "the out-fence is not close-on-exec");
    return {};
}

Checked<> kind_as_announced(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue(0, {.out = true}));
    sync_file_info info{};
    const auto answer = sys::ioctl_retry(stream.out_fence(0), SYNC_IOC_FILE_INFO, &info);
    if (!rig.answers_as_sync_files()) {
        CHECK(!answer, "an out-fence that is not kernel-waitable answers SYNC_IOC_FILE_INFO");
        return {};
    }
    CHECK(answer, "SYNC_IOC_FILE_INFO: {}", errno_name(answer.error().code));
    CHECK(info.status == 0 && info.num_fences == 1,
          "the sync_file has status {} and {} fences, expected a pending one", info.status,
          info.num_fences);
    return {};
}

Checked<> query_shows_finished(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(fence_ends(stream.out_fence(0), "the first out-fence"));
    const BufferView seen = TRY(stream.look(0));
    CHECK(seen.done() && !seen.queued(), "flags are {:#x}, expected DONE", seen.flags);
    CHECK(!seen.out_pending(), "an ended out-fence is still reported, flags {:#x}", seen.flags);
    CHECK(seen.bytes_used > 0 && seen.timestamp_us > 0,
          "the finished buffer has {} bytes and timestamp {}", seen.bytes_used, seen.timestamp_us);
    const Frame frame = TRY(stream.dequeue_good(0));
    CHECK(seen.sequence == frame.sequence && seen.timestamp_us == frame.timestamp_us &&
              seen.bytes_used == frame.bytes_used && seen.field == frame.field,
          "QUERYBUF said sequence {} at {}, DQBUF {} at {}", seen.sequence, seen.timestamp_us,
          frame.sequence, frame.timestamp_us);
    return stream.stop();
}

Checked<> timestamps_are_the_producers(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(fence_ends(stream.out_fence(0), "the first out-fence"));
    const std::int64_t ended_us = to_ns(SystemClock().now()) / 1000;
    const std::int64_t finished_us = TRY(stream.look(0)).timestamp_us;
    // Some drivers stamp a frame up to one interval ahead.
    constexpr std::int64_t second_us = 1'000'000;
    CHECK(finished_us < ended_us + second_us && finished_us > ended_us - 60 * second_us,
          "timestamp {} us is not of CLOCK_MONOTONIC, now {} us", finished_us, ended_us);
    TRY(fence_ends(stream.out_fence(1), "the next out-fence"));
    pause_ms(settle_ms);
    const std::int64_t later_us = TRY(stream.look(0)).timestamp_us;
    CHECK(later_us == finished_us, "QUERYBUF said timestamp {} us, and {} us a frame later",
          finished_us, later_us);
    const Frame frame = TRY(stream.dequeue_good(0));
    CHECK(frame.timestamp_us == finished_us, "QUERYBUF said timestamp {} us, a late DQBUF {} us",
          finished_us, frame.timestamp_us);
    CHECK((frame.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC,
          "flags {:#x} do not say CLOCK_MONOTONIC", frame.flags);
    return stream.stop();
}

Checked<> ended_by_the_time_of_dqbuf(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    for (unsigned frame = 0; frame < 60; ++frame) {
        // dequeue() fails if the out-fence is pending when DQBUF has returned its buffer.
        const unsigned index = TRY(stream.dequeue()).index;
        TRY(stream.queue(index, {.out = true}));
    }
    return stream.stop();
}

Checked<> end_in_queue_order(Rig& rig) {
    if (!rig.facts().ordered()) {
        return skipped("the queue is not ordered");
    }
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    const unsigned due = stream.count() - rig.facts().keeps;
    for (unsigned last = due; last-- > 0;) {
        TRY(fence_ends(stream.out_fence(last), "an out-fence"));
        for (unsigned earlier = 0; earlier < last; ++earlier) {
            const FenceStatus status = TRY(fence_status(stream.out_fence(earlier)));
            CHECK(status.ended(), "out-fence {} has ended before {}", last, earlier);
        }
    }
    return stream.stop();
}

Checked<> merge_ends_with_the_later(Rig& rig) {
    if (!rig.answers_as_sync_files()) {
        return skipped("these out-fences are no sync_files");
    }
    Stream stream = TRY(Stream::open(rig));
    TestFence gate = TRY(rig.fence());
    TRY(stream.queue(0, {.out = true}));
    // Whatever the driver keeps lies between the two.
    const unsigned later = rig.facts().needed();
    for (unsigned index = 1; index < later; ++index) {
        TRY(stream.queue(index));
    }
    TRY(stream.queue(later, {.in = gate.fd.get(), .out = true}));
    TRY(stream.queue_rest(later + 1));
    const UniqueFd both =
        TRY(merge_sync_files("conform", stream.out_fence(0), stream.out_fence(later)));
    TRY(stream.start());
    TRY(fence_ends(stream.out_fence(0), "the earlier out-fence"));
    TRY(stays_pending(both.get(), "the merge of an ended and a pending out-fence"));
    gate.end();
    TRY(fence_ends(stream.out_fence(later), "the later out-fence"));
    TRY(fence_ends(both.get(), "the merge"));
    return stream.stop();
}

Checked<> closed_early_changes_nothing(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.queue(index, {.out = true}));
        stream.take_out_fence(index).reset();
    }
    TRY(stream.start());
    for (unsigned frame = 0; frame < 10; ++frame) {
        const unsigned index = TRY(stream.dequeue_good(frame % stream.count())).index;
        TRY(stream.queue(index, {.out = true}));
        stream.take_out_fence(index).reset();
    }
    return stream.stop();
}

Checked<> outlives_its_file(Rig& rig) {
    UniqueFd fence;
    {
        Stream stream = TRY(Stream::open(rig));
        TRY(stream.queue_rest(0, true));
        TRY(stream.start());
        TRY(stream.dequeue_good(0));
        fence = stream.take_out_fence(0);
    }
    const FenceStatus status = TRY(fence_status(fence.get()));
    CHECK(status.state == FenceState::Signaled, "a fence that had ended well says {} after close",
          errno_name(status.error));
    return {};
}

Checked<> wakes_pollers(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    std::array<pollfd, 2> fds{pollfd{stream.out_fence(0), POLLIN, 0},
                              pollfd{stream.out_fence(1), POLLIN, 0}};
    CHECK(TRY(sys::poll(fds, 0)) == 0, "poll says a pending out-fence is ready");
    TRY(stream.start());
    CHECK(TRY(sys::poll(fds, must_happen_ms)) >= 1, "poll on out-fences never woke");
    CHECK((fds[0].revents & (POLLIN | POLLHUP)) != 0, "poll says {:#x} of the first out-fence",
          fds[0].revents);
    return stream.stop();
}

Checked<> each_qbuf_a_new_one(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    std::vector<UniqueFd> kept;
    for (unsigned frame = 0; frame < 3 * stream.count(); ++frame) {
        const unsigned index = TRY(stream.dequeue_good(frame % stream.count())).index;
        kept.push_back(stream.take_out_fence(index));
        TRY(stream.queue(index, {.out = true}));
        const FenceStatus old = TRY(fence_status(kept.back().get()));
        CHECK(old.state == FenceState::Signaled, "an ended out-fence says {} after the next QBUF",
              errno_name(old.error));
    }
    return stream.stop();
}

constexpr Case cases[] = {
    {"out-fence@pending-until-done", "3, 4.8, 6.3", "#96 #107",
     "An out-fence ends when the device is finished, and DQBUF has the buffer then",
     pending_until_done},
    {"out-fence@unfetched-no-spinning", "6.3", "",
     "Frames that nobody fetches wake the library once each", unfetched_frames_do_not_spin},
    {"out-fence@close-on-exec", "3", "", "The descriptor is close-on-exec", close_on_exec},
    {"out-fence@kind-as-announced", "1.2", "", "Kernel-waitable fences are sync_files, others not",
     kind_as_announced},
    {"out-fence@ended-query-shows-finished", "3.3", "#58 #104 #115",
     "QUERYBUF shows the finished buffer before DQBUF", query_shows_finished},
    {"out-fence@timestamps-the-producers", "3.4", "#104", "A late DQBUF changes no timestamp",
     timestamps_are_the_producers},
    {"out-fence@ended-when-dqbuf-returns", "4.8", "#112",
     "When DQBUF returns a buffer its out-fence has ended", ended_by_the_time_of_dqbuf},
    {"out-fence@end-in-queue-order", "4.7", "#68", "Out-fences of an ordered queue end in order",
     end_in_queue_order},
    {"out-fence@merge-ends-with-later", "4.7", "#68", "A merge of two ends when the later does",
     merge_ends_with_the_later},
    {"out-fence@closed-early-harmless", "4.8", "", "Nobody has to hold an out-fence",
     closed_early_changes_nothing},
    {"out-fence@outlives-file", "5.4", "", "A fence that has ended well stays so after close",
     outlives_its_file},
    {"out-fence@wakes-poll", "3", "Q07", "A fence can be polled", wakes_pollers},
    {"out-fence@new-for-each-qbuf", "3, 4.7", "#92 #115", "Each QBUF returns a fence of its own",
     each_qbuf_a_new_one},
};

}  // namespace

std::span<const Case> out_fence_cases() {
    return cases;
}

}  // namespace v4lfence
