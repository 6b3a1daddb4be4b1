// SPDX-License-Identifier: MIT
//
// In-fences that end with an error.

#include <algorithm>
#include <vector>

#include "conformance/cases/cases.hpp"
#include "conformance/held.hpp"

namespace v4lfence {

namespace {

constexpr int some_error = EPROTO;

/// Fails the fence and waits until its own descriptor says so.
Checked<> fail_fence(TestFence& fence) {
    fence.end(-some_error);
    const FenceStatus status = TRY(fence_status(fence.fd.get()));
    CHECK(status.state == FenceState::Failed, "the test's own fence did not fail");
    return {};
}

Checked<> comes_back_bad(Stream& stream, unsigned index) {
    TRY(stream.dequeue_bad(index));
    CHECK(stream.changed_bytes(index) == 0, "the device wrote to buffer {}, whose in-fence failed",
          index);
    return {};
}

Checked<> fails_before_qbuf(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.failing_fence());
    TRY(fail_fence(fence));
    stream.paint_buffer(0);
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(comes_back_bad(stream, 0));
    TRY(stream.out_fence_failed(0, some_error, 0));
    TRY(stream.dequeue_good(1));
    return stream.stop();
}

Checked<> fails_before_streamon(Rig& rig) {
    HeldStream held = TRY(hold_first(rig, {.failing = true, .start = false}));
    Stream& stream = held.stream;
    TRY(fail_fence(held.fence));
    TRY(eventually([&]() -> Checked<bool> { return !TRY(stream.look(0)).in_pending(); },
                   "the failed in-fence to be seen"));
    TRY(answers(stream.try_dequeue(), EINVAL, "DQBUF before STREAMON"));
    TRY(stream.start());
    TRY(comes_back_bad(stream, 0));
    TRY(stream.out_fence_failed(0, some_error, 0));
    TRY(stream.dequeue_good(1));
    return stream.stop();
}

Checked<> fails_while_streaming(Rig& rig) {
    HeldStream held = TRY(hold_first(rig, {.failing = true}));
    Stream& stream = held.stream;
    TRY(stream.nothing_to_dequeue());
    TRY(fail_fence(held.fence));
    TRY(comes_back_bad(stream, 0));
    TRY(stream.out_fence_failed(0, some_error, 0));
    TRY(stream.dequeue_good(1));
    return stream.stop();
}

/// Good ones, failed ones, a held one: the failed come after all that was queued before them.
Checked<> comes_in_its_place(Rig& rig) {
    if (rig.facts().keeps > 0) {
        return skipped("the driver keeps its last buffers");
    }
    const unsigned bad = rig.facts().needed();
    Stream stream = TRY(Stream::open(rig, {.count = bad + 4}));
    TestFence failing = TRY(rig.failing_fence());
    TestFence holding = TRY(rig.fence());
    for (unsigned index = 0; index < bad; ++index) {
        TRY(stream.queue(index, {.out = true}));
    }
    stream.paint_buffer(bad);
    TRY(stream.queue(bad, {.in = failing.fd.get(), .out = true}));
    TRY(stream.queue(bad + 1, {.in = holding.fd.get(), .out = true}));
    TRY(stream.queue_rest(bad + 2));
    TRY(fail_fence(failing));
    TRY(stream.start());
    for (unsigned index = 0; index < bad; ++index) {
        TRY(stream.dequeue_good(index));
    }
    TRY(comes_back_bad(stream, bad));
    TRY(stream.nothing_to_dequeue());
    TRY(stream.is_held(bad + 1));
    holding.end();
    TRY(stream.dequeue_good(bad + 1));
    return stream.stop();
}

/// All the queue can take in one row.
Checked<> many_in_a_row(Rig& rig) {
    constexpr unsigned wanted = 32;
    const unsigned count = std::min(wanted + 2, rig.facts().buffers_max);
    if (rig.facts().needed() > 1) {
        return skipped("one buffer alone makes no frame here");
    }
    Stream stream = TRY(Stream::open(rig, {.count = count}));
    TestFence holding = TRY(rig.fence());
    std::vector<TestFence> fences;
    TRY(stream.queue(0, {.in = holding.fd.get(), .out = true}));
    for (unsigned index = 1; index + 1 < count; ++index) {
        fences.push_back(TRY(rig.failing_fence()));
        TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
    }
    TestFence last = TRY(rig.fence());
    TRY(stream.queue(count - 1, {.in = last.fd.get(), .out = true}));
    TRY(stream.start());
    for (std::size_t at = fences.size(); at-- > 0;) {
        TRY(fail_fence(fences[at]));
    }
    TRY(stream.nothing_to_dequeue());
    holding.end();
    TRY(stream.dequeue_good(0));
    for (unsigned index = 1; index + 1 < count; ++index) {
        TRY(stream.dequeue_bad(index));
        TRY(stream.out_fence_failed(index, some_error, 0));
    }
    last.end();
    TRY(stream.dequeue_good(count - 1));
    return stream.stop();
}

Checked<> all_fail(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    std::vector<TestFence> fences;
    for (unsigned index = 0; index < stream.count(); ++index) {
        fences.push_back(TRY(rig.failing_fence()));
        TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
    }
    TRY(stream.start());
    for (TestFence& fence : fences) {
        TRY(fail_fence(fence));
    }
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.dequeue_bad(index));
        TRY(stream.out_fence_failed(index, some_error, 0));
    }
    TRY(stream.nothing_to_dequeue());
    TRY(stream.queue_rest(0, true));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

