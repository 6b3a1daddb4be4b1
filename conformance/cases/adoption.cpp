// SPDX-License-Identifier: MIT
//
// Streams that begin without fences: what the library learns of them at the first fence.

#include <deque>
#include <optional>

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

namespace {

/// The indices as they were queued, the oldest first.
using QueueOrder = std::deque<unsigned>;

Checked<unsigned> dequeue_oldest(Stream& stream, QueueOrder& queued) {
    const unsigned index = TRY(stream.dequeue_good(queued.front())).index;
    queued.pop_front();
    return index;
}

Checked<> queue_newest(Stream& stream, QueueOrder& queued, unsigned index, const Fences& fences) {
    TRY(stream.queue(index, fences));
    queued.push_back(index);
    return {};
}

/// Streams without fences until the oldest buffer is one in the middle.
Checked<QueueOrder> rotate(Stream& stream) {
    QueueOrder queued;
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(queue_newest(stream, queued, index, {}));
    }
    TRY(stream.start());
    const unsigned frames = stream.count() + stream.count() / 2;
    for (unsigned frame = 0; frame < frames; ++frame) {
        const unsigned index = TRY(dequeue_oldest(stream, queued));
        TRY(queue_newest(stream, queued, index, {}));
    }
    return queued;
}

Checked<> says_ordered(const Rig& rig, Stream& stream, std::string_view when) {
    v4l2_query_fences fences = rig.query();
    TRY(answers(stream.device().ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
    CHECK((fences.features & V4L2_FENCES_ORDERED) != 0, "{} the queue is no longer ordered", when);
    return {};
}

/// Whoever's out-fence has ended, those before it had ended by then: they are looked at later.
Checked<> none_overtakes(const Stream& stream, const QueueOrder& queued) {
    std::optional<unsigned> ended;
    for (auto index = queued.rbegin(); index != queued.rend(); ++index) {
        const int fence = stream.out_fence(*index);
        if (fence < 0) {
            continue;
        }
        const bool has_ended = TRY(fence_status(fence)).ended();
        CHECK(has_ended || !ended, "the out-fence of buffer {} has ended before that of {}", *ended,
              *index);
        if (has_ended) {
            ended = *index;
        }
    }
    return {};
}

enum class FirstUse : std::uint8_t { Qbuf, Query };

Checked<> stays_ordered_after(Rig& rig, FirstUse first_use) {
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    QueueOrder queued = TRY(rotate(stream));
    if (first_use == FirstUse::Query) {
        TRY(says_ordered(rig, stream, "at the first query"));
    }
    TestFence fence = TRY(rig.fence());
    const unsigned first = TRY(dequeue_oldest(stream, queued));
    TRY(queue_newest(stream, queued, first, {.in = fence.fd.get(), .out = true}));
    TRY(stream.is_held(first));
    TRY(says_ordered(rig, stream, "after the first QBUF with a fence"));
    fence.end();
    const unsigned frames = 3 * stream.count();
    for (unsigned frame = 0; frame < frames; ++frame) {
        const unsigned index = TRY(dequeue_oldest(stream, queued));
        TRY(says_ordered(rig, stream, "after a DQBUF"));
        TRY(none_overtakes(stream, queued));
        TRY(queue_newest(stream, queued, index, {.out = true}));
    }
    const unsigned last_due = queued[queued.size() - rig.facts().keeps - 1];
    TRY(eventually(
        [&]() -> Checked<bool> {
            TRY(none_overtakes(stream, queued));
            return TRY(fence_status(stream.out_fence(last_due))).ended();
        },
        "the last out-fence"));
    return stream.stop();
}

Checked<> stays_ordered(Rig& rig) {
    if (!rig.facts().ordered()) {
        return skipped("the queue is not ordered");
    }
    TRY(stays_ordered_after(rig, FirstUse::Qbuf));
    return stays_ordered_after(rig, FirstUse::Query);
}

Checked<> is_the_devices(const Stream& stream, unsigned index) {
    const BufferView view = TRY(stream.look(index));
    CHECK((view.queued() || view.done()) && !view.in_pending() && !view.out_pending(),
          "buffer {} has flags {:#x}, expected QUEUED or DONE without fences", index, view.flags);
    return {};
}

/// A buffer that was queued before the first fence stays as it is, whoever wants to queue it again.
Checked<> is_not_queued_again(Stream& stream, unsigned index) {
    TRY(is_the_devices(stream, index));
    for (const bool out : {true, false}) {
        TRY(answers(stream.try_queue(index, {.out = out}), EINVAL,
                    "QBUF of a buffer that the kernel owns"));
    }
    return is_the_devices(stream, index);
}

Checked<> buffers_known(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    const unsigned held = TRY(stream.dequeue()).index;
    const unsigned behind = TRY(stream.dequeue()).index;
    TestFence fence = TRY(rig.fence());
    // The very first call with a fence may be one that has to fail.
    for (unsigned index = 0; index < stream.count(); ++index) {
        if (index != held && index != behind) {
            TRY(is_not_queued_again(stream, index));
        }
    }
    TRY(stream.queue(held, {.in = fence.fd.get(), .out = true}));
    TRY(stream.is_held(held));
    TRY(stream.is_dequeued(behind));
    for (unsigned index = 0; index < stream.count(); ++index) {
        if (index != held && index != behind) {
            TRY(is_not_queued_again(stream, index));
        }
    }
    TRY(answers(stream.try_queue(held, {.out = true}), EINVAL, "QBUF of a held buffer"));
    TRY(stream.queue(behind, {.out = true}));
    TRY(stream.is_queued(behind));
    fence.end();
    TRY(stream.dequeue_until(held));
    TRY(stream.dequeue_until(behind));
    return stream.stop();
}

Checked<> known_before_streamon(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    const unsigned last = stream.count() - 1;
    for (unsigned index = 0; index < last; ++index) {
        TRY(stream.queue(index));
    }
    TRY(stream.queue(last, {.out = true}));
    for (unsigned index = 0; index < last; ++index) {
        TRY(is_not_queued_again(stream, index));
    }
    TRY(fence_is_pending(stream.out_fence(last), "an out-fence before STREAMON"));
    TRY(stream.start());
    TRY(stream.dequeue_until(last));
    return stream.stop();
}

constexpr Case cases[] = {
    {"adopted-stream@stays-ordered", "1.5, 4.7, 6.1", "",
     "The first fence of a running stream changes nothing of its order", stays_ordered},
    {"adopted-stream@buffers-known", "2, 6.1", "",
     "The library knows which buffers the kernel owns when the first fence comes", buffers_known},
    {"adopted-stream@known-before-streamon", "2, 6.1", "", "Also when the stream has not started",
     known_before_streamon},
};

}  // namespace

std::span<const Case> adoption_cases() {
    return cases;
}

}  // namespace v4lfence
