// SPDX-License-Identifier: MIT
//
// Implicit synchronization: a program that looks at a dma-buf alone waits for the frame, and what
// it does with the dma-buf is waited for.

#include <linux/dma-buf.h>

#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "conformance/bounded.hpp"
#include "conformance/cases/cases.hpp"
#include "conformance/few_descriptors.hpp"
#include "conformance/many_planes.hpp"
#include "conformance/media_request.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/dma_buf_fences.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence {

namespace {

constexpr unsigned in = 1;
constexpr unsigned out = 2;
constexpr std::array memories{V4L2_MEMORY_MMAP, V4L2_MEMORY_DMABUF};

Checked<> set_implicit(const Rig& rig, const Device& device, unsigned flags) {
    if (rig.calls().set_implicit == nullptr) {
        return skipped("this way to the device has no implicit synchronization");
    }
    const int error = rig.calls().set_implicit(device.fd(), flags) < 0 ? errno : 0;
    if (error == ENODEV || error == ENOTTY) {
        return skipped("no fences can be put into dma-bufs here: needs the module vgem");
    }
    return answers(-error, 0, "turning implicit synchronization on");
}

Checked<UniqueFd> export_plane(const Rig& rig, const Device& device, unsigned index,
                               unsigned plane) {
    v4l2_exportbuffer exported{};
    exported.type = rig.facts().type;
    exported.index = index;
    exported.plane = plane;
    exported.flags = O_CLOEXEC | O_RDWR;
    const int status = device.ioctl(VIDIOC_EXPBUF, &exported);
    if (status == -ENOTTY) {
        return skipped("the device exports no dma-bufs");
    }
    TRY(answers(status, 0, "EXPBUF"));
    return UniqueFd(exported.fd);
}

/// A stream whose buffers have dma-bufs, for who looks at those alone.
struct SharedStream {
    Stream stream;
    std::vector<std::vector<UniqueFd>> dma_bufs;  ///< By index and plane.

