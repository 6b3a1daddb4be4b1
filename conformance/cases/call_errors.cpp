// SPDX-License-Identifier: MIT
//
// Wrong arguments and states of the buffer ioctls on a fenced file: the errno of stock vb2, and
// nothing changed.

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

namespace {

constexpr std::uint32_t both_fences = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;

/// Each change to a good QBUF with both fences, and what it must answer.
struct WrongArgument {
    std::string_view what;
    int error;
    void (*change)(v4l2_buffer& buffer);
};

constexpr WrongArgument wrong_arguments[] = {
    {"index 4095", EINVAL, [](v4l2_buffer& buffer) { buffer.index = 4095; }},
    {"index 0xffffffff", EINVAL, [](v4l2_buffer& buffer) { buffer.index = 0xffffffff; }},
    {"type 0", EINVAL, [](v4l2_buffer& buffer) { buffer.type = 0; }},
    {"type 4711", EINVAL, [](v4l2_buffer& buffer) { buffer.type = 4711; }},
    {"the type of an output", EINVAL,
     [](v4l2_buffer& buffer) { buffer.type = V4L2_BUF_TYPE_VIDEO_OUTPUT; }},
    {"the wrong memory type", EINVAL,
     [](v4l2_buffer& buffer) { buffer.memory = V4L2_MEMORY_USERPTR; }},
    {"memory type 0", EINVAL, [](v4l2_buffer& buffer) { buffer.memory = 0; }},
    {"memory type 99", EINVAL, [](v4l2_buffer& buffer) { buffer.memory = 99; }},
};

constexpr WrongArgument wrong_planes[] = {
    {"no planes", EFAULT, [](v4l2_buffer& buffer) { buffer.m.planes = nullptr; }},
    {"no planes of length 0", EINVAL,
     [](v4l2_buffer& buffer) {
         buffer.m.planes = nullptr;
         buffer.length = 0;
     }},
    {"length 0", EINVAL, [](v4l2_buffer& buffer) { buffer.length = 0; }},
    {"length 9", EINVAL, [](v4l2_buffer& buffer) { buffer.length = VIDEO_MAX_PLANES + 1; }},
};

Checked<> refuse_each(Rig& rig, std::span<const WrongArgument> wrongs) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    for (const WrongArgument& wrong : wrongs) {
        for (const std::uint32_t flags : {0U, both_fences}) {
            BufferArgument argument;
            stream.prepare(0, argument);
            argument.buffer.flags = flags;
            argument.fence_fd() = flags != 0 ? fence.fd.get() : 0;
            wrong.change(argument.buffer);
            const std::string what = fmt::format("QBUF with {} and flags {:#x}", wrong.what, flags);
            TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), wrong.error, what));
            TRY(same_as(before, rig, stream, what));
        }
    }
    TRY(fence_is_pending(fence.fd.get(), "the program's in-fence"));
    return stream.queue(0);
}

Checked<> wrong_argument_refused(Rig& rig) {
    return refuse_each(rig, wrong_arguments);
}

Checked<> wrong_planes_refused(Rig& rig) {
    if (!rig.facts().multi_planar) {
        return skipped("the device is single-planar");
    }
    return refuse_each(rig, wrong_planes);
}

Checked<> null_refused(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    for (const unsigned long request :
         {VIDIOC_QBUF, VIDIOC_DQBUF, VIDIOC_QUERYBUF, VIDIOC_PREPARE_BUF, VIDIOC_REQBUFS,
          VIDIOC_CREATE_BUFS, VIDIOC_STREAMON, VIDIOC_STREAMOFF, VIDIOC_EXPBUF}) {
        TRY(answers(stream.device().ioctl(request, nullptr), EFAULT,
                    fmt::format("ioctl {:#x} at NULL", request)));
    }
    return same_as(before, rig, stream, "ioctls at NULL");
}

Checked<> wrong_type_refused(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    int output = V4L2_BUF_TYPE_VIDEO_OUTPUT;
    TRY(answers(stream.device().ioctl(VIDIOC_STREAMON, &output), EINVAL, "STREAMON of an output"));
    // uvcvideo does not look at the type; whatever it says, nothing of ours may end.
    (void)stream.device().ioctl(VIDIOC_STREAMOFF, &output);
    v4l2_requestbuffers request{};
    request.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
    request.memory = V4L2_MEMORY_MMAP;
    TRY(answers(stream.device().ioctl(VIDIOC_REQBUFS, &request), EINVAL, "REQBUFS of an output"));
    request.type = rig.facts().type;
    request.memory = 99;
    TRY(answers(stream.device().ioctl(VIDIOC_REQBUFS, &request), EINVAL,
                "REQBUFS of memory type 99"));
    BufferArgument argument;
    stream.name(stream.count(), argument);
    TRY(answers(stream.device().ioctl(VIDIOC_QUERYBUF, &argument.buffer), EINVAL,
                "QUERYBUF beyond the last buffer"));
    return same_as(before, rig, stream, "refused calls");
}

