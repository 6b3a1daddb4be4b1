// SPDX-License-Identifier: MIT
//
// Buffers that the kernel refuses, in QBUF itself and when their turn comes later.

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

Checked<> refused_in_its_place(Rig& rig, Stream& stream, TestFence& fence) {
    TRY(stream.queue_rest(1, true));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    TRY(stream.is_held(0));
    fence.end();
    const Frame frame = TRY(stream.dequeue_bad(0));
    CHECK(!rig.facts().errors() || !frame.out || frame.out->state == FenceState::Failed,
          "the out-fence of a refused buffer ended well");
    TRY(stream.dequeue_good(1));
    TRY(stream.dequeue_good(2));
    return {};
}

Checked<> unmapped_memory(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.memory = V4L2_MEMORY_USERPTR}));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    // The address stays taken, or what is put there next would be written to: by a file far behind
    // its end, where even the kernel finds no memory.
    const UniqueFd file = TRY(sys::open("/proc/self/exe", O_RDONLY));
    constexpr std::int64_t behind_the_end = std::int64_t{1} << 40;
    for (MappedPlane& plane : stream.planes(0)) {
        void* const nowhere =
            rig.calls().mmap(plane.region.data(), plane.region.size(), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_FIXED, file.get(), behind_the_end);
        CHECK(nowhere != MAP_FAILED, "mmap: {}", errno_name(errno));
    }
    TRY(refused_in_its_place(rig, stream, fence));
    return stream.stop();
}

/// Length 0 stands for all of the dma-buf, so its size is found out when the kernel sees it.
Checked<> queue_small_dma_buf(Rig& rig, Stream& stream, int in_fence, UniqueFd& out,
                              int expected_error) {
    constexpr std::size_t too_small = 4096;
    const MappedPlane small = TRY(allocate_dma_buf(rig.calls(), too_small));
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    if (in_fence >= 0) {
        argument.buffer.flags |= V4L2_BUF_FLAG_IN_FENCE;
        argument.fence_fd() = in_fence;
    }
    if (rig.facts().multi_planar) {
        argument.planes[0].m.fd = small.dma_buf.get();
        argument.planes[0].length = 0;
    } else {
        argument.buffer.m.fd = small.dma_buf.get();
        argument.buffer.length = 0;
    }
    const int status = stream.device().ioctl(VIDIOC_QBUF, &argument.buffer);
    if (status == 0) {
        out.reset(argument.fence_fd());
    }
    return answers(status, expected_error, "QBUF of a dma-buf that is too small");
}

Checked<> small_dma_buf_at_once(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.memory = V4L2_MEMORY_DMABUF}));
    UniqueFd out;
    TRY(queue_small_dma_buf(rig, stream, -1, out, EINVAL));
    // What the library opened at the first fence it may keep.
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    TRY(queue_small_dma_buf(rig, stream, -1, out, EINVAL));
    TRY(same_as(before, rig, stream, "a QBUF that the kernel refused"));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> small_dma_buf_later(Rig& rig) {
    if (!rig.has_node()) {
        return skipped("a virtual device prepares a buffer when it is queued, and refuses at once");
    }
    Stream stream = TRY(Stream::open(rig, {.memory = V4L2_MEMORY_DMABUF}));
    TestFence fence = TRY(rig.fence());
    UniqueFd out;
    TRY(queue_small_dma_buf(rig, stream, fence.fd.get(), out, 0));
    TRY(refused_in_its_place(rig, stream, fence));
    const FenceStatus status = TRY(fence_status(out.get()));
    CHECK(status.ended(), "the out-fence of a refused buffer is pending after DQBUF");
    CHECK(!rig.facts().errors() || status.error == -EINVAL,
          "the out-fence of a refused buffer says {}, expected EINVAL", errno_name(status.error));
    return stream.stop();
}

int queue_small_user_memory(const Rig& rig, Stream& stream) {
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    constexpr std::uint32_t too_small = 16;
    if (rig.facts().multi_planar) {
        argument.planes[0].length = too_small;
    } else {
        argument.buffer.length = too_small;
    }
    return stream.device().ioctl(VIDIOC_QBUF, &argument.buffer);
}

Checked<> small_user_memory(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.memory = V4L2_MEMORY_USERPTR}));
    constexpr std::string_view what = "QBUF of user memory that is too small";
    TRY(answers(queue_small_user_memory(rig, stream), EINVAL, what));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    TRY(answers(queue_small_user_memory(rig, stream), EINVAL, what));
    return same_as(before, rig, stream, what);
}

constexpr Case cases[] = {
    {"refused@unmapped-while-held", "6.6", "#72",
     "Memory that is gone when its turn comes is returned with ERROR, later buffers go on",
     unmapped_memory},
    {"refused@small-dma-buf-at-once", "2.1, 6.6", "#35 #78",
     "QBUF of a dma-buf that is too small fails and changes nothing", small_dma_buf_at_once},
    {"refused@small-dma-buf-while-held", "6.6", "",
     "A held one is returned in its place with ERROR and the errno in its out-fence",
     small_dma_buf_later},
    {"refused@small-user-memory", "2.1", "#35 #78", "User memory that is too small is refused",
     small_user_memory},
};

}  // namespace

std::span<const Case> refusal_cases() {
    return cases;
}

}  // namespace v4lfence
