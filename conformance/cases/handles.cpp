// SPDX-License-Identifier: MIT
//
// A second handle of the same device in the same process.

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

namespace {

/// QUERYBUF of the stream's buffer through another handle.
Checked<std::uint32_t> flags_through(const Device& other, const Stream& stream, unsigned index) {
    BufferArgument argument;
    stream.name(index, argument);
    TRY(answers_others(other.ioctl(VIDIOC_QUERYBUF, &argument.buffer),
                       "QUERYBUF of a second handle"));
    constexpr std::uint32_t fences = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;
    const int expected = (argument.buffer.flags & fences) != 0 ? -1 : 0;
    CHECK(argument.fence_fd() == expected, "a second handle got fence_fd {}, expected {}",
          argument.fence_fd(), expected);
    return argument.buffer.flags;
}

Checked<> sees_the_overlay(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    const Device other = TRY(rig.open());
    constexpr std::uint32_t held =
        V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE | V4L2_BUF_FLAG_QUEUED;
    std::uint32_t flags = TRY(flags_through(other, stream, 0));
    CHECK((flags & held) == held, "a second handle sees flags {:#x} of a held buffer", flags);
    TRY(rig.choose_provider(other));
    flags = TRY(flags_through(other, stream, 0));
    CHECK((flags & held) == held, "a second fenced handle sees flags {:#x}", flags);
    return stream.is_held(0);
}

int queue_through(const Device& other, const Stream& stream, std::uint32_t flags) {
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.buffer.flags = flags;
    return other.ioctl(VIDIOC_QBUF, &argument.buffer);
}

Checked<> all_busy(const Rig& rig, const Device& other, const Stream& stream) {
    for (const std::uint32_t flags : {0U, unsigned{V4L2_BUF_FLAG_OUT_FENCE}}) {
        TRY(answers(queue_through(other, stream, flags), EBUSY, "QBUF of a second handle"));
    }
    BufferArgument argument;
    stream.name(0, argument);
    TRY(answers(other.ioctl(VIDIOC_DQBUF, &argument.buffer), EBUSY, "DQBUF of a second handle"));
    int type = static_cast<int>(rig.facts().type);
    TRY(answers(other.ioctl(VIDIOC_STREAMOFF, &type), EBUSY, "STREAMOFF of a second handle"));
    v4l2_requestbuffers request{};
    request.type = rig.facts().type;
    request.memory = V4L2_MEMORY_MMAP;
    return answers(other.ioctl(VIDIOC_REQBUFS, &request), EBUSY, "REQBUFS of a second handle");
}

Checked<> calls_are_busy(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    const Device other = TRY(rig.open());
    TRY(rig.choose_provider(other));
    TRY(all_busy(rig, other, stream));
    // What the library opened at the first calls it may keep.
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    TRY(all_busy(rig, other, stream));
    TRY(same_as(before, rig, stream, "the calls of a second handle"));
    fence.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> close_leaves_the_first(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    {
        Device other = TRY(rig.open());
        TRY(rig.choose_provider(other));
        TRY(answers(other.shut(), 0, "close of a second handle"));
    }
    TRY(fence_is_pending(stream.out_fence(0), "an out-fence after a second handle was closed"));
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(stream.is_held(0));
    fence.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> takes_over_after_close(Rig& rig) {
    Device second = TRY(rig.open());
    {
        Stream stream = TRY(Stream::open(rig));
        TestFence fence = TRY(rig.fence());
        TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
        TRY(answers(stream.device().shut(), 0, "close"));
        TRY(stream.out_fence_failed(0, ECANCELED, 0));
    }
    (void)second.shut();
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

/// Until now the first has used no fence: the second is the only one that has.
Checked<> first_fences_after_a_query(Rig& rig, bool streaming) {
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    TRY(stream.queue_rest(1));
    unsigned index = 0;
    if (streaming) {
        TRY(stream.queue(0));
        TRY(stream.start());
        index = TRY(stream.dequeue()).index;
    }
    const Device other = TRY(rig.open());
    v4l2_query_fences fences = rig.query();
    TRY(answers(other.ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES of a second handle"));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(index, {.in = fence.fd.get(), .out = true}));
    TRY(stream.is_held(index));
    TRY(all_busy(rig, other, stream));
    if (!streaming) {
        TRY(stream.start());
    }
    fence.end();
    const Frame frame = TRY(stream.dequeue_until(index));
    CHECK(frame.out.has_value(), "buffer {} came back without its out-fence", index);
    return stream.stop();
}

Checked<> query_takes_nothing(Rig& rig) {
    TRY(first_fences_after_a_query(rig, false));
    return first_fences_after_a_query(rig, true);
}

constexpr Case cases[] = {
    {"second-handle@sees-held-buffers", "6.7", "#39", "Its QUERYBUF shows the fences",
     sees_the_overlay},
    {"second-handle@calls-ebusy", "6.7", "", "Its calls on the queue are refused", calls_are_busy},
    {"second-handle@close-leaves-first", "6.7", "", "Its close ends nothing of the first",
     close_leaves_the_first},
    {"second-handle@query-takes-nothing", "6.7", "",
     "Its query for fences does not make the queue of the first its own", query_takes_nothing},
    {"second-handle@outlives-first", "5.4, 6.7", "", "The first's close ends its own fences",
     takes_over_after_close},
};

}  // namespace

std::span<const Case> handle_cases() {
    return cases;
}

}  // namespace v4lfence
