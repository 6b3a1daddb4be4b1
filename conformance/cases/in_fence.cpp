// SPDX-License-Identifier: MIT
//
// What a pending in-fence does to its buffer, and when it stops doing it.

#include <vector>

#include "conformance/cases/cases.hpp"
#include "conformance/held.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

Checked<> pending_holds(Rig& rig) {
    HeldStream held = TRY(hold_first(rig));
    TRY(stays_pending(held.stream.out_fence(0), "the out-fence of a held buffer"));
    TRY(release_first(held));
    CHECK(held.stream.changed_bytes(0) > 0,
          "the frame that came back holds what was painted before");
    return held.stream.stop();
}

Checked<> qbuf_reports_pending(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.buffer.flags = V4L2_BUF_FLAG_IN_FENCE;
    argument.fence_fd() = fence.fd.get();
    TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), 0, "QBUF"));
    CHECK((argument.buffer.flags & V4L2_BUF_FLAG_IN_FENCE) != 0,
          "QBUF with a pending in-fence returned flags {:#x}", argument.buffer.flags);
    CHECK((argument.buffer.flags & V4L2_BUF_FLAG_QUEUED) != 0,
          "QBUF of a held buffer returned flags {:#x}, expected QUEUED", argument.buffer.flags);
    CHECK(argument.fence_fd() == -1, "QBUF returned fence_fd {}, expected -1", argument.fence_fd());
    fence.end();
    return eventually([&]() -> Checked<bool> { return !TRY(stream.look(0)).in_pending(); },
                      "QUERYBUF to report IN_FENCE no more");
}

