// SPDX-License-Identifier: MIT
//
// fork, kill -9, and other processes.

#include <sys/mman.h>

#include <atomic>
#include <vector>

#include "conformance/bounded.hpp"
#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

Checked<> child_answers_eio(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue_rest(1, true));
    TRY(stream.start());
    Child child = TRY(Child::fork([&]() -> Checked<> {
        TRY(answers(stream.try_queue(0), EIO, "QBUF in the child"));
        TRY(answers(stream.try_dequeue(), EIO, "DQBUF in the child"));
        BufferArgument argument;
        stream.name(0, argument);
        TRY(answers(stream.device().ioctl(VIDIOC_QUERYBUF, &argument.buffer), EIO,
                    "QUERYBUF in the child"));
        return answers(stream.try_stop(), EIO, "STREAMOFF in the child");
    }));
    TRY(child.finish("the child"));
    TRY(stays_pending(stream.out_fence(0), "an out-fence after the child's end"));
    fence.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> child_may_reopen(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    Child child = TRY(Child::fork([&]() -> Checked<> {
        TRY(answers(stream.device().shut(), 0, "close in the child"));
        const Device own = TRY(rig.open());
        v4l2_query_fences fences = rig.query();
        TRY(answers(own.ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES in the child"));
        return rig.choose_provider(own);
    }));
    TRY(child.finish("the child"));
    TRY(fence_is_pending(stream.out_fence(0), "an out-fence after the child's close"));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> child_closes_beside_a_waiter(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.open_flags = O_RDWR}));
    TestFence fence = TRY(rig.fence());
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.queue(index, {.in = fence.fd.get(), .out = true}));
    }
    TRY(stream.start());
    BoundedThread waiter([&stream]() -> Checked<> {
        return answers(stream.try_dequeue(), 0, "a blocking DQBUF beside fork");
    });
    TRY(waiter.falls_asleep("a blocking DQBUF while all is held"));
    Child child = TRY(Child::fork(
        [&]() -> Checked<> { return answers(stream.device().shut(), 0, "close in the child"); }));
    TRY(child.finish("a child that closes what the parent waits for"));
    CHECK(!waiter.done(), "the child's close ended the parent's DQBUF");
    TRY(fence_is_pending(stream.out_fence(0), "an out-fence after the child's close"));
    fence.end();
    TRY(waiter.finish("the parent's DQBUF"));
    return stream.stop();
}

/// Whatever the other thread holds at that moment, nobody in the child will let go of it.
Checked<> child_closes_beside_calls(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    std::atomic<bool> over{false};
    BoundedThread streamer([&]() -> Checked<> {
        while (!over) {
            const unsigned index = TRY(stream.dequeue()).index;
            TRY(stream.queue(index, {.out = true}));
            for (unsigned other = 0; other < stream.count(); ++other) {
                TRY(stream.look(other));
            }
        }
        return {};
    });
    const auto fork_often = [&]() -> Checked<> {
        for (unsigned round = 0; round < 10; ++round) {
            Child child = TRY(Child::fork([&]() -> Checked<> {
                return answers(stream.device().shut(), 0, "close in the child");
            }));
            TRY(child.finish("a child that closes what the parent streams from"));
        }
        return {};
    };
    const Checked<> result = fork_often();
    over = true;
    TRY(streamer.finish("the thread that streams"));
    TRY(stream.stop());
    return result;
}

Checked<> child_streams_by_itself(Rig& rig) {
    {
        Stream stream = TRY(Stream::open(rig));
        TRY(stream.queue(0, {.out = true}));
    }
    Child child = TRY(Child::fork([&]() -> Checked<> {
        Stream own = TRY(Stream::open(rig));
        TRY(own.queue_rest(0, true));
        TRY(own.start());
        for (unsigned frame = 0; frame < 5; ++frame) {
            const unsigned index = TRY(own.dequeue()).index;
            TRY(own.queue(index, {.out = true}));
        }
        return own.stop();
    }));
    return child.finish("a child with a stream of its own");
}

Checked<> unfenced_file_works_in_child(Rig& rig) {
    if (!rig.has_node() && !rig.calls().preloaded) {
        return skipped("a virtual device lives in the process that opened it");
    }
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    Child child = TRY(Child::fork([&]() -> Checked<> {
        const unsigned index = TRY(stream.dequeue()).index;
        return stream.queue(index);
    }));
    TRY(child.finish("the child"));
    TRY(stream.dequeue());
    return stream.stop();
}

/// In the child: a stream with every kind of pending out-fence, two of them sent through `socket`.
Checked<> stream_until_killed(Rig& rig, int socket) {
    Stream stream = TRY(Stream::open(rig));
    TestFence never = TRY(rig.failing_fence());
    TRY(stream.queue(0, {.in = never.fd.get(), .out = true}));
    TRY(stream.queue_rest(1, true));
    TRY(stream.start());
    TRY(send_descriptor(socket, stream.out_fence(0)));
    TRY(send_descriptor(socket, stream.out_fence(stream.count() - 1)));
    TRY(await_word(socket, "the end of this process"));
    return {};
}

