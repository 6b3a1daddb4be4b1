// SPDX-License-Identifier: MIT
//
// The end of a stream: STREAMOFF, REQBUFS and close with fences pending.

#include <vector>

#include "conformance/bounded.hpp"
#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

namespace {

Checked<> held_is_cancelled(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    stream.paint_buffer(0);
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue_rest(1, true));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    TRY(stream.stop());
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.out_fence_failed(index, ECANCELED, 0));
        TRY(stream.is_dequeued(index));
    }
    TRY(answers(stream.try_dequeue(), EINVAL, "DQBUF after STREAMOFF"));
    fence.end();
    pause_ms(settle_ms);
    TRY(stream.is_dequeued(0));
    CHECK(stream.changed_bytes(0) == 0, "a cancelled buffer was written after its fence ended");
    return {};
}

/// Buffers of the device: finished ones end well, the others do not, and nothing stays pending.
Checked<> given_ends(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.becomes_done(0));
    TRY(stream.stop());
    const FenceStatus first = TRY(fence_status(stream.out_fence(0)));
    CHECK(first.state == FenceState::Signaled, "the out-fence of a finished buffer says {}",
          first.ended() ? errno_name(first.error) : "pending");
    for (unsigned index = 1; index < stream.count(); ++index) {
        const FenceStatus status = TRY(fence_status(stream.out_fence(index)));
        CHECK(status.ended(), "out-fence {} is pending after STREAMOFF", index);
        CHECK(status.state == FenceState::Signaled || status.error == -ECANCELED,
              "out-fence {} says {} after STREAMOFF, expected ECANCELED", index,
              errno_name(status.error));
    }
    return {};
}

Checked<> before_start_is_cancelled(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.out = true}));
    TRY(stream.queue(1, {.in = fence.fd.get(), .out = true}));
    TRY(stream.stop());
    for (unsigned index = 0; index < 2; ++index) {
        TRY(stream.out_fence_failed(index, ECANCELED, 0));
        TRY(stream.is_dequeued(index));
    }
    return {};
}

Checked<> next_stream_is_whole(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    for (unsigned round = 0; round < 5; ++round) {
        TestFence stale = TRY(rig.fence());
        TestFence fence = TRY(rig.fence());
        TRY(stream.queue(0, {.in = stale.fd.get(), .out = true}));
        TRY(stream.start());
        TRY(stream.stop());
        TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
        TRY(stream.queue_rest(1, true));
        TRY(stream.start());
        stale.end();
        TRY(stream.nothing_to_dequeue());
        TRY(stream.is_held(0));
        fence.end();
        const Frame frame = TRY(stream.dequeue_good(0));
        CHECK(frame.index == 0, "buffer {} came", frame.index);
        TRY(stream.stop());
    }
    return {};
}

Checked<> close_ends_all(Rig& rig) {
    std::vector<UniqueFd> outs;
    TestFence fence = TRY(rig.fence());
    {
        Stream stream = TRY(Stream::open(rig));
        for (unsigned index = 0; index < stream.count(); ++index) {
            Fences fences{.out = true};
            if (index > rig.facts().needed()) {
                fences.in = fence.fd.get();
            }
            TRY(stream.queue(index, fences));
            outs.push_back(stream.take_out_fence(index));
        }
        TRY(stream.start());
        TRY(answers(stream.device().shut(), 0, "close"));
        for (const UniqueFd& out : outs) {
            const FenceStatus status = TRY(fence_status(out.get()));
            CHECK(status.ended(), "an out-fence is pending after close");
        }
    }
    const FenceStatus last = TRY(fence_status(outs.back().get()));
    CHECK(!rig.facts().errors() || last.error == -ECANCELED,
          "the out-fence of a held buffer says {} after close, expected ECANCELED",
          errno_name(last.error));
    fence.end();
    Stream again = TRY(Stream::open(rig));
    TRY(again.queue_rest(0, true));
    TRY(again.start());
    TRY(again.dequeue_good(0));
    return again.stop();
}