Checked<> dequeue_without_stream_refused(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(answers(stream.try_dequeue(), EINVAL, "DQBUF without a stream"));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(answers(stream.try_dequeue(), EINVAL, "DQBUF without a stream, a buffer held"));
    fence.end();
    return answers(stream.try_dequeue(), EINVAL, "DQBUF without a stream, a buffer ready");
}

Checked<> start_without_buffers_refused(Rig& rig) {
    const Device device = TRY(rig.open());
    TRY(rig.choose_provider(device));
    int type = static_cast<int>(rig.facts().type);
    // uvcvideo says EBUSY: a handle without buffers is not the owner.
    const int on = device.ioctl(VIDIOC_STREAMON, &type);
    CHECK(on == -EINVAL || on == -EBUSY, "STREAMON without buffers answered {}", on);
    const int off = device.ioctl(VIDIOC_STREAMOFF, &type);
    CHECK(off == 0 || off == -EBUSY, "STREAMOFF without a stream answered {}", off);
    BufferArgument argument;
    argument.buffer.type = rig.facts().type;
    argument.buffer.memory = V4L2_MEMORY_MMAP;
    argument.buffer.m.planes = rig.facts().multi_planar ? argument.planes.data() : nullptr;
    argument.buffer.length = rig.facts().multi_planar ? VIDEO_MAX_PLANES : 0;
    argument.buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    const int queued = device.ioctl(VIDIOC_QBUF, &argument.buffer);
    CHECK(queued == -EINVAL || queued == -EBUSY, "QBUF without buffers answered {}", queued);
    return {};
}

Checked<> requeue_refused(Rig& rig, bool held) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TestFence other = TRY(rig.fence());
    const Fences fences{.in = held ? std::optional(fence.fd.get()) : std::nullopt, .out = true};
    TRY(stream.queue(0, fences));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    const Fences again[] = {
        {}, {.out = true}, {.in = other.fd.get()}, {.in = other.fd.get(), .out = true}};
    for (const Fences& attempt : again) {
        TRY(answers(stream.try_queue(0, attempt), EINVAL, "QBUF of a queued buffer"));
        TRY(same_as(before, rig, stream, "QBUF of a queued buffer"));
        TRY(fence_is_pending(stream.out_fence(0), "the first job's out-fence"));
    }
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    if (held) {
        other.end();
        TRY(stream.nothing_to_dequeue());
        TRY(stream.is_held(0));
        fence.end();
    }
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> requeue_of_held_refused(Rig& rig) {
    return requeue_refused(rig, true);
}

Checked<> requeue_of_given_refused(Rig& rig) {
    return requeue_refused(rig, false);
}

constexpr Case cases[] = {
    {"qbuf@wrong-argument-einval", "2, 2.1", "#78 #116",
     "Index, type and memory are checked as by vb2, with and without fences",
     wrong_argument_refused},
    {"qbuf@wrong-planes-refused", "2, 2.1", "#60 #78", "Planes are checked as by vb2",
     wrong_planes_refused},
    {"calls@null-efault", "2.1, 6.2", "", "NULL is answered EFAULT by every buffer ioctl",
     null_refused},
    {"calls@wrong-type-einval", "2.1, 6.2", "", "Other queues' types leave held buffers alone",
     wrong_type_refused},
    {"dqbuf@not-streaming-einval", "5.1", "", "DQBUF before STREAMON is refused as by vb2",
     dequeue_without_stream_refused},
    {"streamon@no-buffers-einval", "2.1", "", "A fenced file without buffers answers as vb2",
     start_without_buffers_refused},
    {"qbuf@held-again-einval", "2, 2.1", "#35 #118 #124",
     "QBUF of a held buffer is refused and its first job goes on", requeue_of_held_refused},
    {"qbuf@given-again-einval", "2, 2.1", "#35 #118",
     "QBUF of a given buffer is refused and its out-fence stays", requeue_of_given_refused},
};

}  // namespace

std::span<const Case> call_error_cases() {
    return cases;
}

}  // namespace v4lfence