    int dma_buf(unsigned index, unsigned plane = 0) const { return dma_bufs[index][plane].get(); }
    unsigned planes() const { return static_cast<unsigned>(dma_bufs[0].size()); }
};

Checked<SharedStream> open_shared(Rig& rig, std::uint32_t memory, unsigned flags) {
    SharedStream shared{TRY(Stream::open(rig, {.memory = memory})), {}};
    TRY(set_implicit(rig, shared.stream.device(), flags));
    for (unsigned index = 0; index < shared.stream.count(); ++index) {
        shared.dma_bufs.push_back({});
        unsigned plane = 0;
        for (const MappedPlane& kept : shared.stream.planes(index)) {
            shared.dma_bufs.back().push_back(
                memory == V4L2_MEMORY_MMAP
                    ? TRY(export_plane(rig, shared.stream.device(), index, plane))
                    : TRY(sys::dup(kept.dma_buf.get())));
            ++plane;
        }
    }
    return shared;
}

/// By poll(), as a program does that knows no fences.
Checked<bool> is_readable(int dma_buf) {
    return (TRY(sys::poll_now(dma_buf, POLLIN)) & POLLIN) != 0;
}

/// By EXPORT_SYNC_FILE, as one that hands it on to the kernel.
Checked<UniqueFd> fence_in(int dma_buf) {
    return TRY(export_sync_file(dma_buf, DmaBufAccess::Read));
}

Checked<> put_reader(int dma_buf, int sync_file) {
    DmaBufs one;
    one.add(dma_buf);
    TRY(put_fence(sync_file, one, DmaBufAccess::Read));
    return {};
}

// --- out -----------------------------------------------------------------------------------------

Checked<> frame_is_waited_for(Rig& rig) {
    for (const std::uint32_t memory : memories) {
        SharedStream shared = TRY(open_shared(rig, memory, out));
        Stream& stream = shared.stream;
        TRY(stream.queue(0));
        std::vector<UniqueFd> fences;
        for (unsigned plane = 0; plane < shared.planes(); ++plane) {
            CHECK(!TRY(is_readable(shared.dma_buf(0, plane))),
                  "the dma-buf of plane {} is readable before there is a frame", plane);
            fences.push_back(TRY(fence_in(shared.dma_buf(0, plane))));
            TRY(stays_pending(fences.back().get(), "the fence in a queued buffer's dma-buf"));
        }
        CHECK(TRY(stream.look(0)).out_pending(), "QUERYBUF does not say that a fence is pending");
        TRY(stream.queue_rest(1));
        TRY(stream.start());
        TRY(fence_ends(fences[0].get(), "the fence in the dma-buf"));
        TRY(stream.dequeue_good(0));
        for (unsigned plane = 0; plane < shared.planes(); ++plane) {
            CHECK(TRY(fence_status(fences[plane].get())).ended() &&
                      TRY(is_readable(shared.dma_buf(0, plane))),
                  "DQBUF has returned and the fence in plane {} is pending", plane);
        }
        TRY(stream.stop());
    }
    return {};
}

Checked<> asked_fence_is_that_one(Rig& rig) {
    SharedStream shared = TRY(open_shared(rig, V4L2_MEMORY_MMAP, out));
    Stream& stream = shared.stream;
    TRY(stream.queue(0, {.in = std::nullopt, .out = true}));
    CHECK(query_sync_state(stream.out_fence(0)), "the out-fence is no sync_file");
    v4l2_query_fences fences = rig.query();
    TRY(answers(stream.device().ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
    CHECK((fences.features & V4L2_FENCES_KERNEL_WAITABLE) != 0 && fences.bound_ms > 0,
          "the query does not say that fences are kernel-waitable and have a bound ({})",
          fences.provider);
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(fence_ends(stream.out_fence(0), "the out-fence"));
    CHECK(TRY(is_readable(shared.dma_buf(0))), "the out-fence has ended, that in the dma-buf not");
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> every_export_is_waited_for(Rig& rig) {
    SharedStream shared = TRY(open_shared(rig, V4L2_MEMORY_MMAP, out));
    Stream& stream = shared.stream;
    const UniqueFd another = TRY(export_plane(rig, stream.device(), 0, 0));
    TRY(stream.queue(0));
    CHECK(!TRY(is_readable(another.get())) && !TRY(is_readable(shared.dma_buf(0))),
          "of two exports of one plane not both are waited for");
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    CHECK(TRY(is_readable(another.get())) && TRY(is_readable(shared.dma_buf(0))),
          "of two exports of one plane not both are told of the frame");
    return stream.stop();
}

/// A program that exports a buffer for each frame, and closes it again.
Checked<> exports_do_not_pile_up(Rig& rig) {
    SharedStream shared = TRY(open_shared(rig, V4L2_MEMORY_MMAP, out));
    Stream& stream = shared.stream;
    TRY(export_plane(rig, stream.device(), 0, 0));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    std::size_t few = 0;
    constexpr unsigned frames = 60;
    for (unsigned frame = 0; frame < frames; ++frame) {
        const unsigned index = TRY(stream.dequeue()).index;
        const UniqueFd fresh = TRY(export_plane(rig, stream.device(), index, 0));
        TRY(stream.queue(index));
        few = frame == 2 * stream.count() ? open_descriptors() : few;
    }
    CHECK(open_descriptors() <= few, "{} descriptors are open after {} exports, {} were before",
          open_descriptors(), frames, few);
    return stream.stop();
}

/// `end` gets the fence that is in the dma-buf of buffer 0.
Checked<> nobody_waits_after(Rig& rig, const std::function<Checked<>(Stream&, int)>& end) {
    for (const std::uint32_t memory : memories) {
        SharedStream shared = TRY(open_shared(rig, memory, in | out));
        TRY(shared.stream.queue_rest(0));
        const UniqueFd fence = TRY(fence_in(shared.dma_buf(0)));
        TRY(fence_is_pending(fence.get(), "the fence in a queued buffer's dma-buf"));
        TRY(end(shared.stream, fence.get()));
        TRY(fence_ends(fence.get(), "the fence in the dma-buf of a buffer that will not come"));
    }
    return {};
}

Checked<> streamoff_leaves_nobody(Rig& rig) {
    return nobody_waits_after(rig, [](Stream& stream, int) -> Checked<> {
        TRY(stream.stop());
        TRY(stream.queue_rest(0));  // They do not wait for themselves.
        TRY(stream.start());
        TRY(stream.dequeue_good(0));
        return stream.stop();
    });
}

Checked<> close_leaves_nobody(Rig& rig) {
    return nobody_waits_after(
        rig, [](Stream& stream, int) { return answers(stream.device().shut(), 0, "close"); });
}

/// A forked child does not keep the parent's fences pending, nor its dma-bufs.
Checked<> child_keeps_nobody_waiting(Rig& rig) {
    return nobody_waits_after(rig, [](Stream& stream, int fence) -> Checked<> {
        sys::SocketPair pair = TRY(sys::socketpair(0));
        Child child = TRY(Child::fork([&]() -> Checked<> {
            pair.first.reset();
            TRY(answers(stream.try_queue(0), EIO, "QBUF in the child"));
            TRY(tell(pair.second.get()));
            return await_word(pair.second.get(), "the parent's close");
        }));
        pair.second.reset();
        TRY(await_word(pair.first.get(), "the child"));
        TRY(answers(stream.device().shut(), 0, "close"));
        TRY(fence_ends(fence, "the fence of a closed file whose child lives"));
        TRY(tell(pair.first.get()));
        return child.finish("the child");
    });
}

/// A bound that has expired ends the fence; what is made from then on is no kernel's.
Checked<> bound_ends_the_wait(Rig& rig) {
    SharedStream shared = TRY(open_shared(rig, V4L2_MEMORY_MMAP, in | out));
    Stream& stream = shared.stream;
    TRY(stream.queue(0));
    const UniqueFd fence = TRY(fence_in(shared.dma_buf(0)));
    constexpr int bound_ms = 9000;
    TRY(fence_ends(fence.get(), "the fence of a frame that does not come", bound_ms));
    TRY(stream.queue(1));
    CHECK(TRY(is_readable(shared.dma_buf(1))), "a fence was put after a bound had expired");
    TRY(stream.queue_rest(2));
    TRY(stream.start());
    TRY(stream.dequeue_bad(0));
    TRY(stream.queue(0));
    TRY(stream.stop());
    TRY(stream.queue_rest(0));
    CHECK(!TRY(is_readable(shared.dma_buf(0))), "the next stream puts no fence");
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

// --- in ------------------------------------------------------------------------------------------

Checked<> reader_holds_the_buffer(Rig& rig) {
    for (const std::uint32_t memory : memories) {
        SharedStream shared = TRY(open_shared(rig, memory, in));
        Stream& stream = shared.stream;
        FenceMaker maker = TRY(FenceMaker::open("vgem"));
        for (unsigned plane = 0; plane < shared.planes(); ++plane) {
            TestFence reader = TRY(maker.make());
            TRY(put_reader(shared.dma_buf(0, plane), reader.fd.get()));
            stream.paint_buffer(0);
            TRY(stream.queue(0));
            TRY(stream.queue_rest(1));
            TRY(stream.start());
            TRY(stream.nothing_to_dequeue());
            TRY(stream.is_held(0));
            reader.end();
            TRY(stream.dequeue_good(0));
            TRY(stream.stop());
        }
    }
    return {};
}

Checked<> two_readers_are_waited_for(Rig& rig) {
    SharedStream shared = TRY(open_shared(rig, V4L2_MEMORY_MMAP, in));
    Stream& stream = shared.stream;
    FenceMaker maker = TRY(FenceMaker::open("vgem"));
    TestFence early = TRY(maker.make());
    TestFence late = TRY(maker.make());
    TRY(put_reader(shared.dma_buf(0), early.fd.get()));
    TRY(put_reader(shared.dma_buf(0, shared.planes() - 1), late.fd.get()));
    TRY(stream.queue(0));
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    early.end();
    TRY(stream.nothing_to_dequeue());
    CHECK(TRY(stream.look(0)).in_pending(), "one of two readers has ended and neither pends");
    late.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> readers_of_planes_are_all_waited_for(Rig& rig) {
    const auto work = [&rig] { return two_readers_are_waited_for(rig); };
    return rig.facts().multi_planar ? with_many_planes(rig, work) : work();
}

Checked<> own_in_fence_too(Rig& rig) {
    for (const bool own_first : {true, false}) {
        SharedStream shared = TRY(open_shared(rig, V4L2_MEMORY_MMAP, in | out));
        Stream& stream = shared.stream;
        FenceMaker maker = TRY(FenceMaker::open("vgem"));
        TestFence reader = TRY(maker.make());
        TestFence own = TRY(rig.fence());
        TRY(put_reader(shared.dma_buf(0), reader.fd.get()));
        TRY(stream.queue(0, {.in = own.fd.get(), .out = true}));
        TRY(stream.queue_rest(1));
        TRY(stream.start());
        own_first ? own.end() : reader.end();
        TRY(stream.nothing_to_dequeue());
        CHECK(TRY(stream.look(0)).in_pending(), "one of two fences has ended and neither pends");
        own_first ? reader.end() : own.end();
        TRY(stream.dequeue_good(0));
        TRY(stream.stop());
    }
    return {};
}

// --- neither -------------------------------------------------------------------------------------

/// It is queued when its request is, of which nobody here hears.
Checked<> buffer_of_a_request_takes_no_part(Rig& rig) {
    SharedStream shared = TRY(open_shared(rig, V4L2_MEMORY_MMAP, in | out));
    Stream& stream = shared.stream;
    const MediaRequest request = TRY(MediaRequest::allocate(stream.device()));
    FenceMaker maker = TRY(FenceMaker::open("vgem"));
    TestFence reader = TRY(maker.make());
    TRY(put_reader(shared.dma_buf(0), reader.fd.get()));
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.buffer.flags = V4L2_BUF_FLAG_REQUEST_FD;
    argument.buffer.request_fd = request.fd();
    const int status = stream.device().ioctl(VIDIOC_QBUF, &argument.buffer);
    if (status == -EBADR) {
        return skipped("the driver takes no requests");
    }
    TRY(answers(status, 0, "QBUF into a request"));
    CHECK(TRY(is_readable(shared.dma_buf(0))), "a fence was put into a request's dma-buf");
    const BufferView queued = TRY(stream.look(0));
    CHECK(!queued.in_pending() && !queued.out_pending() && queued.has(V4L2_BUF_FLAG_IN_REQUEST),
          "a buffer in a request has flags {:#x}", queued.flags);
    TRY(request.queue());
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> off_does_nothing(Rig& rig) {
    SharedStream shared = TRY(open_shared(rig, V4L2_MEMORY_MMAP, in | out));
    Stream& stream = shared.stream;
    TRY(set_implicit(rig, stream.device(), 0));
    FenceMaker maker = TRY(FenceMaker::open("vgem"));
    TestFence reader = TRY(maker.make());
    TRY(put_reader(shared.dma_buf(0), reader.fd.get()));
    TRY(stream.queue_rest(0));
    CHECK(TRY(is_readable(shared.dma_buf(0))), "a fence was put into a dma-buf");
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> without_dma_bufs_as_ever(Rig& rig) {
    for (const std::uint32_t memory : {V4L2_MEMORY_MMAP, V4L2_MEMORY_USERPTR}) {
        Stream stream = TRY(Stream::open(rig, {.memory = memory}));
        TRY(set_implicit(rig, stream.device(), in | out));
        TRY(stream.queue_rest(0));
        CHECK(!TRY(stream.look(0)).out_pending(), "a fence was made that nobody can see");
        TRY(stream.start());
        TRY(stream.dequeue_good(0));
        TRY(stream.stop());
    }
    return {};
}

Checked<> unknown_flag(Rig& rig) {
    const Device device = TRY(rig.open());
    TRY(set_implicit(rig, device, in | out));
    for (const unsigned wrong : {4U, in | 8U, ~0U}) {
        const int status = rig.calls().set_implicit(device.fd(), wrong) < 0 ? -errno : 0;
        TRY(answers(status, EINVAL, fmt::format("flags {:#x}", wrong)));
    }
    return {};
}

Checked<> no_dma_buf_refused(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.memory = V4L2_MEMORY_DMABUF}));
    TRY(set_implicit(rig, stream.device(), in | out));
    const sys::Pipe pipe = TRY(sys::pipe(0));
    for (const int wrong : {pipe.read_end.get(), pipe.write_end.get(), -1}) {
        const StreamSnapshot before = TRY(snapshot(rig, stream));
        BufferArgument argument;
        stream.prepare(0, argument);
        (rig.facts().multi_planar ? argument.planes[0].m.fd : argument.buffer.m.fd) = wrong;
        TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), EINVAL,
                    "QBUF of what is no dma-buf"));
        TRY(same_as(before, rig, stream, "QBUF of what is no dma-buf"));
    }
    return {};
}

Checked<> emfile_changes_nothing(Rig& rig) {
    for (const std::uint32_t memory : memories) {
        SharedStream shared = TRY(open_shared(rig, memory, in | out));
        Stream& stream = shared.stream;
        FenceMaker maker = TRY(FenceMaker::open("vgem"));
        TestFence reader = TRY(maker.make());
        TRY(put_reader(shared.dma_buf(0), reader.fd.get()));
        TRY(stream.queue(1));  // Opens what the library keeps.
        constexpr unsigned tries_max = 40;
        int status = -EMFILE;
        for (unsigned free = 0; free < tries_max && status != 0; ++free) {
            const StreamSnapshot before = TRY(snapshot(rig, stream));
            {
                const FewDescriptors limit(free);
                status = stream.try_queue(0);
            }
            if (status != 0) {
                const std::string what = fmt::format("QBUF with {} free descriptors", free);
                TRY(answers(status, EMFILE, what));
                TRY(same_as(before, rig, stream, what));
                CHECK(TRY(is_readable(shared.dma_buf(0))), "{} left a fence in the dma-buf", what);
            }
        }
        TRY(answers(status, 0, "QBUF with descriptors enough"));
        CHECK(TRY(stream.look(0)).in_pending(), "the reader is not waited for");
        TRY(stream.queue_rest(2));
        reader.end();
        TRY(stream.start());
        TRY(stream.dequeue_good(1));
        TRY(stream.dequeue_good(0));
        TRY(stream.stop());
    }
    return {};
}

constexpr Case cases[] = {
    library_case("implicit@dma-buf-waits-for-frame", "4.8, 6.3", "R08 R09",
                 "Who looks at a dma-buf of a queued buffer alone waits for its frame",
                 frame_is_waited_for),
    library_case("implicit@asked-fence-is-that-one", "1.2, 4.8", "",
                 "An out-fence that is asked for is the one in the dma-buf",
                 asked_fence_is_that_one),
    library_case("implicit@every-export-waits", "4.8", "R16",
                 "Each dma-buf that was exported of a buffer is waited at",
                 every_export_is_waited_for),
    library_case("implicit@exports-do-not-pile-up", "2.1", "",
                 "Exporting a buffer for each frame keeps no descriptors", exports_do_not_pile_up),
    library_case("implicit@streamoff-leaves-nobody", "5.4", "",
                 "Nobody waits for a frame that was cancelled, nor the buffer for itself",
                 streamoff_leaves_nobody),
    library_case("implicit@close-leaves-nobody", "5.4", "",
                 "Nobody waits for a frame of a closed file", close_leaves_nobody),
    library_case("implicit@child-keeps-nobody-waiting", "7.4", "",
                 "A forked child does not keep fences in dma-bufs pending",
                 child_keeps_nobody_waiting),
    {"implicit@bound-ends-the-wait", "5.7", "",
     "Nobody waits at a dma-buf longer than the bound, and none is put there afterwards",
     bound_ends_the_wait, Pace::Slow, Needs::Library},
    library_case("implicit@reader-holds-qbuf", "2, 4.2", "R07 R12",
                 "A buffer waits for those who read its dma-bufs", reader_holds_the_buffer),
    library_case("implicit@readers-of-planes-all-waited-for", "1.1, 4.2", "",
                 "The fences of all planes are waited for", readers_of_planes_are_all_waited_for),
    library_case("implicit@with-own-in-fence", "4.2", "",
                 "An in-fence and the fences in the dma-bufs are both waited for",
                 own_in_fence_too),
    library_case("implicit@request-takes-no-part", "2", "",
                 "A buffer of a request is neither held nor gets a fence",
                 buffer_of_a_request_takes_no_part),
    library_case("implicit@off-does-nothing", "4.2", "R14 R15", "Turned off it does nothing",
                 off_does_nothing),
    library_case("implicit@without-dma-bufs-as-ever", "1.1", "",
                 "A buffer without dma-bufs takes no part", without_dma_bufs_as_ever),
    library_case("implicit@unknown-flag-einval", "2.1", "", "Unknown flags are refused",
                 unknown_flag),
    library_case("implicit@no-dma-buf-einval", "2.1", "", "What is no dma-buf is refused",
                 no_dma_buf_refused),
    library_case("implicit@emfile-changes-nothing", "2.1", "",
                 "A QBUF without a descriptor leaves nobody waiting", emfile_changes_nothing),
};

}  // namespace

std::span<const Case> implicit_cases() {
    return cases;
}

}  // namespace v4lfence
