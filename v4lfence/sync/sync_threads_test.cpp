// SPDX-License-Identifier: MIT
//
// Sync under real threads, for the sanitizers too; and what a frame costs on the heap.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "v4lfence/fence/testing/scripted_clock.hpp"
#include "v4lfence/sync/sync.hpp"

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

void* operator new(std::size_t size) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* const memory = std::malloc(size)) {
        return memory;
    }
    std::abort();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}

namespace v4lfence {
namespace {

constexpr unsigned buffers = 4;

/// Counts; nobody may end a fence or give a buffer while it is closed.
class CountingFences final : public FenceContext {
public:
    Result<MintedFence> mint(unsigned slot) override {
        ++minted;
        return MintedFence{UniqueFd(), FencePromise(*this, UniqueFd(), slot)};
    }
    Result<> begin_generation(bool /*ordered*/) override { return {}; }
    void abandon() noexcept override {}

    std::uint64_t minted = 0;
    std::atomic<std::uint64_t> ended{0};
    std::atomic<std::uint64_t> late{0};
    std::atomic<bool> closed{false};

private:
    void end_fence(UniqueFd /*end*/, std::uint64_t /*id*/, int /*error*/) noexcept override {
        late.fetch_add(closed.load() ? 1 : 0);
        ended.fetch_add(1);
    }
};

/// A device and a source of in-fences, each with a list that its own thread works off.
class Machine final : public Taker, public FenceWaits {
public:
    Answer give(unsigned index) override {
        late.fetch_add(closed.load() ? 1 : 0);
        {
            const std::lock_guard lock(mutex_);
            device_.push(index);
        }
        given.fetch_add(1);
        return {};
    }
    Answer start(unsigned /*count*/) override { return {}; }

    Result<> watch(Job job, const Fence& /*fence*/) override {
        const std::lock_guard lock(mutex_);
        pending_[job.index] = job;
        return {};
    }
    /// As promised: waits for a report on another thread.
    void unwatch(unsigned index) override {
        if (std::this_thread::get_id() == reporter_.load()) {
            const std::lock_guard lock(mutex_);
            pending_[index] = Job{};
            return;
        }
        const std::lock_guard report(report_mutex_);
        const std::lock_guard lock(mutex_);
        pending_[index] = Job{};
    }
    void set_deadline(Deadline /*deadline*/) override {}
    void wake() override { late.fetch_add(closed.load() ? 1 : 0); }
    void on_given() override { late.fetch_add(closed.load() ? 1 : 0); }

    /// Ends an in-fence, if one is pending.
    void end_one(Sync& sync, unsigned index, int error) {
        const std::lock_guard report(report_mutex_);
        reporter_.store(std::this_thread::get_id());
        Job job;
        {
            const std::lock_guard lock(mutex_);
            job = pending_[index];
        }
        if (job.position != 0) {
            const auto state = error == 0 ? FenceState::Signaled : FenceState::Failed;
            sync.on_in_fence(job, {state, error, std::nullopt});
        }
        reporter_.store(std::thread::id());
    }

    /// Finishes the oldest buffer of the device. Returns its index, or -1.
    int finish_one(Sync& sync) {
        unsigned index = 0;
        {
            const std::lock_guard lock(mutex_);
            if (device_.is_empty()) {
                return -1;
            }
            index = device_.pop();
        }
        sync.finish(sync.view(index).job, 0);
        return static_cast<int>(index);
    }

    void stop_device() {
        const std::lock_guard lock(mutex_);
        device_ = {};
    }

    std::atomic<std::uint64_t> given{0};
    std::atomic<std::uint64_t> late{0};
    std::atomic<bool> closed{false};

private:
    struct Ring {
        bool is_empty() const { return head == tail; }
        void push(unsigned index) { slots[tail++ % slots.size()] = index; }
        unsigned pop() { return slots[head++ % slots.size()]; }
        std::array<unsigned, 16> slots{};
        std::size_t head = 0;
        std::size_t tail = 0;
    };

