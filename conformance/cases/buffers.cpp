// SPDX-License-Identifier: MIT
//
// QUERYBUF, PREPARE_BUF, REQBUFS, CREATE_BUFS and REMOVE_BUFS around held buffers.

#include "conformance/cases/cases.hpp"
#include "conformance/held.hpp"
#include "conformance/plain.hpp"

namespace v4lfence {

namespace {

Checked<> held_keeps_its_fields(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.buffer.flags = V4L2_BUF_FLAG_IN_FENCE;
    argument.fence_fd() = fence.fd.get();
    TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), 0, "QBUF"));
    BufferArgument seen;
    stream.name(0, seen);
    TRY(answers(stream.device().ioctl(VIDIOC_QUERYBUF, &seen.buffer), 0, "QUERYBUF"));
    CHECK(seen.buffer.index == 0 && seen.buffer.type == argument.buffer.type &&
              seen.buffer.memory == argument.buffer.memory,
          "QUERYBUF of a held buffer says index {}, type {}, memory {}", seen.buffer.index,
          seen.buffer.type, seen.buffer.memory);
    const std::size_t length =
        rig.facts().multi_planar ? seen.planes[0].length : seen.buffer.length;
    CHECK(length == stream.planes(0)[0].region.size(), "QUERYBUF says length {}, expected {}",
          length, stream.planes(0)[0].region.size());
    CHECK((seen.buffer.flags & V4L2_BUF_FLAG_DONE) == 0, "a held buffer has flags {:#x}",
          seen.buffer.flags);
    return {};
}

Checked<> query_returns_no_descriptor(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue(1, {.out = true}));
    TRY(stream.queue(2));
    const std::size_t descriptors = open_descriptors();
    for (unsigned index = 0; index < 3; ++index) {
        for (unsigned time = 0; time < 3; ++time) {
            // look() checks fence_fd by the table.
            TRY(stream.look(index));
        }
    }
    CHECK(open_descriptors() == descriptors, "QUERYBUF opened descriptors");
    return {};
}

Checked<> prepared_then_queued(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.prepare_ahead(0));
    TRY(stream.prepare_ahead(1));
    TestFence fence = TRY(rig.fence());
    const BufferView prepared = TRY(stream.look(0));
    CHECK(prepared.has(V4L2_BUF_FLAG_PREPARED), "flags are {:#x} after PREPARE_BUF",
          prepared.flags);
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue(1, {.out = true}));
    TRY(stream.is_held(0));
    TRY(stream.queue_rest(2));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    fence.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

/// What PREPARE_BUF answers carries no fence, and makes none.
Checked<> prepare_has_no_fences(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.prepare_ahead(1));
    const std::size_t descriptors = open_descriptors();
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    TRY(answers(stream.device().ioctl(VIDIOC_PREPARE_BUF, &argument.buffer), 0, "PREPARE_BUF"));
    constexpr std::uint32_t fences = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;
    CHECK(argument.fence_fd() == 0 && (argument.buffer.flags & fences) == 0,
          "PREPARE_BUF returned fence_fd {} and flags {:#x}", argument.fence_fd(),
          argument.buffer.flags);
    CHECK(open_descriptors() == descriptors, "PREPARE_BUF opened descriptors");
    BufferArgument queued;
    stream.prepare(0, queued);
    TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &queued.buffer), 0, "QBUF"));
    CHECK((queued.buffer.flags & fences) == 0 && queued.fence_fd() == 0,
          "flags of PREPARE_BUF stuck: QBUF returned flags {:#x}", queued.buffer.flags);
    return {};
}

Checked<> prepare_of_held_refused(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.prepare_ahead(1));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    TRY(answers(stream.try_prepare(0), EINVAL, "PREPARE_BUF of a held buffer"));
    TRY(same_as(before, rig, stream, "PREPARE_BUF of a held buffer"));
    return stream.is_held(0);
}

Checked<> not_prepared_while_pending(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    const Device raw = TRY(rig.open_raw());
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get()}));
    BufferArgument argument;
    stream.name(0, argument);
    TRY(answers_others(raw.ioctl(VIDIOC_QUERYBUF, &argument.buffer), "QUERYBUF of the kernel"));
    constexpr std::uint32_t kernels = V4L2_BUF_FLAG_PREPARED | V4L2_BUF_FLAG_QUEUED;
    CHECK((argument.buffer.flags & kernels) == 0,
          "the kernel says flags {:#x} of a held buffer, expected neither PREPARED nor QUEUED",
          argument.buffer.flags);
    return {};
}

