// SPDX-License-Identifier: MIT
//
// The driver's minimum: what counts toward it, and who starts the stream.

#include <linux/videodev2.h>

#include <vector>

#include "conformance/cases/cases.hpp"
#include "conformance/faults.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

namespace {

/// So many more frames than the minimum can come that the driver keeps its share.
Checked<Stream> open_for(Rig& rig) {
    return Stream::open(rig, {.count = 2 * rig.facts().needed() + 3});
}

Checked<> one_fewer_than_needed(Rig& rig) {
    if (rig.facts().needed() < 2) {
        return skipped("the driver's minimum is 1");
    }
    return {};
}

Checked<> below_minimum_nothing(Rig& rig) {
    TRY(one_fewer_than_needed(rig));
    Stream stream = TRY(open_for(rig));
    const unsigned needed = rig.facts().needed();
    for (unsigned index = 0; index + 1 < needed; ++index) {
        TRY(stream.queue(index, {.out = true}));
    }
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    TRY(fence_is_pending(stream.out_fence(0), "an out-fence below the minimum"));
    TRY(stream.queue(needed - 1, {.out = true}));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> held_do_not_count(Rig& rig) {
    Stream stream = TRY(open_for(rig));
    const unsigned needed = rig.facts().needed();
    std::vector<TestFence> fences;
    for (unsigned index = 0; index + 1 < needed; ++index) {
        TRY(stream.queue(index, {.out = true}));
    }
    for (unsigned index = needed - 1; index < stream.count(); ++index) {
        fences.push_back(TRY(rig.fence()));
        TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
    }
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    TRY(stream.is_held(needed - 1));
    fences[0].end();
    TRY(stream.dequeue_good(0));
    for (TestFence& fence : fences) {
        fence.end();
    }
    return stream.stop();
}

/// STREAMON first, then as many held buffers as it takes: the end of the last fence starts.
Checked<> fence_end_starts(Rig& rig) {
    Stream stream = TRY(open_for(rig));
    const unsigned needed = rig.facts().needed();
    TRY(stream.start());
    std::vector<TestFence> fences;
    for (unsigned index = 0; index < needed; ++index) {
        fences.push_back(TRY(rig.fence()));
        TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
    }
    TRY(stream.nothing_to_dequeue());
    for (std::size_t at = fences.size(); at-- > 1;) {
        fences[at].end();
    }
    TRY(stream.nothing_to_dequeue());
    fences[0].end();
    for (unsigned index = 0; index < needed - rig.facts().keeps; ++index) {
        TRY(stream.dequeue_good(index));
    }
    return stream.stop();
}

Checked<> failed_do_not_count(Rig& rig) {
    TRY(one_fewer_than_needed(rig));
    Stream stream = TRY(open_for(rig));
    const unsigned needed = rig.facts().needed();
    std::vector<TestFence> fences;
    for (unsigned index = 0; index < needed; ++index) {
        fences.push_back(TRY(rig.failing_fence()));
        TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
        fences.back().end(-EPROTO);
    }
    TRY(stream.start());
    for (unsigned index = 0; index < needed; ++index) {
        TRY(stream.dequeue_bad(index));
    }
    TRY(stream.nothing_to_dequeue());
    for (unsigned index = 0; index + 1 < needed; ++index) {
        TRY(stream.queue(index, {.out = true}));
    }
    TRY(stream.nothing_to_dequeue());
    TRY(stream.queue(needed - 1, {.out = true}));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> exactly_enough_streams(Rig& rig) {
    Stream stream = TRY(open_for(rig));
    const unsigned needed = rig.facts().needed();
    TestFence fence = TRY(rig.fence());
    for (unsigned index = 0; index < needed; ++index) {
        const bool last = index + 1 == needed;
        TRY(stream.queue(index,
                         {.in = last ? std::optional(fence.fd.get()) : std::nullopt, .out = true}));
    }
    TRY(stream.start());
    fence.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> failed_start_told_by_streamon(Rig& rig) {
    Stream stream = TRY(open_for(rig));
    TRY(stream.queue_rest(0, true));
    TRY(inject(stream.device(), Fault::StartStream));
    int type = static_cast<int>(rig.facts().type);
    CHECK(stream.device().ioctl(VIDIOC_STREAMON, &type) < 0, "STREAMON hid a start that failed");
    TRY(stream.is_queued(0));
    TRY(fence_is_pending(stream.out_fence(0), "an out-fence after a start that failed"));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> failed_start_told_by_qbuf(Rig& rig) {
    TRY(one_fewer_than_needed(rig));
    Stream stream = TRY(open_for(rig));
    const unsigned last = rig.facts().needed() - 1;
    for (unsigned index = 0; index < last; ++index) {
        TRY(stream.queue(index, {.out = true}));
    }
    TRY(stream.start());
    TRY(inject(stream.device(), Fault::StartStream));
    CHECK(stream.try_queue(last, {.out = true}) < 0, "QBUF hid a start that failed");
    TRY(stream.is_dequeued(last));
    TRY(stream.is_queued(0));
    TRY(fence_is_pending(stream.out_fence(0), "an out-fence after a start that failed"));
    TRY(stream.queue(last, {.out = true}));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> failed_start_fails_queue(Rig& rig) {
    TRY(one_fewer_than_needed(rig));
    Stream stream = TRY(open_for(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    for (unsigned index = 1; index < rig.facts().needed(); ++index) {
        TRY(stream.queue(index, {.out = true}));
    }
    TRY(stream.start());
    TRY(inject(stream.device(), Fault::StartStream));
    fence.end();
    const FenceStatus status = TRY(fence_ends(stream.out_fence(0), "an out-fence"));
    CHECK(!rig.facts().errors() || status.error == -EIO,
          "the out-fence of a queue that failed says {}, expected EIO", errno_name(status.error));
    TRY(answers(stream.try_dequeue(), EIO, "DQBUF of a queue that failed"));
    TRY(answers(stream.try_queue(rig.facts().needed()), EIO, "QBUF to a queue that failed"));
    TRY(stream.stop());
    TRY(stream.is_dequeued(0));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

constexpr Case cases[] = {
    {"minimum@below-nothing-comes", "4.3", "#9 #13", "Below the driver's minimum nothing starts",
     below_minimum_nothing},
    {"minimum@held-do-not-count", "4.3", "#15", "Held buffers do not count toward it",
     held_do_not_count},
    {"minimum@fence-end-starts", "4.3", "#18 #64", "The end of a fence starts the stream",
     fence_end_starts},
    {"minimum@failed-do-not-count", "5.1", "#113", "Failed buffers do not count toward it",
     failed_do_not_count},
    {"minimum@exactly-enough", "4.3", "#9 #64", "As many as it takes are enough",
     exactly_enough_streams},
    {"start@fails-in-streamon-told", "4.5", "#32 #72",
     "STREAMON tells of a start that fails, and may be tried again", failed_start_told_by_streamon},
    {"start@fails-in-qbuf-told", "4.5", "#32", "So does the QBUF that was the last it took",
     failed_start_told_by_qbuf},
    {"start@fails-at-fence-end-fails-queue", "4.5", "#72",
     "With nobody to tell the queue fails: EIO, every fence ends, STREAMOFF mends it",
     failed_start_fails_queue},
};

}  // namespace

std::span<const Case> minimum_cases() {
    return cases;
}

}  // namespace v4lfence
