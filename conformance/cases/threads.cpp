// SPDX-License-Identifier: MIT
//
// Several threads on one file: blocking DQBUF, signals, cancellation, and ends of fences from
// everywhere.

#include <pthread.h>

#include <atomic>
#include <vector>

#include "conformance/bounded.hpp"
#include "conformance/cases/cases.hpp"
#include "conformance/held.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr StreamOptions blocking{.memory = V4L2_MEMORY_MMAP, .count = 0, .open_flags = O_RDWR};

/// A stream whose buffers all wait for one fence, so that DQBUF blocks.
Checked<HeldStream> block(Rig& rig) {
    return hold_all(rig, {.stream = blocking});
}

/// DQBUF on a thread; the answer must be `error`, 0 for a buffer.
BoundedThread dequeue_beside(Stream& stream, int error) {
    return BoundedThread([&stream, error]() -> Checked<> {
        return answers(stream.try_dequeue(), error, "a blocking DQBUF");
    });
}

Checked<> waits_for_the_fence(Rig& rig) {
    HeldStream blocked = TRY(block(rig));
    BoundedThread waiter = dequeue_beside(blocked.stream, 0);
    TRY(waiter.falls_asleep("a blocking DQBUF while all is held"));
    blocked.fence.end();
    TRY(waiter.finish("a blocking DQBUF"));
    return blocked.stream.stop();
}

Checked<> ended_by_streamoff(Rig& rig) {
    HeldStream blocked = TRY(block(rig));
    BoundedThread waiter = dequeue_beside(blocked.stream, EINVAL);
    TRY(waiter.falls_asleep("a blocking DQBUF while all is held"));
    TRY(blocked.stream.stop());
    return waiter.finish("a blocking DQBUF after STREAMOFF");
}

/// The blocked DQBUF belongs to a stream that is over, however soon the next one begins.
Checked<> restarted_meanwhile(Rig& rig) {
    HeldStream blocked = TRY(block(rig));
    Stream& stream = blocked.stream;
    const int in_fence = blocked.fence.fd.get();
    for (unsigned round = 0; round < 10; ++round) {
        BoundedThread waiter = dequeue_beside(stream, EINVAL);
        TRY(waiter.falls_asleep("a blocking DQBUF while all is held"));
        TRY(stream.stop());
        TRY(stream.queue(0, {.in = in_fence, .out = true}));
        TRY(stream.start());
        TRY(waiter.finish("a blocking DQBUF whose stream was stopped and started again"));
        TRY(stream.is_held(0));
    }
    BoundedThread waiter = dequeue_beside(stream, EINVAL);
    TRY(waiter.falls_asleep("a DQBUF of the last stream"));
    BoundedThread stopper([&stream]() -> Checked<> { return stream.stop(); });
    TRY(stopper.finish("STREAMOFF after the stream was started again"));
    return waiter.finish("a blocking DQBUF after STREAMOFF");
}

/// Streams what is needed and fetches all of it, so that nothing is queued.
Checked<> run_dry(const Rig& rig, Stream& stream, const Fences& fences) {
    if (rig.facts().keeps > 0) {
        return skipped("the driver keeps its last buffers");
    }
    const unsigned needed = rig.facts().needed();
    for (unsigned index = 0; index < needed; ++index) {
        TRY(stream.queue(index, fences));
    }
    TRY(stream.start());
    for (unsigned index = 0; index < needed; ++index) {
        TRY(answers(stream.try_dequeue(), 0, "DQBUF"));
    }
    return {};
}

Checked<> ended_by_streamoff_in_kernel(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, blocking));
    TRY(run_dry(rig, stream, {.out = true}));
    BoundedThread waiter = dequeue_beside(stream, EINVAL);
    TRY(waiter.falls_asleep("a blocking DQBUF with nothing queued"));
    TRY(stream.stop());
    return waiter.finish("a blocking DQBUF after STREAMOFF");
}

/// close() does not end that DQBUF, which has the file open for itself, and need not wait for it.
Checked<> close_beside_unfenced_dqbuf(Rig& rig) {
    if (!rig.has_node()) {
        return skipped("a virtual file is no file of the kernel's to be told directly");
    }
    Stream stream = TRY(Stream::open(rig, {.open_flags = O_RDWR, .fenced = false}));
    const UniqueFd same_file = TRY(sys::dup(stream.device().fd()));
    TRY(run_dry(rig, stream, {}));
    BoundedThread waiter([&stream]() -> Checked<> {
        (void)stream.try_dequeue();
        return {};
    });
    TRY(waiter.falls_asleep("a blocking DQBUF with nothing queued"));
    BoundedThread closer([&stream]() -> Checked<> {
        return answers(stream.device().shut(), 0, "close beside a blocking DQBUF");
    });
    const Checked<> closed = eventually([&]() -> Checked<bool> { return closer.done(); },
                                        "close beside a blocking DQBUF of an unfenced file");
    // Whatever is stuck by now goes on when the stream ends, which the kernel is told directly.
    int type = static_cast<int>(rig.facts().type);
    TRY(sys::ioctl_retry(same_file.get(), VIDIOC_STREAMOFF, &type));
    TRY(waiter.finish("a blocking DQBUF after STREAMOFF"));
    TRY(closer.finish("close after STREAMOFF"));
    return closed;
}