Checked<> reqbufs_refused_while_streaming(Rig& rig) {
    HeldStream held = TRY(hold_first(rig, {.rest_out = true}));
    Stream& stream = held.stream;
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    for (const unsigned count : {0U, 3U}) {
        v4l2_requestbuffers request{};
        request.count = count;
        request.type = rig.facts().type;
        request.memory = V4L2_MEMORY_MMAP;
        TRY(answers(stream.device().ioctl(VIDIOC_REQBUFS, &request), EBUSY,
                    "REQBUFS while streaming"));
        TRY(same_as(before, rig, stream, "REQBUFS that was refused"));
    }
    TRY(fence_is_pending(stream.out_fence(0), "the out-fence of a held buffer"));
    held.fence.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> created_beside_held(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    v4l2_create_buffers create{};
    create.count = 2;
    create.memory = V4L2_MEMORY_MMAP;
    create.format.type = rig.facts().type;
    TRY(answers(stream.device().ioctl(VIDIOC_G_FMT, &create.format), 0, "G_FMT"));
    const int status = stream.device().ioctl(VIDIOC_CREATE_BUFS, &create);
    if (status == -ENOTTY || status == -ENOBUFS) {
        return skipped("the device makes no more buffers");
    }
    TRY(answers(status, 0, "CREATE_BUFS with a held buffer"));
    CHECK(create.index == stream.count(), "CREATE_BUFS began at index {}, expected {}",
          create.index, stream.count());
    TRY(stream.is_held(0));
    TRY(stream.queue_rest(1));
    TestFence later = TRY(rig.fence());
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.buffer.index = create.index;
    argument.buffer.flags = V4L2_BUF_FLAG_IN_FENCE;
    argument.fence_fd() = later.fd.get();
    TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), 0, "QBUF of a new buffer"));
    TRY(stream.is_held(create.index));
    TRY(stream.start());
    fence.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> remove_of_held_refused(Rig& rig) {
    TRY(has_remove_buffers(rig));
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(1, {.in = fence.fd.get(), .out = true}));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    RemoveBuffers remove{1, 1, rig.facts().type, {}};
    TRY(answers(stream.device().ioctl(remove_buffers_request, &remove), EBUSY,
                "REMOVE_BUFS of a held buffer"));
    remove = {0, 3, rig.facts().type, {}};
    TRY(answers(stream.device().ioctl(remove_buffers_request, &remove), EBUSY,
                "REMOVE_BUFS of a range with a held buffer"));
    TRY(same_as(before, rig, stream, "REMOVE_BUFS that was refused"));
    remove = {0, 1, rig.facts().type, {}};
    stream.planes(0).clear();
    TRY(answers(stream.device().ioctl(remove_buffers_request, &remove), 0,
                "REMOVE_BUFS beside a held buffer"));
    TRY(stream.is_held(1));
    BufferArgument argument;
    stream.name(0, argument);
    TRY(answers(stream.device().ioctl(VIDIOC_QUERYBUF, &argument.buffer), EINVAL,
                "QUERYBUF of a removed buffer"));
    argument.buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    return answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), EINVAL,
                   "QBUF of a removed buffer");
}

constexpr Case cases[] = {
    {"querybuf@held-keeps-fields", "3.2", "#88", "A held buffer reads as the program queued it",
     held_keeps_its_fields},
    {"querybuf@no-descriptor", "3, 3.1", "#39 #52 #61 #88 Q09", "QUERYBUF returns no fence",
     query_returns_no_descriptor},
    {"prepare@then-qbuf-with-fences", "1.1, 2", "#117 Q12", "A prepared buffer takes fences",
     prepared_then_queued},
    {"prepare@makes-no-fence", "3, 3.1", "#115 #117", "PREPARE_BUF takes and makes no fence",
     prepare_has_no_fences},
    {"prepare@held-einval", "2, 2.1", "#124", "PREPARE_BUF of a held buffer is refused",
     prepare_of_held_refused},
    {"prepare@never-while-pending", "6.8", "", "The kernel has not seen a held buffer",
     not_prepared_while_pending},
    {"reqbufs@streaming-ebusy", "6.7", "", "A refused REQBUFS cancels nothing",
     reqbufs_refused_while_streaming},
    {"create-bufs@beside-held", "6.7", "", "New buffers leave held ones alone",
     created_beside_held},
    {"remove-bufs@held-ebusy", "6.7", "Q17", "A held buffer cannot be removed",
     remove_of_held_refused},
};

}  // namespace

std::span<const Case> buffer_cases() {
    return cases;
}

}  // namespace v4lfence