/// The driver holds all else that is queued: it may wait for more, so the failed buffer does not
/// wait for it.
Checked<> alone_comes_at_once(Rig& rig) {
    if (rig.facts().needed() < 2) {
        return skipped("one buffer makes a frame here, so the driver never just waits");
    }
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.failing_fence());
    TRY(stream.queue(0));
    TRY(stream.start());
    TRY(stream.queue(1, {.in = fence.fd.get(), .out = true}));
    TRY(stream.nothing_to_dequeue());
    TRY(fail_fence(fence));
    TRY(stream.dequeue_bad(1));
    TRY(stream.out_fence_failed(1, some_error, 0));
    TRY(stream.queue_rest(1));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> queued_again_is_good(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.start());
    for (unsigned round = 0; round < 4; ++round) {
        TestFence fence = TRY(rig.failing_fence());
        TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
        TRY(fail_fence(fence));
        TRY(stream.dequeue_bad(0));
        TRY(stream.nothing_to_dequeue());
    }
    TRY(stream.queue_rest(0, true));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

/// QUERYBUF of a buffer that failed and waits for DQBUF.
Checked<> failed_reads_as_done(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.failing_fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.start());
    TRY(fail_fence(fence));
    TRY(stream.becomes_readable());
    const BufferView view = TRY(stream.look(0));
    CHECK(view.done() && view.failed() && !view.in_pending() && !view.out_pending(),
          "a failed buffer has flags {:#x}, expected DONE and ERROR, no fence", view.flags);
    TRY(stream.dequeue_bad(0));
    TRY(stream.is_dequeued(0));
    return stream.stop();
}

Checked<> stream_off_forgets_failed(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.failing_fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.start());
    TRY(fail_fence(fence));
    TRY(stream.becomes_readable());
    TRY(stream.stop());
    TRY(stream.is_dequeued(0));
    TRY(answers(stream.try_dequeue(), EINVAL, "DQBUF after STREAMOFF"));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

constexpr Case cases[] = {
    {"failed-fence@before-qbuf-error", "5.1", "#57 #113",
     "A fence that had failed before QBUF returns the buffer with ERROR", fails_before_qbuf},
    {"failed-fence@before-streamon-error", "5.1", "#57 #113",
     "One that fails before STREAMON returns nothing until then", fails_before_streamon},
    {"failed-fence@while-streaming-error", "5.1", "#57 #113", "One that fails later does the same",
     fails_while_streaming},
    {"failed-fence@comes-in-its-place", "5.1", "#30 Q04",
     "A failed buffer comes after those queued before it", comes_in_its_place},
    {"failed-fence@many-in-a-row", "5.1", "#30 #31 #28 #56 #71",
     "32 failed buffers come back in order", many_in_a_row},
    {"failed-fence@all-of-them", "5.1", "#113", "A stream survives the failure of every fence",
     all_fail},
    {"failed-fence@driver-waits-at-once", "5.1", "",
     "It comes at once when the driver waits for more buffers", alone_comes_at_once},
    {"failed-fence@queued-again-good", "5.1", "#113", "The buffer can be used again",
     queued_again_is_good},
    {"failed-fence@query-shows-error", "5.1, 3.3", "", "QUERYBUF shows DONE and ERROR",
     failed_reads_as_done},
    {"failed-fence@streamoff-forgets", "5.1, 5.4", "", "STREAMOFF takes failed buffers back too",
     stream_off_forgets_failed},
};

}  // namespace

std::span<const Case> error_cases() {
    return cases;
}

}  // namespace v4lfence
