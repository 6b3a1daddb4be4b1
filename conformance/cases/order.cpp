// SPDX-License-Identifier: MIT
//
// Buffers are given in the order of QBUF, whatever order their fences end in.

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

namespace {

/// The frames come in the order of `indices`, with sequence numbers that never fall
/// (vivid gives two frames the same when it is late).
Checked<> come_in_order(Stream& stream, std::span<const unsigned> indices) {
    std::int64_t last = -1;
    for (const unsigned index : indices) {
        const Frame frame = TRY(stream.dequeue_good(index));
        CHECK(std::int64_t{frame.sequence} >= last, "buffer {} has sequence {} after {}", index,
              frame.sequence, last);
        last = frame.sequence;
    }
    return {};
}

constexpr std::array<unsigned, 4> first_four{0, 1, 2, 3};

Checked<> any_end_order(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    std::array<unsigned, 4> order = first_four;
    do {
        std::vector<TestFence> fences;
        for (const unsigned index : first_four) {
            fences.push_back(TRY(rig.fence()));
            TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
        }
        TRY(stream.queue_rest(first_four.size()));
        TRY(stream.start());
        for (const unsigned index : order) {
            fences[index].end();
        }
        TRY(come_in_order(stream, first_four));
        TRY(stream.stop());
    } while (std::next_permutation(order.begin(), order.end()));
    return {};
}

Checked<> end_order_while_streaming(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.start());
    for (unsigned round = 0; round < 8; ++round) {
        std::vector<TestFence> fences;
        for (const unsigned index : first_four) {
            fences.push_back(TRY(rig.fence()));
            TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
        }
        std::mt19937 random(round);
        std::shuffle(fences.begin() + 1, fences.end(), random);
        for (std::size_t at = fences.size(); at-- > 1;) {
            fences[at].end();
        }
        TRY(stream.nothing_to_dequeue());
        fences[0].end();
        if (rig.facts().needed() > 1) {
            TRY(stream.queue_rest(first_four.size()));
            TRY(come_in_order(stream, first_four));
            TRY(stream.stop());
            TRY(stream.start());
        } else {
            TRY(come_in_order(stream, first_four));
        }
    }
    return stream.stop();
}

Checked<> unfenced_waits_behind_held(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get()}));
    stream.paint_buffer(1);
    TRY(stream.queue_rest(1, true));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    TRY(stream.is_held(0));
    TRY(stream.is_queued(1));
    CHECK(stream.changed_bytes(1) == 0, "the unfenced buffer behind a held one was written");
    fence.end();
    constexpr std::array<unsigned, 2> both{0, 1};
    TRY(come_in_order(stream, both));
    return stream.stop();
}

Checked<> prefix_passes(Rig& rig) {
    const unsigned needed = rig.facts().needed();
    Stream stream = TRY(Stream::open(rig, {.count = 2 * needed + 2}));
    TestFence fence = TRY(rig.fence());
    for (unsigned index = 0; index < needed; ++index) {
        TRY(stream.queue(index, {.out = true}));
    }
    TRY(stream.queue(needed, {.in = fence.fd.get(), .out = true}));
    stream.paint_buffer(needed + 1);
    TRY(stream.queue_rest(needed + 1));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    for (unsigned index = 1; index < needed - rig.facts().keeps; ++index) {
        TRY(stream.dequeue_good(index));
    }
    TRY(stream.nothing_to_dequeue());
    TRY(stream.is_held(needed));
    TRY(stream.is_queued(needed + 1));
    CHECK(stream.changed_bytes(needed + 1) == 0, "a buffer behind a held one was written");
    fence.end();
    for (unsigned index = needed - rig.facts().keeps; index <= needed; ++index) {
        TRY(stream.dequeue_good(index));
    }
    return stream.stop();
}

/// Later fences have ended already: the end of the first gives all, without another QBUF.
Checked<> first_end_gives_all(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence first = TRY(rig.fence());
    TestFence second = TRY(rig.fence());
    TRY(stream.queue(0, {.in = first.fd.get()}));
    TRY(stream.queue(1, {.in = second.fd.get()}));
    TRY(stream.queue_rest(2));
    TRY(stream.start());
    second.end();
    TRY(stream.nothing_to_dequeue());
    first.end();
    const unsigned due = stream.count() - rig.facts().keeps;
    std::vector<unsigned> all(due);
    for (unsigned index = 0; index < due; ++index) {
        all[index] = index;
    }
    TRY(come_in_order(stream, all));
    return stream.stop();
}

Checked<> each_given_once(Rig& rig) {
    if (rig.facts().keeps > 0) {
        return skipped("the driver keeps its last buffers");
    }
    Stream stream = TRY(Stream::open(rig));
    std::vector<TestFence> fences;
    for (unsigned index = 0; index < stream.count(); ++index) {
        fences.push_back(TRY(rig.fence()));
        TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
        if (index + 1 == rig.facts().start_minimum) {
            TRY(stream.start());
        }
    }
    for (TestFence& fence : fences) {
        fence.end();
    }
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.dequeue_good(index));
    }
    TRY(stream.nothing_to_dequeue());
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.is_dequeued(index));
    }
    return stream.stop();
}

/// In-fences, out-fences, both or none, by chance; fences end by chance, the oldest at the latest
/// when a frame is due.
Checked<> any_mix_runs(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    std::mt19937 random(20171115);
    std::vector<TestFence> pending;
    const auto queue_any = [&](unsigned index) -> Checked<> {
        const auto dice = random();
        Fences fences{.out = (dice & 1) != 0};
        if ((dice & 2) != 0) {
            pending.push_back(TRY(rig.fence()));
            fences.in = pending.back().fd.get();
        }
        return stream.queue(index, fences);
    };
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(queue_any(index));
    }
    TRY(stream.start());
    std::int64_t last = -1;
    for (unsigned frame = 0; frame < 60; ++frame) {
        std::shuffle(pending.begin(), pending.end(), random);
        for (TestFence& fence : pending) {
            fence.end();
        }
        pending.clear();
        const Frame came = TRY(stream.dequeue_good(frame % stream.count()));
        CHECK(std::int64_t{came.sequence} >= last, "sequence {} after {}", came.sequence, last);
        last = came.sequence;
        TRY(queue_any(came.index));
    }
    return stream.stop();
}

constexpr Case cases[] = {
    {"order@fences-end-in-any-order", "4.1, 4.2", "#16 #17 #83 #108 Q02",
     "All 24 orders of four fences give frames in the order of QBUF", any_end_order},
    {"order@reversed-while-streaming", "4.1, 4.3", "#16 #75",
     "Nothing passes a held buffer while the stream runs", end_order_while_streaming},
    {"order@unfenced-waits-behind-held", "1.1, 4.2", "#14 #15 #53 Q03",
     "A later buffer without a fence waits too", unfenced_waits_behind_held},
    {"order@ready-prefix-passes", "4.2, 4.3", "#15 #75 #121",
     "What is before a held buffer is given, what is behind it is not", prefix_passes},
    {"order@one-end-gives-all-ready", "4.3", "#75",
     "The end of the first fence gives every ready buffer behind it", first_end_gives_all},
    {"order@each-given-once", "4.1", "#9 #99", "Each buffer comes back once", each_given_once},
    {"order@any-mix", "1.1", "#14 #53 #109", "Fenced and unfenced QBUFs mix at will", any_mix_runs},
};

}  // namespace

std::span<const Case> order_cases() {
    return cases;
}

}  // namespace v4lfence
