// SPDX-License-Identifier: MIT
//
// Sync under real threads, for the sanitizers too.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <mutex>
#include <thread>

#include "v4lfence/sync/testing/machine.hpp"

namespace v4lfence {
namespace {

using testing::buffers;
using testing::Door;
using testing::Setting;

/// Runs `work` until the scope ends.
class Worker {
public:
    template <class Work>
    Worker(std::atomic<bool>& stop, Work work)
        : thread_([&stop, work]() mutable {
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
    race_stop({.ordered = true}, 8000);
    race_stop({.ordered = false}, 8000);
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

/// `work` is under way, behind `door`: cancel() must not return before it has ended.
template <class Work>
void expect_cancel_to_wait(Setting& at, Door& door, Work work) {
    door.is_shut = true;
    auto other = std::async(std::launch::async, work);
    door.is_reached.wait(false);
    auto stopping = std::async(std::launch::async, [&] {
        const Sync::Pause pause(at.sync);
        at.sync.cancel(-ECANCELED);
    });
    EXPECT_EQ(stopping.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    door.is_shut = false;
    door.is_shut.notify_all();
    stopping.get();
    other.get();
    EXPECT_EQ(at.sync.view().held + at.sync.view().given, 0U);
    EXPECT_EQ(at.sync.view().failure, 0);
}

// Pins: 5.4
TEST(SyncThreads, cancel_waits_for_a_fence_end_under_way) {
    Setting at;
    ASSERT_TRUE(at.qbuf(0, false));
    const Job job = at.sync.view(0).job;
    expect_cancel_to_wait(at, at.fences.blocks_end, [&] { at.sync.finish(job, 0); });
    EXPECT_EQ(at.fences.ended.load(), 1U);
}

// Pins: 5.4
TEST(SyncThreads, cancel_waits_for_a_report_under_way) {
    Setting at;
    ASSERT_TRUE(at.qbuf(0, true));
    expect_cancel_to_wait(at, at.machine.blocks_given, [&] { at.machine.end_one(at.sync, 0, 0); });
}

// Pins: 5.4
TEST(SyncThreads, cancel_waits_for_the_clean_up_of_a_failed_queue) {
    Setting at;
    ASSERT_TRUE(at.qbuf(0, true));
    expect_cancel_to_wait(at, at.machine.blocks_wake, [&] { at.sync.fail_queue(-ENODEV); });
}

}  // namespace
}  // namespace v4lfence