Checked<> reqbufs_ends_all(Rig& rig) {
    for (const unsigned count : {0U, rig.facts().needed() + 4}) {
        Stream stream = TRY(Stream::open(rig));
        TestFence fence = TRY(rig.fence());
        TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
        TRY(stream.queue(1, {.out = true}));
        const UniqueFd held = stream.take_out_fence(0);
        const UniqueFd behind = stream.take_out_fence(1);
        TRY(stream.request(count));
        for (const int fd : {held.get(), behind.get()}) {
            const FenceStatus status = TRY(fence_status(fd));
            CHECK(status.ended(), "an out-fence is pending after REQBUFS({})", count);
            CHECK(!rig.facts().errors() || status.error == -ECANCELED,
                  "an out-fence says {} after REQBUFS({}), expected ECANCELED",
                  errno_name(status.error), count);
        }
        fence.end();
        if (count > 0) {
            TRY(stream.queue_rest(0, true));
            TRY(stream.start());
            TRY(stream.dequeue_good(0));
            TRY(stream.stop());
        }
    }
    return {};
}

/// STREAMOFF and the end of an in-fence at the same moment, many times.
Checked<> races_fence_end(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    constexpr unsigned rounds = 60;
    for (unsigned round = 0; round < rounds; ++round) {
        TestFence fence = TRY(rig.fence());
        TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
        TRY(stream.queue_rest(1, true));
        TRY(stream.start());
        BoundedThread ender([&fence]() -> Checked<> {
            fence.end();
            return {};
        });
        for (unsigned spin = 0; spin < round * 50; ++spin) {
            (void)ender.done();
        }
        TRY(stream.stop());
        TRY(ender.finish("the end of a fence"));
        for (unsigned index = 0; index < stream.count(); ++index) {
            CHECK(TRY(fence_status(stream.out_fence(index))).ended(),
                  "out-fence {} is pending after STREAMOFF in round {}", index, round);
            TRY(stream.is_dequeued(index));
        }
    }
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> close_races_fence_end(Rig& rig) {
    for (unsigned round = 0; round < 20; ++round) {
        TestFence fence = TRY(rig.fence());
        UniqueFd out;
        {
            Stream stream = TRY(Stream::open(rig));
            TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
            out = stream.take_out_fence(0);
            TRY(stream.queue_rest(1));
            TRY(stream.start());
            BoundedThread ender([&fence]() -> Checked<> {
                fence.end();
                return {};
            });
            TRY(answers(stream.device().shut(), 0, "close"));
            TRY(ender.finish("the end of a fence"));
        }
        CHECK(TRY(fence_status(out.get())).ended(), "an out-fence is pending after close");
    }
    return {};
}

Checked<> finished_and_not_fetched(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(fence_ends(stream.out_fence(0), "the first out-fence"));
    TRY(stream.stop());
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.is_dequeued(index));
    }
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

constexpr Case cases[] = {
    {"streamoff@held-cancelled", "5.4", "#73 #76 #93 #110 Q10",
     "Held buffers are never given, and their out-fences end with ECANCELED", held_is_cancelled},
    {"streamoff@given-end", "5.4", "#110 #123",
     "What the driver finished ends well, the rest with ECANCELED", given_ends},
    {"streamoff@never-started", "5.4", "#110", "Also before STREAMON", before_start_is_cancelled},
    {"streamoff@next-stream-whole", "5.4", "#6 #76",
     "A fence of the last stream does nothing in the next", next_stream_is_whole},
    {"streamoff@finished-not-fetched", "5.4", "", "Frames nobody fetched are gone, as in vb2",
     finished_and_not_fetched},
    {"streamoff@races-fence-end", "5.4, 4.4", "#6 #73 #97 #111",
     "STREAMOFF while a fence ends on another thread", races_fence_end},
    {"close@ends-every-fence", "5.4", "#76 #93", "close ends what is pending", close_ends_all},
    {"close@races-fence-end", "5.4", "#6 #76", "close while a fence ends on another thread",
     close_races_fence_end},
    {"reqbufs@ends-every-fence", "5.4, 6.7", "Q11", "REQBUFS of any count ends what is pending",
     reqbufs_ends_all},
};

}  // namespace

std::span<const Case> stream_off_cases() {
    return cases;
}

}  // namespace v4lfence
