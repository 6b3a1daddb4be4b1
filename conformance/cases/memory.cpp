// SPDX-License-Identifier: MIT
//
// Fences with every memory type, and what is reported of a held buffer's memory.

#include <atomic>
#include <deque>
#include <thread>
#include <vector>

#include "conformance/bounded.hpp"
#include "conformance/cases/cases.hpp"
#include "conformance/many_planes.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// Holds, gives and streams with both fences.
Checked<> streams_with_fences(Rig& rig, std::uint32_t memory) {
    Stream stream = TRY(Stream::open(rig, {.memory = memory}));
    TestFence fence = TRY(rig.fence());
    stream.paint_buffer(0);
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue_rest(1, true));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    TRY(stream.is_held(0));
    CHECK(stream.changed_bytes(0) == 0, "a held buffer was written");
    fence.end();
    for (unsigned frame = 0; frame < 2 * stream.count(); ++frame) {
        const unsigned index = TRY(stream.dequeue_good(frame % stream.count())).index;
        CHECK(frame != 0 || stream.changed_bytes(0) > 0, "the frame was not written");
        TestFence next = TRY(rig.fence());
        TRY(stream.queue(index, {.in = next.fd.get(), .out = true}));
        next.end();
    }
    return stream.stop();
}

Checked<> mmap_streams(Rig& rig) {
    return streams_with_fences(rig, V4L2_MEMORY_MMAP);
}

Checked<> userptr_streams(Rig& rig) {
    return streams_with_fences(rig, V4L2_MEMORY_USERPTR);
}

Checked<> dma_buf_streams(Rig& rig) {
    return streams_with_fences(rig, V4L2_MEMORY_DMABUF);
}

Checked<> dma_buf_closed_after_qbuf(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.memory = V4L2_MEMORY_DMABUF}));
    TestFence fence = TRY(rig.fence());
    std::vector<std::int64_t> numbers;
    for (const MappedPlane& plane : stream.planes(0)) {
        numbers.push_back(plane.dma_buf.get());
    }
    stream.paint_buffer(0);
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    for (MappedPlane& plane : stream.planes(0)) {
        plane.dma_buf.reset();
    }
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    const BufferView held = TRY(stream.look(0));
    CHECK(held.memory == numbers, "QUERYBUF of a held buffer reports descriptor {}, expected {}",
          held.memory[0], numbers[0]);
    fence.end();
    const Frame frame = TRY(stream.dequeue_good(0));
    CHECK(frame.memory == numbers, "DQBUF reports descriptor {}, expected the program's {}",
          frame.memory[0], numbers[0]);
    CHECK(stream.changed_bytes(0) > 0, "the frame was not written to the program's dma-buf");
    return stream.stop();
}

/// Buffers are queued behind a held one while its fence ends: each is the library's own to keep at
/// one moment and the kernel's at the next. Stream compares what every call reports.
Checked<> rounds_of_dma_bufs(Rig& rig, Stream& stream, std::deque<TestFence>& fences,
                             std::atomic<TestFence*>& due) {
    TRY(stream.start());
    for (unsigned round = 0; round < 30; ++round) {
        fences.push_back(TRY(rig.fence()));
        TRY(stream.queue(0, {.in = fences.back().fd.get(), .out = true}));
        const unsigned moment = 1 + round % (stream.count() - 1);
        for (unsigned index = 1; index < stream.count(); ++index) {
            if (index == moment) {
                due = &fences.back();
            }
            TRY(stream.queue(index, {.out = round % 2 == 0}));
            TRY(stream.look(index));
        }
        const unsigned frames = stream.count() - rig.facts().keeps;
        for (unsigned frame = 0; frame < frames; ++frame) {
            TRY(stream.dequeue());
        }
        if (rig.facts().keeps > 0) {
            TRY(stream.stop());
            TRY(stream.start());
        }
    }
    return stream.stop();
}

Checked<> dma_buf_number_returned(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.memory = V4L2_MEMORY_DMABUF}));
    std::deque<TestFence> fences;
    std::atomic<TestFence*> due{nullptr};
    std::atomic<bool> over{false};
    BoundedThread ender([&]() -> Checked<> {
        while (!over) {
            if (TestFence* fence = due.exchange(nullptr)) {
                fence->end();
            } else {
                std::this_thread::yield();
            }
        }
        return {};
    });
    const Checked<> result = rounds_of_dma_bufs(rig, stream, fences, due);
    over = true;
    TRY(ender.finish("the thread that ends fences"));
    return result;
}