Checked<> second_waiter_is_busy(Rig& rig) {
    HeldStream blocked = TRY(block(rig));
    BoundedThread first = dequeue_beside(blocked.stream, 0);
    TRY(first.falls_asleep("a blocking DQBUF while all is held"));
    BoundedThread second = dequeue_beside(blocked.stream, EBUSY);
    TRY(second.finish("the DQBUF of a second waiter"));
    CHECK(!first.done(), "the second waiter ended the first");
    blocked.fence.end();
    TRY(first.finish("the first waiter"));
    return blocked.stream.stop();
}

Checked<> signal_interrupts(Rig& rig) {
    HeldStream blocked = TRY(block(rig));
    BoundedThread waiter = dequeue_beside(blocked.stream, EINTR);
    TRY(waiter.falls_asleep("a blocking DQBUF while all is held"));
    const Deadline deadline = deadline_in(must_happen_ms);
    while (!waiter.done() && left_ms(deadline) > 0) {
        waiter.interrupt();
        pause_ms(20);
    }
    TRY(waiter.finish("a DQBUF that a signal interrupts", 0));
    blocked.fence.end();
    TRY(answers(blocked.stream.try_dequeue(), 0, "DQBUF after the interrupted one"));
    return blocked.stream.stop();
}

Checked<> calls_pass_a_waiter(Rig& rig) {
    HeldStream blocked = TRY(block(rig));
    BoundedThread waiter = dequeue_beside(blocked.stream, 0);
    TRY(waiter.falls_asleep("a blocking DQBUF while all is held"));
    BoundedThread other([&]() -> Checked<> {
        TRY(blocked.stream.is_held(0));
        const int revents = blocked.stream.device().poll(POLLIN, 0);
        CHECK(revents == 0, "poll says {:#x} beside a waiter", revents);
        return answers(blocked.stream.try_queue(0), EINVAL, "QBUF of a held buffer");
    });
    TRY(other.finish("QUERYBUF, poll and QBUF beside a blocked DQBUF"));
    blocked.fence.end();
    TRY(waiter.finish("a blocking DQBUF"));
    return blocked.stream.stop();
}

struct CancelArgument {
    const DeviceCalls* calls;
    int fd;
    v4l2_buffer* buffer;
    std::atomic<bool> waiting{false};
};

void* dequeue_until_cancelled(void* opaque) {
    auto* argument = static_cast<CancelArgument*>(opaque);
    ::pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
    argument->waiting = true;
    argument->calls->ioctl(argument->fd, VIDIOC_DQBUF, argument->buffer);
    return nullptr;
}

Checked<> cancelled_waiter_harmless(Rig& rig) {
    HeldStream blocked = TRY(block(rig));
    BufferArgument buffer;
    blocked.stream.name(0, buffer);
    CancelArgument argument{&rig.calls(), blocked.stream.device().fd(), &buffer.buffer, false};
    pthread_t thread{};
    CHECK(::pthread_create(&thread, nullptr, dequeue_until_cancelled, &argument) == 0,
          "no thread could be made");
    TRY(eventually([&]() -> Checked<bool> { return argument.waiting.load(); }, "the thread"));
    pause_ms(settle_ms);
    ::pthread_cancel(thread);
    void* result = nullptr;
    timespec limit{};
    ::clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += must_happen_ms / 1000;
    CHECK(::pthread_timedjoin_np(thread, &result, &limit) == 0 && result == PTHREAD_CANCELED,
          "a thread blocked in DQBUF could not be cancelled");
    blocked.fence.end();
    TRY(answers(blocked.stream.try_dequeue(), 0, "DQBUF after a cancelled waiter"));
    return blocked.stream.stop();
}

Checked<> ends_from_many_threads(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    for (unsigned round = 0; round < 10; ++round) {
        std::vector<TestFence> fences;
        for (unsigned index = 0; index < stream.count(); ++index) {
            fences.push_back(TRY(rig.fence()));
            TRY(stream.queue(index, {.in = fences.back().fd.get(), .out = true}));
        }
        TRY(stream.start());
        std::vector<BoundedThread> enders;
        for (TestFence& fence : fences) {
            enders.emplace_back([&fence]() -> Checked<> {
                fence.end();
                return {};
            });
        }
        const unsigned due = stream.count() - rig.facts().keeps;
        for (unsigned index = 0; index < due; ++index) {
            TRY(stream.dequeue_good(index));
        }
        for (BoundedThread& ender : enders) {
            TRY(ender.finish("the end of a fence"));
        }
        TRY(stream.stop());
    }
    return {};
}

