// SPDX-License-Identifier: MIT
//
// Every kind of descriptor that counts as a fence, also those that no provider made.

#include <linux/dma-buf.h>

#include <array>
#include <functional>

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

Checked<> takes_pollables(const Rig& rig) {
    if (!rig.facts().takes_pollables) {
        return skipped("this device takes sync_files alone");
    }
    return {};
}

/// Holds buffer 0 by `fd`, sees it held, ends it, sees the frame.
Checked<> holds_until(Rig& rig, int fd, const std::function<Checked<>()>& end,
                      bool ends_well = true) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue(0, {.in = fd, .out = true}));
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    TRY(stream.is_held(0));
    TRY(end());
    if (ends_well) {
        TRY(stream.dequeue_good(0));
    } else {
        TRY(stream.dequeue_bad(0));
    }
    return stream.stop();
}

Checked<> write_byte(int fd) {
    const std::byte byte{'x'};
    TRY(sys::write(fd, {&byte, 1}));
    return {};
}

Checked<> write_count(int fd) {
    const std::uint64_t one = 1;
    TRY(sys::write(fd, std::as_bytes(std::span(&one, 1))));
    return {};
}

Checked<> provider_fence(Rig& rig) {
    TestFence fence = TRY(rig.fence());
    return holds_until(rig, fence.fd.get(), [&]() -> Checked<> {
        fence.end();
        return {};
    });
}

Checked<> pipe_readable(Rig& rig) {
    TRY(takes_pollables(rig));
    sys::Pipe pipe = TRY(sys::pipe(0));
    return holds_until(rig, pipe.read_end.get(), [&] { return write_byte(pipe.write_end.get()); });
}

Checked<> pipe_hung_up(Rig& rig) {
    TRY(takes_pollables(rig));
    sys::Pipe pipe = TRY(sys::pipe(0));
    return holds_until(
        rig, pipe.read_end.get(),
        [&]() -> Checked<> {
            pipe.write_end.reset();
            return {};
        },
        false);
}

Checked<> socket_readable(Rig& rig) {
    TRY(takes_pollables(rig));
    sys::SocketPair pair = TRY(sys::socketpair(0));
    return holds_until(rig, pair.first.get(), [&] { return write_byte(pair.second.get()); });
}

Checked<> socket_hung_up(Rig& rig) {
    TRY(takes_pollables(rig));
    sys::SocketPair pair = TRY(sys::socketpair(0));
    return holds_until(
        rig, pair.first.get(),
        [&]() -> Checked<> {
            pair.second.reset();
            return {};
        },
        false);
}

Checked<> eventfd_counts(Rig& rig) {
    TRY(takes_pollables(rig));
    const UniqueFd event = TRY(sys::eventfd(0, 0));
    return holds_until(rig, event.get(), [&] { return write_count(event.get()); });
}

Checked<> ended_kinds_hold_nothing(Rig& rig) {
    TRY(takes_pollables(rig));
    Stream stream = TRY(Stream::open(rig));
    const UniqueFd event = TRY(sys::eventfd(1, 0));
    sys::Pipe pipe = TRY(sys::pipe(0));
    TRY(write_byte(pipe.write_end.get()));
    sys::SocketPair pair = TRY(sys::socketpair(0));
    TRY(write_byte(pair.second.get()));
    const std::array<int, 3> fences{event.get(), pipe.read_end.get(), pair.first.get()};
    for (unsigned index = 0; index < fences.size(); ++index) {
        TRY(stream.queue(index, {.in = fences[index]}));
        const BufferView view = TRY(stream.look(index));
        CHECK(!view.in_pending(), "ended fence {} is reported as pending", index);
    }
    TRY(stream.queue_rest(fences.size()));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    std::byte byte{};
    CHECK(TRY(sys::read(pipe.read_end.get(), {&byte, 1})) == 1 && byte == std::byte{'x'},
          "the byte in the program's pipe was taken");
    return stream.stop();
}

/// A dma-buf with the pending fence of a vgem context as its writer.
Checked<MappedPlane> fenced_dma_buf(Rig& rig, int sync_file, std::uint32_t access) {
    constexpr std::size_t some_bytes = 4096;
    MappedPlane memory = TRY(allocate_dma_buf(rig.calls(), some_bytes));
    dma_buf_import_sync_file import{};
    import.flags = access;
    import.fd = sync_file;
    if (const auto done =
            sys::ioctl_retry(memory.dma_buf.get(), DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import);
        !done) {
        return skipped(fmt::format("no fence can be put into a dma-buf here: {}",
                                   errno_name(done.error().code)));
    }
    return memory;
}

Checked<> dma_buf_waits(Rig& rig) {
    TRY(takes_pollables(rig));
    for (const std::uint32_t access : {DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_READ}) {
        FenceMaker kernel_fences = TRY(FenceMaker::open("vgem"));
        TestFence fence = TRY(kernel_fences.make());
        const MappedPlane memory = TRY(fenced_dma_buf(rig, fence.fd.get(), access));
        TRY(holds_until(rig, memory.dma_buf.get(), [&]() -> Checked<> {
            fence.end();
            return {};
        }));
    }
    return {};
}

Checked<> idle_dma_buf_holds_nothing(Rig& rig) {
    TRY(takes_pollables(rig));
    constexpr std::size_t some_bytes = 4096;
    const MappedPlane memory = TRY(allocate_dma_buf(rig.calls(), some_bytes));
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue(0, {.in = memory.dma_buf.get()}));
    CHECK(!TRY(stream.look(0)).in_pending(), "an idle dma-buf is reported as pending");
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> merged_waits_for_both(Rig& rig) {
    FenceMaker kernel_fences = TRY(FenceMaker::open("vgem"));
    TestFence first = TRY(kernel_fences.make());
    TestFence second = TRY(kernel_fences.make());
    const UniqueFd both = TRY(merge_sync_files("conform", first.fd.get(), second.fd.get()));
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue(0, {.in = both.get()}));
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    second.end();
    TRY(stream.nothing_to_dequeue());
    TRY(stream.is_held(0));
    first.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

constexpr Case cases[] = {
    {"in-fence@provider-fence-waits", "2, 4.2", "#107", "A fence of the chosen provider",
     provider_fence},
    {"in-fence@pipe-readable-ends", "2, 4.2", "", "The program's own pipe ends by a byte",
     pipe_readable},
    {"in-fence@pipe-hang-up-fails", "2, 5.5", "#93", "A pipe whose writer is gone ends as an error",
     pipe_hung_up},
    {"in-fence@socket-readable-ends", "2, 4.2", "", "The program's own socket ends by a byte",
     socket_readable},
    {"in-fence@socket-hang-up-fails", "2, 5.5", "#93",
     "A socket whose peer is gone ends as an error", socket_hung_up},
    {"in-fence@eventfd-ends", "2, 4.2", "", "The program's own eventfd ends by its counter",
     eventfd_counts},
    {"in-fence@ended-kinds-hold-nothing", "2", "#8",
     "Fences that have ended hold nothing, and nobody reads them", ended_kinds_hold_nothing},
    {"in-fence@dma-buf-waits", "2", "#81", "A dma-buf stands for its fences, readers' too",
     dma_buf_waits},
    {"in-fence@idle-dma-buf-holds-nothing", "2", "", "A dma-buf without fences holds nothing",
     idle_dma_buf_holds_nothing},
    {"in-fence@merged-waits-for-both", "2, 4.2", "#68", "A merged sync_file ends with the later",
     merged_waits_for_both},
};

}  // namespace

std::span<const Case> fence_kind_cases() {
    return cases;
}

}  // namespace v4lfence