Checked<> ended_is_given_at_once(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    fence.end();
    // What the library opened at the first fence it may keep.
    TRY(stream.queue(0, {.in = fence.fd.get()}));
    const std::size_t descriptors = open_descriptors();
    TRY(stream.queue(1, {.in = fence.fd.get()}));
    CHECK(open_descriptors() == descriptors, "an ended in-fence is kept open");
    for (const unsigned index : {0U, 1U}) {
        const BufferView view = TRY(stream.look(index));
        CHECK(!view.in_pending(), "an ended in-fence is reported as pending, flags {:#x}",
              view.flags);
    }
    TRY(stream.queue_rest(2));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> closed_after_qbuf_still_holds(Rig& rig) {
    HeldStream held = TRY(hold_first(rig, {.out = false}));
    held.fence.fd.reset();
    TRY(release_first(held));
    return held.stream.stop();
}

Checked<> descriptor_zero_waits(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    stream.paint_buffer(0);
    UniqueFd input = TRY(sys::dup_high(0));
    UniqueFd(0).reset();
    UniqueFd zero = TRY(sys::dup(fence.fd.get()));
    const int number = zero.get();
    const int status = stream.try_queue(0, {.in = number});
    zero.reset();
    UniqueFd restored = TRY(sys::dup(input.get()));
    const bool back = std::move(restored).release() == 0;
    CHECK(number == 0 && back, "descriptor 0 could not be used");
    TRY(answers(status, 0, "QBUF with an in-fence at descriptor 0"));
    HeldStream held{std::move(stream), std::move(fence)};
    TRY(held.stream.queue_rest(1));
    TRY(held.stream.start());
    TRY(release_first(held));
    return held.stream.stop();
}

Checked<> ends_before_stream(Rig& rig) {
    HeldStream held = TRY(hold_first(rig, {.start = false}));
    Stream& stream = held.stream;
    held.fence.end();
    TRY(eventually([&]() -> Checked<bool> { return !TRY(stream.look(0)).in_pending(); },
                   "the in-fence to be seen ended before STREAMON"));
    TRY(stays_pending(stream.out_fence(0), "the out-fence before STREAMON"));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> all_pending_then_start(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    std::vector<TestFence> fences;
    for (unsigned index = 0; index < stream.count(); ++index) {
        fences.push_back(TRY(rig.fence()));
        TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
    }
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    for (TestFence& fence : fences) {
        fence.end();
    }
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> queued_while_streaming_holds(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.start());
    HeldStream held{std::move(stream), TRY(rig.fence())};
    held.stream.paint_buffer(0);
    TRY(held.stream.queue(0, {.in = held.fence.fd.get(), .out = true}));
    TRY(held.stream.queue_rest(1));
    TRY(release_first(held));
    return held.stream.stop();
}

Checked<> one_fence_for_many(Rig& rig) {
    HeldStream held = TRY(hold_all(rig, {.out = false}));
    Stream& stream = held.stream;
    TRY(stream.nothing_to_dequeue());
    held.fence.end();
    const unsigned due = stream.count() - rig.facts().keeps;
    for (unsigned index = 0; index < due; ++index) {
        TRY(stream.dequeue_good(index));
    }
    return stream.stop();
}

/// Each buffer waits for the out-fence of the one before it, queued one round ago.
Checked<> chain_runs(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.start());
    constexpr unsigned frames = 30;
    const unsigned ahead = rig.facts().needed();
    std::vector<UniqueFd> outs;
    unsigned queued = 0;
    const auto queue_next = [&]() -> Checked<> {
        const unsigned index = queued % stream.count();
        Fences fences{.out = true};
        if (queued >= ahead) {
            fences.in = outs[queued - ahead].get();
        }
        TRY(stream.queue(index, fences));
        outs.push_back(TRY(sys::dup(stream.out_fence(index))));
        ++queued;
        return {};
    };
    while (queued < stream.count()) {
        TRY(queue_next());
    }
    std::int64_t last = -1;
    for (unsigned frame = 0; frame < frames; ++frame) {
        const Frame came = TRY(stream.dequeue_good(frame % stream.count()));
        CHECK(std::int64_t{came.sequence} >= last, "sequence {} after {}", came.sequence, last);
        last = came.sequence;
        TRY(queue_next());
    }
    return stream.stop();
}

Checked<> in_and_out_at_once(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    CHECK(stream.out_fence(0) >= 0 && stream.out_fence(0) != fence.fd.get(),
          "QBUF returned the in-fence as out-fence");
    TRY(fence_is_pending(stream.out_fence(0), "the out-fence behind a pending in-fence"));
    const BufferView view = TRY(stream.look(0));
    CHECK(view.in_pending() && view.out_pending(), "flags are {:#x}, expected both", view.flags);
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    fence.end();
    TRY(fence_ends(stream.out_fence(0), "the out-fence"));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

constexpr Case cases[] = {
    {"in-fence@pending-holds-buffer", "4.2, 3.2, 2.2", "#7 #120 Q01",
     "The device does not get a buffer before its in-fence has ended", pending_holds},
    {"in-fence@pending-reported-live", "3", "#48 #85 #88 #106",
     "QBUF and QUERYBUF report IN_FENCE while it is pending", qbuf_reports_pending},
    {"in-fence@ended-given-at-once", "4.2", "#8 #14 #87 Q13",
     "A fence that has ended before QBUF holds nothing", ended_is_given_at_once},
    {"in-fence@closed-after-qbuf-holds", "2", "#21 Q14",
     "The program may close its fence after QBUF", closed_after_qbuf_still_holds},
    {"in-fence@descriptor-zero-holds", "2", "#11 #38", "0 is a descriptor like any other",
     descriptor_zero_waits},
    {"in-fence@ends-before-streamon", "4.3", "#120", "A fence may end before STREAMON",
     ends_before_stream},
    {"in-fence@all-pending-at-streamon", "4.3", "#18 #64",
     "A stream whose buffers all wait starts when they are ready", all_pending_then_start},
    {"in-fence@queued-while-streaming", "4.3, 2.2", "#7 #64",
     "A buffer queued after STREAMON is held just so", queued_while_streaming_holds},
    {"in-fence@shared-by-buffers", "4.2", "", "One fence may hold many buffers",
     one_fence_for_many},
    {"in-fence@chain-of-out-fences", "4.3, 4.2", "#44 #96", "Out-fences serve as in-fences",
     chain_runs},
    {"in-fence@with-out-fence", "1.1, 3", "#91 #96 Q08",
     "One field carries the in-fence in and the out-fence out", in_and_out_at_once},
};

}  // namespace

std::span<const Case> in_fence_cases() {
    return cases;
}

}  // namespace v4lfence