    std::mutex report_mutex_;  ///< One report at a time.
    std::atomic<std::thread::id> reporter_{};
    std::mutex mutex_;  ///< For what follows.
    Ring device_;
    std::array<Job, buffers> pending_{};
};

struct Setting {
    explicit Setting(SyncOptions options = {}) {
        sync.set_options(options);
        sync.resize(buffers);
    }

    bool qbuf(unsigned index, bool in) {
        Submission submission;
        submission.index = index;
        if (in) {
            submission.in = Fence::adopt(UniqueFd(), FenceKind::Stream);
        }
        submission.out = std::move(fences.mint(index)->promise);
        return sync.queue(std::move(submission)).has_value();
    }

    testing::ScriptedClock clock;
    FenceCounters counters;
    CountingFences fences;
    Machine machine;
    Sync sync{machine, machine, clock, counters};
};

/// Runs `work` until the scope ends.
class Worker {
public:
    template <class Work>
    Worker(std::atomic<bool>& stop, Work work)
        : thread_([&stop, work] {
              while (!stop.load()) {
                  work();
                  std::this_thread::yield();
              }
          }) {}
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() { thread_.join(); }

private:
    std::thread thread_;
};

/// Fetches what is finished or failed. Returns whether there was anything.
bool dequeue_any(Sync& sync) {
    bool found = false;
    for (unsigned index = 0; index < buffers; ++index) {
        const bool failed = sync.next_failed() == index;
        if (failed || sync.view(index).state == SlotState::Done) {
            sync.dequeue(index);
            found = true;
        }
    }
    return found;
}

// Pins: 4.1, 4.4, 4.7, 7.2
TEST(SyncThreads, every_frame_passes_once) {
    constexpr std::uint64_t frames = 20000;
    Setting at({.ordered = false});
    ASSERT_TRUE(at.sync.stream_on().has_value());
    std::atomic<bool> stop{false};
    std::uint64_t queued = 0;
    std::uint64_t failed = 0;
    {
        const Worker device(stop, [&] { at.machine.finish_one(at.sync); });
        const Worker ender(stop, [&, round = 0U]() mutable {
            ++round;
            at.machine.end_one(at.sync, round % buffers, round % 7 == 0 ? -EIO : 0);
        });
        const Worker looker(stop, [&] {
            for (unsigned index = 0; index < buffers; ++index) {
                (void)at.sync.view(index);
            }
            (void)at.sync.first_given_fence();
        });
        while (at.sync.view().held > 0 || at.sync.view().given > 0 || queued < frames) {
            for (unsigned index = 0; index < buffers && queued < frames; ++index) {
                if (at.sync.check_queueable(index)) {
                    ASSERT_TRUE(at.qbuf(index, queued % 3 != 0));
                    ++queued;
                }
            }
            for (unsigned index = 0; index < buffers; ++index) {
                const SlotView view = at.sync.view(index);
                if (view.state == SlotState::Done || at.sync.next_failed() == index) {
                    failed += view.state == SlotState::Failed ? 1 : 0;
                    at.sync.dequeue(index);
                    ASSERT_FALSE(at.sync.view(index).out_fence_pending);
                }
            }
            std::this_thread::yield();
        }
        stop = true;
    }
    while (dequeue_any(at.sync)) {}
    EXPECT_EQ(at.fences.ended.load(), frames);
    EXPECT_EQ(at.counters.ended.load(), frames);
    EXPECT_LE(at.machine.given.load(), frames);
    EXPECT_GE(at.machine.given.load(), frames / 2);
    EXPECT_GT(failed, 0U);
}

/// STREAMOFF against everything; after cancel() nobody calls anybody.
void race_stop(SyncOptions options, unsigned rounds) {
    Setting at(options);
    std::atomic<bool> stop{false};
    std::atomic<bool> device_on{false};
    std::mutex device;  // What a driver's stop_streaming() waits for.
    {
        const Worker finisher(stop, [&] {
            const std::lock_guard lock(device);
            if (device_on.load()) {
                at.machine.finish_one(at.sync);
            }
        });
        const Worker ender(stop, [&, round = 0U]() mutable {
            ++round;
            at.machine.end_one(at.sync, round % buffers, round % 5 == 0 ? -EIO : 0);
        });
        const Worker fetcher(stop, [&] { dequeue_any(at.sync); });
        for (unsigned round = 0; round < rounds; ++round) {
            device_on = true;
            at.fences.closed = at.machine.closed = false;
            ASSERT_TRUE(at.sync.stream_on().has_value());
            for (unsigned step = 0; step < 2 * buffers; ++step) {
                const unsigned index = step % buffers;
                if (at.sync.check_queueable(index)) {
                    ASSERT_TRUE(at.qbuf(index, step % 2 == 0));
                }
                if (round % 4 == 0) {
                    std::this_thread::yield();
                }
            }
            const Sync::Pause pause(at.sync);
            {
                const std::lock_guard lock(device);
                device_on = false;
                at.machine.stop_device();
            }
            at.sync.cancel(-ECANCELED);
            at.machine.closed = true;
            at.fences.closed = true;
            ASSERT_EQ(at.fences.ended.load(), at.fences.minted);
            for (unsigned index = 0; index < buffers; ++index) {
                ASSERT_EQ(at.sync.view(index).state, SlotState::Dequeued);
            }
            std::this_thread::yield();
        }
        stop = true;
    }
    EXPECT_EQ(at.machine.late.load(), 0U);
    EXPECT_EQ(at.fences.late.load(), 0U);
    EXPECT_GT(at.machine.given.load(), 0U);
}

// Pins: 5.4
TEST(SyncThreads, nothing_happens_after_cancel_has_returned) {
    race_stop({.ordered = true}, 3000);
    race_stop({.ordered = false}, 3000);
}

// Pins: 5.4
TEST(SyncThreads, nothing_happens_after_cancel_has_returned_with_a_start) {
    race_stop({.ordered = true, .taker_starts = false, .minimum = 2}, 3000);
}

// Pins: 5.4
TEST(SyncThreads, queue_that_fails_while_it_is_stopped_is_whole_afterwards) {
    Setting at;
    std::atomic<bool> stop{false};
    {
        const Worker breaker(stop, [&] { at.sync.fail_queue(-ENODEV); });
        const Worker ender(
            stop, [&, round = 0U]() mutable { at.machine.end_one(at.sync, ++round % buffers, 0); });
        for (unsigned round = 0; round < 3000; ++round) {
            for (unsigned index = 0; index < buffers; ++index) {
                (void)at.qbuf(index, index % 2 == 0);
            }
            const Sync::Pause pause(at.sync);
            at.sync.cancel(-ECANCELED);
            ASSERT_EQ(at.fences.ended.load(), at.fences.minted);
        }
        stop = true;
    }
    {
        const Sync::Pause pause(at.sync);
        at.sync.cancel(-ECANCELED);
    }
    ASSERT_TRUE(at.qbuf(0, true));
    at.machine.end_one(at.sync, 0, 0);
    EXPECT_EQ(at.sync.view(0).state, SlotState::Given);
}

TEST(SyncThreads, frame_costs_no_allocation) {
    Setting at;
    ASSERT_TRUE(at.sync.stream_on().has_value());
    const std::uint64_t before = allocations.load();
    for (unsigned frame = 0; frame < 1000; ++frame) {
        const unsigned index = frame % buffers;
        ASSERT_TRUE(at.qbuf(index, true));
        at.machine.end_one(at.sync, index, frame % 10 == 0 ? -EIO : 0);
        if (frame % 10 != 0) {
            ASSERT_EQ(at.machine.finish_one(at.sync), static_cast<int>(index));
        }
        at.sync.dequeue(index);
    }
    EXPECT_EQ(allocations.load(), before);
    EXPECT_EQ(at.fences.ended.load(), 1000U);
    const auto counted = std::make_unique<std::uint64_t>(before);
    EXPECT_EQ(allocations.load(), *counted + 1) << "the counter counts";
}

}  // namespace
}  // namespace v4lfence