Checked<> user_pointer_reported(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.memory = V4L2_MEMORY_USERPTR}));
    TestFence fence = TRY(rig.fence());
    const auto address = reinterpret_cast<std::int64_t>(stream.planes(0)[0].region.data());
    TRY(stream.queue(0, {.in = fence.fd.get()}));
    const BufferView held = TRY(stream.look(0));
    CHECK(held.memory[0] == address, "QUERYBUF of a held buffer reports {:#x}, expected {:#x}",
          held.memory[0], address);
    return {};
}

Checked<> offsets_are_the_kernels(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    const Device raw = TRY(rig.open_raw());
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(1, {.in = fence.fd.get(), .out = true}));
    for (unsigned index = 0; index < stream.count(); ++index) {
        BufferArgument ours;
        BufferArgument kernels;
        stream.name(index, ours);
        stream.name(index, kernels);
        TRY(answers(stream.device().ioctl(VIDIOC_QUERYBUF, &ours.buffer), 0, "QUERYBUF"));
        TRY(answers_others(raw.ioctl(VIDIOC_QUERYBUF, &kernels.buffer), "QUERYBUF of the kernel"));
        const bool multi = rig.facts().multi_planar;
        const std::uint32_t offset = multi ? ours.planes[0].m.mem_offset : ours.buffer.m.offset;
        const std::uint32_t expected =
            multi ? kernels.planes[0].m.mem_offset : kernels.buffer.m.offset;
        CHECK(offset == expected && ours.buffer.length == kernels.buffer.length,
              "buffer {} is at {:#x}, the kernel says {:#x}", index, offset, expected);
    }
    return {};
}

Checked<> one_fence_for_all_planes(Rig& rig) {
    if (!rig.facts().multi_planar) {
        return skipped("the device is single-planar");
    }
    return with_many_planes(rig, [&rig]() -> Checked<> {
        {
            Stream stream = TRY(Stream::open(rig));
            CHECK(stream.planes(0).size() > 1, "the buffers have one plane");
        }
        return streams_with_fences(rig, V4L2_MEMORY_MMAP);
    });
}

Checked<> exported_memory_works(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    v4l2_exportbuffer exported{};
    exported.type = rig.facts().type;
    exported.flags = O_CLOEXEC | O_RDWR;
    const int status = stream.device().ioctl(VIDIOC_EXPBUF, &exported);
    if (status == -ENOTTY || status == -EINVAL) {
        return skipped("the device does not export buffers");
    }
    TRY(answers(status, 0, "EXPBUF of a held buffer"));
    const UniqueFd dma_buf(exported.fd);
    TRY(stream.is_held(0));
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    fence.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

constexpr Case cases[] = {
    {"memory@mmap-streams", "1.1", "#81 Q15", "Fences with MMAP buffers", mmap_streams},
    {"memory@userptr-streams", "1.1", "Q15", "Fences with USERPTR buffers", userptr_streams},
    {"memory@dma-buf-streams", "1.1", "#81 Q15", "Fences with DMABUF buffers", dma_buf_streams},
    {"memory@dma-buf-closed-after-qbuf", "6.5", "",
     "The program may close a held buffer's dma-buf, and its number is reported",
     dma_buf_closed_after_qbuf},
    {"memory@dma-buf-number-returned", "6.5", "",
     "Whenever it is given to the kernel, every call reports the program's own number",
     dma_buf_number_returned},
    {"memory@user-pointer-reported", "3.2", "", "A held buffer keeps the program's pointer",
     user_pointer_reported},
    {"memory@offsets-the-kernels", "6.2", "", "Offsets for mmap are the kernel's",
     offsets_are_the_kernels},
    {"memory@planes-share-one-fence", "1.1", "#60", "One fence covers all planes",
     one_fence_for_all_planes},
    {"memory@held-buffer-exports", "6.2", "#81", "A held buffer can be exported",
     exported_memory_works},
};

}  // namespace

std::span<const Case> memory_cases() {
    return cases;
}

}  // namespace v4lfence