Checked<> fences_end_after_death(const Rig& rig, std::span<const UniqueFd> fences) {
    for (const UniqueFd& fence : fences) {
        const FenceStatus status =
            TRY(fence_ends(fence.get(), "an out-fence of a process that was killed"));
        CHECK(!rig.facts().errors() || status.state == FenceState::Failed,
              "an out-fence of a process that was killed ended well");
    }
    return {};
}

Checked<> killed_ends_fences(Rig& rig) {
    if (rig.facts().provider == "eventfd") {
        return skipped("eventfds cannot end when their maker dies");
    }
    sys::SocketPair pair = TRY(sys::socketpair(0));
    Child child = TRY(Child::fork([&] { return stream_until_killed(rig, pair.second.get()); }));
    pair.second.reset();
    std::vector<UniqueFd> fences;
    for (unsigned fence = 0; fence < 2; ++fence) {
        fences.push_back(TRY(receive_descriptor(pair.first.get())));
        TRY(fence_is_pending(fences.back().get(), "an out-fence of a living process"));
    }
    child.kill();
    TRY(fences_end_after_death(rig, fences));
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

/// A process forks, its child lives on with copies of what it had, and it is killed.
Checked<> killed_with_living_child(Rig& rig) {
    if (rig.facts().provider == "eventfd") {
        return skipped("eventfds cannot end when their maker dies");
    }
    sys::SocketPair pair = TRY(sys::socketpair(0));
    sys::SocketPair life = TRY(sys::socketpair(0));
    Child child = TRY(Child::fork([&]() -> Checked<> {
        pair.first.reset();
        life.first.reset();
        Stream stream = TRY(Stream::open(rig));
        TestFence never = TRY(rig.failing_fence());
        TRY(stream.queue(0, {.in = never.fd.get(), .out = true}));
        TRY(send_descriptor(pair.second.get(), stream.out_fence(0)));
        Child grandchild = TRY(Child::fork([&]() -> Checked<> {
            // What the case's own maker holds is none of the library's.
            never.promise.abandon();
            pair.second.reset();
            TRY(tell(life.second.get()));
            return await_word(life.second.get(), "the end of the test");
        }));
        TRY(await_word(pair.second.get(), "the end of this process"));
        return {};
    }));
    pair.second.reset();
    life.second.reset();
    std::vector<UniqueFd> fences;
    fences.push_back(TRY(receive_descriptor(pair.first.get())));
    TRY(await_word(life.first.get(), "the grandchild"));
    TRY(fence_is_pending(fences[0].get(), "an out-fence of a living process"));
    child.kill();
    TRY(fences_end_after_death(rig, fences));
    life.first.reset();
    // Nobody can wait for a grandchild; its copy of the file goes with it.
    return eventually([&]() -> Checked<bool> { return Stream::open(rig).has_value(); },
                      "the grandchild to end");
}

/// Another process sees the kernel's state, and no fence.
Checked<> other_process_sees_the_kernels(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.out = true}));
    TRY(stream.queue(1, {.in = fence.fd.get(), .out = true}));
    Child child = TRY(Child::fork([&]() -> Checked<> {
        const Device own = TRY(rig.open_raw());
        for (unsigned index = 0; index < 2; ++index) {
            BufferArgument argument;
            stream.name(index, argument);
            const int status = own.ioctl(VIDIOC_QUERYBUF, &argument.buffer);
            if (status == -EBUSY) {
                return {};  // It sees nothing at all: this driver answers its owner alone.
            }
            TRY(answers(status, 0, "QUERYBUF"));
            constexpr std::uint32_t fences = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;
            CHECK((argument.buffer.flags & fences) == 0 && argument.fence_fd() == 0,
                  "the kernel was told of fences: flags {:#x}, field {}", argument.buffer.flags,
                  argument.fence_fd());
        }
        return {};
    }));
    return child.finish("another process");
}

constexpr Case cases[] = {
    library_case("fork@fenced-file-eio", "7.4", "", "In the child a fenced file answers EIO",
                 child_answers_eio),
    library_case("fork@child-may-reopen", "7.4", "",
                 "The child's close ends no fence, and it may open anew", child_may_reopen),
    {"fork@close-in-child-while-busy", "7.4", "",
     "The child's close returns though a thread of the parent waits in DQBUF",
     child_closes_beside_a_waiter},
    {"fork@close-in-child-amid-calls", "7.4", "",
     "And though a thread of the parent is in the middle of any other call",
     child_closes_beside_calls},
    {"fork@child-streams-by-itself", "7.4", "", "A child streams with fences of its own",
     child_streams_by_itself},
    {"fork@unfenced-file-works", "7.4, 6.1", "", "Without fences the child uses the file as ever",
     unfenced_file_works_in_child},
    {"process@killed-ends-fences", "5.5", "#93 V15", "kill -9 ends every fence that was handed out",
     killed_ends_fences},
    {"process@killed-with-living-child", "5.5, 7.4", "#93",
     "Also when a forked child of the process lives on", killed_with_living_child},
    {"process@another-sees-no-fence", "6.2, 6.7", "#39",
     "The kernel, and with it other processes, never see the fences",
     other_process_sees_the_kernels},
};

}  // namespace

std::span<const Case> process_cases() {
    return cases;
}

}  // namespace v4lfence
