// SPDX-License-Identifier: MIT
//
// Descriptors: none to be had, none left behind, none in the way.

#include <set>
#include <string>

#include "conformance/cases/cases.hpp"
#include "conformance/few_descriptors.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

namespace {

constexpr unsigned tries_max = 40;

/// QBUF with a growing number of free descriptors, until it succeeds.
Checked<> queue_at_each_limit(Rig& rig, Stream& stream, unsigned index, const Fences& fences) {
    for (unsigned free = 0; free < tries_max; ++free) {
        const StreamSnapshot before = TRY(snapshot(rig, stream));
        int status = 0;
        {
            const FewDescriptors limit(free);
            status = stream.try_queue(index, fences);
        }
        if (status == 0) {
            return fences.out ? fence_is_pending(stream.out_fence(index), "its out-fence")
                              : Checked<>();
        }
        const std::string what = fmt::format("QBUF with {} free descriptors", free);
        TRY(answers(status, EMFILE, what));
        TRY(same_as(before, rig, stream, what));
    }
    return failed(fmt::format("QBUF fails even with {} free descriptors", tries_max));
}

Checked<> emfile_at_each(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    // What the library keeps for the file it may open now.
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(queue_at_each_limit(rig, stream, 1, {.out = true}));
    TRY(queue_at_each_limit(rig, stream, 2, {.in = fence.fd.get()}));
    TRY(queue_at_each_limit(rig, stream, 3, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue_rest(4));
    TRY(stream.start());
    TRY(stream.is_held(2));
    fence.end();
    for (unsigned frame = 0; frame < 3 * stream.count(); ++frame) {
        const unsigned index = TRY(stream.dequeue_good(frame % stream.count())).index;
        TRY(stream.queue(index, {.out = true}));
    }
    return stream.stop();
}

/// Everything that the first fence of a file opens; `chosen`: but for its provider.
Checked<> first_use_at_each_limit(Rig& rig, bool chosen) {
    TestFence fence = TRY(rig.fence());
    for (unsigned free = 0; free < tries_max; ++free) {
        Stream stream = TRY(Stream::open(rig, {.fenced = false}));
        if (chosen) {
            TRY(rig.choose_provider(stream.device()));
        }
        const StreamSnapshot before = TRY(snapshot(rig, stream));
        int status = 0;
        {
            const FewDescriptors limit(free);
            if (!chosen && !rig.choose_provider(stream.device())) {
                status = -EMFILE;
            } else {
                status = stream.try_queue(0, {.in = fence.fd.get(), .out = true});
            }
        }
        if (status == 0) {
            TRY(stream.queue_rest(1));
            TRY(stream.start());
            TRY(stream.is_held(0));
            fence.end();
            TRY(stream.dequeue_good(0));
            return stream.stop();
        }
        const std::string what = fmt::format("the first QBUF with {} free descriptors", free);
        TRY(answers(status, EMFILE, what));
        if (chosen) {
            TRY(same_as(before, rig, stream, what));
        }
        const StreamSnapshot after = TRY(snapshot(rig, stream));
        CHECK(after.flags == before.flags, "a refused first QBUF changed the state of a buffer");
        TRY(stream.queue(1));
    }
    return failed(fmt::format("the first QBUF fails even with {} free descriptors", tries_max));
}

Checked<> emfile_at_first_use(Rig& rig) {
    TRY(first_use_at_each_limit(rig, false));
    return first_use_at_each_limit(rig, true);
}

Checked<> emfile_while_streaming(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    for (unsigned frame = 0; frame < 5; ++frame) {
        const Frame came = TRY(stream.dequeue_good(frame % stream.count()));
        int refused = 0;
        {
            const FewDescriptors limit(0);
            refused = stream.try_queue(came.index, {.out = true});
        }
        if (refused != 0) {
            TRY(answers(refused, EMFILE, "QBUF without a free descriptor"));
            TRY(stream.is_dequeued(came.index));
            TRY(stream.queue(came.index, {.out = true}));
        }
    }
    return stream.stop();
}

Checked<> ours_are_out_of_the_way(Rig& rig) {
    const std::set<int> before = descriptor_numbers();
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    std::set<int> known = descriptor_numbers();
    std::set<int> programs{stream.device().fd(), fence.fd.get()};
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue(1, {.out = true}));
    programs.insert(stream.out_fence(0));
    programs.insert(stream.out_fence(1));
    TRY(stream.start());
    constexpr int low_max = 256;
    for (const int fd : descriptor_numbers()) {
        // What the case's own fences took is there before the first QBUF.
        const bool ours = !before.contains(fd) && !programs.contains(fd) && !known.contains(fd);
        const auto cloexec = is_close_on_exec(fd);
        if (!ours || !cloexec) {
            continue;  // The listing's own is closed by now.
        }
        CHECK(*cloexec, "descriptor {} of the library is not close-on-exec", fd);
        CHECK(fd >= low_max, "descriptor {} of the library is among the program's", fd);
    }
    CHECK(TRY(is_close_on_exec(stream.out_fence(0))), "an out-fence is not close-on-exec");
    fence.end();
    return stream.stop();
}

/// Streaming for a while leaves as many descriptors as there are fences in the program's hands.
Checked<> none_grow(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    std::size_t most = 0;
    for (unsigned frame = 0; frame < 60; ++frame) {
        const unsigned index = TRY(stream.dequeue_good(frame % stream.count())).index;
        TestFence fence = TRY(rig.failing_fence());
        TRY(stream.queue(index, {.in = fence.fd.get(), .out = true}));
        fence.end();
        if (frame == 2 * stream.count()) {
            most = open_descriptors();
        }
    }
    // A promise, an in-fence and an out-fence may be open for each buffer, more or less by one.
    const std::size_t slack = 3 * stream.count();
    CHECK(open_descriptors() <= most + slack, "{} descriptors are open, {} were 40 frames ago",
          open_descriptors(), most);
    return stream.stop();
}

constexpr Case cases[] = {
    {"descriptors@emfile-at-each", "2, 2.1, 2.3", "#20 #66 #78 #90 #95",
     "QBUF without a free descriptor fails with EMFILE and changes nothing, wherever it hits",
     emfile_at_each},
    {"descriptors@emfile-at-first-use", "2, 2.1", "#66 #78",
     "So does the first fence of a file, and the file goes on", emfile_at_first_use},
    {"descriptors@emfile-while-streaming", "2.1, 2.3", "#66", "And while frames come",
     emfile_while_streaming},
    {"descriptors@ours-out-of-the-way", "7.5", "", "The library's own are high and close-on-exec",
     ours_are_out_of_the_way},
    {"descriptors@none-grow", "2.1, 4.8", "#78 #112 #116", "Streaming leaves none behind",
     none_grow},
};

}  // namespace

std::span<const Case> descriptor_cases() {
    return cases;
}

}  // namespace v4lfence