/// One thread fetches, one queues what was fetched, one ends the in-fences.
Checked<> queue_beside_dequeue(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    constexpr unsigned frames = 100;
    std::mutex mutex;
    std::vector<unsigned> fetched;
    std::vector<TestFence> pending;
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.queue(index));
    }
    TRY(stream.start());
    std::atomic<bool> over{false};
    BoundedThread queuer([&]() -> Checked<> {
        while (!over) {
            std::vector<unsigned> batch;
            {
                const std::lock_guard lock(mutex);
                batch.swap(fetched);
            }
            for (const unsigned index : batch) {
                TestFence fence = TRY(rig.fence());
                TRY(answers(stream.try_queue(index, {.in = fence.fd.get()}), 0, "QBUF"));
                const std::lock_guard lock(mutex);
                pending.push_back(std::move(fence));
            }
            pause_ms(1);
        }
        return {};
    });
    BoundedThread ender([&]() -> Checked<> {
        while (!over) {
            std::vector<TestFence> batch;
            {
                const std::lock_guard lock(mutex);
                batch.swap(pending);
            }
            for (TestFence& fence : batch) {
                fence.end();
            }
            pause_ms(1);
        }
        return {};
    });
    const auto fetch_all = [&]() -> Checked<> {
        for (unsigned frame = 0; frame < frames; ++frame) {
            const Frame came = TRY(stream.dequeue_good(frame % stream.count()));
            const std::lock_guard lock(mutex);
            fetched.push_back(came.index);
        }
        return {};
    };
    const Checked<> result = fetch_all();
    over = true;
    TRY(queuer.finish("the thread that queues"));
    TRY(ender.finish("the thread that ends fences"));
    TRY(stream.stop());
    return result;
}

Checked<> thread_ends_with_the_file(Rig& rig) {
    const std::size_t before = running_threads(1);
    {
        Stream stream = TRY(Stream::open(rig));
        TestFence fence = TRY(rig.fence());
        TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
        if (const auto stats = rig.stats()) {
            CHECK(stats->threads <= 1 && stats->fenced_files == 1,
                  "{} threads and {} fenced files, expected one of each", stats->threads,
                  stats->fenced_files);
        }
        fence.end();
    }
    const std::size_t now = running_threads(before);
    CHECK(now == before, "{} threads run after close, expected {}", now, before);
    return {};
}

constexpr Case cases[] = {
    {"blocking-dqbuf@waits-for-fence", "7.1", "", "It waits while everything is held",
     waits_for_the_fence},
    {"blocking-dqbuf@streamoff-einval", "7.1, 5.4", "#105",
     "Another thread's STREAMOFF ends it with EINVAL, while all is held", ended_by_streamoff},
    {"blocking-dqbuf@idle-streamoff-einval", "7.1, 5.4", "", "And while nothing is queued",
     ended_by_streamoff_in_kernel},
    {"blocking-dqbuf@restarted-meanwhile", "7.1, 5.4", "",
     "And when the next stream has begun before it looks", restarted_meanwhile},
    {"close@unfenced-during-dqbuf", "6.1", "",
     "close of an unfenced file waits for no DQBUF of another thread", close_beside_unfenced_dqbuf},
    {"blocking-dqbuf@second-ebusy", "7.1", "", "A second waiter gets EBUSY", second_waiter_is_busy},
    {"blocking-dqbuf@signal-eintr", "7.1", "", "A signal ends it with EINTR", signal_interrupts},
    {"blocking-dqbuf@others-pass", "4.4, 7.1", "#111", "It holds no lock that others need",
     calls_pass_a_waiter},
    {"blocking-dqbuf@cancelled-harmless", "7.1", "", "Its thread may be cancelled at any moment",
     cancelled_waiter_harmless},
    {"threads@fences-end-at-once", "4.1, 4.4, 7.2", "#16 #75",
     "Fences that end on many threads keep the order", ends_from_many_threads},
    {"threads@queue-beside-dequeue", "4.4, 7.2", "", "QBUF, DQBUF and ends of fences at once",
     queue_beside_dequeue},
    {"threads@end-with-last-file", "7.3", "", "The library's thread ends with the last fenced file",
     thread_ends_with_the_file},
};

}  // namespace

std::span<const Case> thread_cases() {
    return cases;
}

}  // namespace v4lfence
