// SPDX-License-Identifier: MIT
//
// A queue under many threads, for the sanitizers too, and across a fork.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::none;
using testing::outcome;
using testing::Rig;
using testing::TestFence;
using State = BufferReport::State;

/// Ends the program when a test hangs, so that its threads can be looked at.
class Watch {
public:
    Watch() : thread_([this] { run(); }) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
        }
        ended_.notify_all();
        thread_.join();
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        if (!ended_.wait_for(lock, std::chrono::seconds(100), [this] { return over_; })) {
            std::fputs("the test hangs\n", stderr);
            std::abort();
        }
    }

    std::mutex mutex_;
    std::condition_variable ended_;
    bool over_ = false;
    std::thread thread_;
};

/// Runs `work` until the scope ends.
class Worker {
public:
    template <class Work>
    explicit Worker(Work work)
        : thread_([this, work]() mutable {
              while (!stop_.load()) {
                  work();
                  std::this_thread::yield();
              }
          }) {}
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() {
        stop_ = true;
        thread_.join();
    }

private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

/// In-fences that one thread makes and another ends.
class Fences {
public:
    explicit Fences(Rig& rig) : rig_(rig) {}
    /// The descriptor stays its own until end_one().
    int make() {
        TestFence fence = rig_.fence();
        const std::lock_guard lock(mutex_);
        pending_.push_back(std::move(fence));
        return pending_.back().fd.get();
    }
    bool end_one(int error) {
        TestFence fence;
        {
            const std::lock_guard lock(mutex_);
            if (pending_.empty()) {
                return false;
            }
            fence = std::move(pending_.front());
            pending_.erase(pending_.begin());
        }
        fence.end(error);
        const std::lock_guard lock(mutex_);
        ended_.push_back(std::move(fence.fd));  // Its number may be in use by a QBUF.
        return true;
    }
    void forget() {
        const std::lock_guard lock(mutex_);
        ended_.clear();
    }

private:
    Rig& rig_;
    std::mutex mutex_;
    std::vector<TestFence> pending_;
    std::vector<UniqueFd> ended_;
};

/// Buffers that go round between producers, the device and consumers.
struct Traffic {
    static constexpr unsigned buffers = 8;
    static constexpr unsigned frames = 1500;

    explicit Traffic(Rig& used) : rig(used) {
        for (unsigned index = 0; index < buffers; ++index) {
            mine.push_back(index);
        }
    }

    void produce() {
        unsigned index = 0;
        std::optional<int> fence;
        {
            const std::lock_guard lock(mutex);
            if (mine.empty() || queued.load() >= frames) {
                return;
            }
            index = mine.back();
            mine.pop_back();
            if (queued.fetch_add(1) % 3 == 0) {
                fence = fences.make();
            }
        }
        errors += rig.qbuf_out(index, fence) == 0 ? 0 : 1;
        stored[index] = true;
    }

    void consume() {
        const int answer = rig.dqbuf();
        if (answer < 0) {
            errors += answer == none ? 0 : 1;
            return;
        }
        const auto index = static_cast<unsigned>(answer);
        while (!stored[index].exchange(false)) {
            std::this_thread::yield();
        }
        errors += outcome(rig.out[index].get()) == 1 ? 1 : 0;
        {
            const std::lock_guard lock(mutex);
            mine.push_back(index);
        }
        dequeued.fetch_add(1);
    }

    Rig& rig;
    Fences fences{rig};
    std::mutex mutex;
    std::vector<unsigned> mine;                       ///< The program's. Guarded by mutex.
    std::array<std::atomic<bool>, buffers> stored{};  ///< Its out-fence is in its place.
    std::atomic<unsigned> queued{0};
    std::atomic<unsigned> dequeued{0};
    std::atomic<unsigned> errors{0};
};

// Pins: 4.1, 4.4, 4.8
TEST(QueueThreads, every_frame_passes_once) {
    const Watch watch;
    Rig rig;
    rig.driver.remembers = false;
    rig.queue->set_ordered(false);
    rig.request(Traffic::buffers);
    rig.stream_on();
    Traffic traffic(rig);
    {
        const Worker first_device([&] { rig.driver.finish_one(); });
        const Worker second_device([&] { rig.driver.finish(3); });
        const Worker ender(
            [&, n = 0]() mutable { traffic.fences.end_one(++n % 5 == 0 ? -EIO : 0); });
        const Worker first_producer([&] { traffic.produce(); });
        const Worker second_producer([&] { traffic.produce(); });
        const Worker first_consumer([&] { traffic.consume(); });
        const Worker second_consumer([&] { traffic.consume(); });
        const Worker looker([&, n = 0U]() mutable {
            (void)rig.queue->query(++n % Traffic::buffers);
            (void)rig.queue->ready_counts();
        });
        while (traffic.dequeued.load() < Traffic::frames) {
            std::this_thread::yield();
        }
    }
    EXPECT_EQ(traffic.errors, 0U);
    EXPECT_EQ(traffic.queued, Traffic::frames);
    EXPECT_EQ(traffic.dequeued, Traffic::frames);
    EXPECT_EQ(rig.dqbuf(), none);
    EXPECT_EQ(rig.driver.overlaps, 0U);
    EXPECT_EQ(rig.driver.prepares, Traffic::frames);
    EXPECT_EQ(rig.driver.finishes, Traffic::frames);
    EXPECT_EQ(rig.shown.counts().now, 0U);
}

enum class End { StreamOff, Reqbufs, Disconnect, Close };

void storm(End end, unsigned rounds) {
    constexpr unsigned buffers = 4;
    const Watch watch;
    Rig rig;
    rig.driver.remembers = false;
    Fences fences(rig);
    std::atomic<unsigned> wrong{0};
    {
        const Worker device([&] { rig.driver.finish_one(); });
        const Worker ender([&, n = 0]() mutable { fences.end_one(++n % 4 == 0 ? -EIO : 0); });
        const Worker consumer([&] {
            const int index = rig.dqbuf();
            const bool known = index >= none || index == -EINVAL || index == -EBUSY ||
                               index == -ENODEV || index == -EIO;
            wrong += known ? 0 : 1;
        });
        const Worker waiter([&] {
            if (const auto plan = rig.queue->begin_wait()) {
                pollfd waited{plan->wake_fd, POLLIN, 0};
                wrong += sys::poll(std::span(&waited, 1), 60'000).value_or(1) == 0 ? 1 : 0;
                (void)rig.queue->end_wait(*plan);
            }
        });
        const Worker looker([&, n = 0U]() mutable { (void)rig.queue->query(++n % buffers); });
        for (unsigned round = 0; round < rounds; ++round) {
            ASSERT_EQ(rig.request(buffers), static_cast<int>(buffers));
            ASSERT_EQ(rig.stream_on(), 0);
            for (unsigned step = 0; step < 2 * buffers; ++step) {
                const auto in = step % 3 == 1 ? std::optional(fences.make()) : std::nullopt;
                const int answer = rig.qbuf_out(step % buffers, in);
                ASSERT_TRUE(answer == 0 || answer == -EINVAL) << answer;
                if (round % 2 == 0) {
                    std::this_thread::yield();
                }
            }
            if (end == End::Disconnect) {
                rig.queue->fail(-ENODEV);
                const unsigned given = rig.driver.given_count;
                ASSERT_EQ(rig.driver.held(), 0U);
                const int answer = rig.dqbuf();
                ASSERT_TRUE(answer == -ENODEV || answer == -EBUSY) << answer;
                ASSERT_EQ(rig.driver.given_count, given);
            }
            if (end == End::Close) {
                rig.queue->close();
            } else {
                rig.queue->stream_off();
            }
            if (end == End::Reqbufs) {
                ASSERT_EQ(rig.qbuf_out(0), 0);
                ASSERT_EQ(rig.request(buffers), static_cast<int>(buffers));
            }
            ASSERT_EQ(rig.queue->ready_counts().now, 0U);
            for (unsigned index = 0; index < buffers; ++index) {
                ASSERT_NE(outcome(rig.out[index].get()), 1);
                if (end != End::Close) {
                    ASSERT_EQ(rig.state(index), State::Dequeued);
                }
            }
            fences.forget();
            ASSERT_EQ(rig.request(0), 0);
        }
    }
    EXPECT_EQ(wrong, 0U);
    EXPECT_EQ(rig.driver.overlaps, 0U);
    EXPECT_EQ(rig.driver.prepares, rig.driver.finishes);
    while (fences.end_one(0)) {}
}

// Pins: 5.4
TEST(QueueThreads, streamoff_amid_everything) {
    storm(End::StreamOff, 400);
}

// Pins: 5.4
TEST(QueueThreads, reqbufs_amid_everything) {
    storm(End::Reqbufs, 400);
}

// Pins: 5.4
TEST(QueueThreads, disconnect_amid_everything) {
    storm(End::Disconnect, 400);
}

// Pins: 5.4
TEST(QueueThreads, close_amid_everything) {
    storm(End::Close, 200);
}

TEST(QueueThreads, buffer_dropped_around_the_end_of_a_start_is_never_lost) {
    const Watch watch;
    Rig rig;
    rig.driver.remembers = false;
    rig.request(1);
    const Worker dropper([&] { rig.driver.take(); });
    for (unsigned round = 0; round < 300; ++round) {
        ASSERT_EQ(rig.qbuf(0), 0);
        ASSERT_EQ(rig.stream_on(), 0);
        ASSERT_TRUE(rig.shown.wait_until([](const ReadyCounts& c) { return c.now > 0; }))
            << "round " << round;
        const auto report = rig.queue->dequeue();
        ASSERT_TRUE(report);
        ASSERT_TRUE(report->error);
        rig.queue->stream_off();
    }
}

TEST(QueueThreads, dqbuf_of_a_buffer_races_its_next_qbuf) {
    const Watch watch;
    Rig rig;
    rig.driver.remembers = false;
    rig.driver.fast = true;
    rig.request(1);
    rig.stream_on();
    // A program that does not wait for the answer of its DQBUF.
    const Worker hasty([&] { (void)rig.qbuf(0); });
    for (unsigned frame = 0; frame < 2000; ++frame) {
        ASSERT_TRUE(rig.shown.wait_until([](const ReadyCounts& c) { return c.now > 0; }));
        const auto report = rig.queue->dequeue();
        ASSERT_TRUE(report);
        ASSERT_EQ(report->sequence, frame);
        ASSERT_EQ(report->planes[0].bytes_used, 100U);
    }
}

// --- fork ----------------------------------------------------------------------------------------

/// What a child makes of the queue. 0, or the number of the step that went wrong.
int use_in_child(Rig& rig) {
    ::alarm(20);
    rig.core.abandon();
    rig.queue->abandon();
    rig.queue->unlock_sync_after_fork();
    rig.shown.unlock_after_fork();
    rig.queue->unlock_calls_after_fork();
    if (rig.qbuf(0) != -EIO) {
        return 1;
    }
    if (rig.dqbuf() != -EIO) {
        return 2;
    }
    if (!rig.queue->query(1)) {
        return 3;
    }
    const unsigned stops = rig.driver.stops;
    rig.queue->close();
    if (rig.queue->has_buffers()) {
        return 4;
    }
    return rig.driver.stops == stops ? 0 : 5;
}

/// Forks as the C API does it; the child uses the queue and ends.
pid_t fork_with_user(Rig& rig) {
    rig.core.reactor().prepare_fork();
    rig.queue->lock_calls_for_fork();
    rig.shown.lock_for_fork();
    rig.queue->lock_sync_for_fork();
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(use_in_child(rig));
    }
    rig.queue->unlock_sync_after_fork();
    rig.shown.unlock_after_fork();
    rig.queue->unlock_calls_after_fork();
    rig.core.reactor().resume_after_fork();
    return child;
}

// Pins: 7.4
TEST(QueueFork, child_is_not_hung_by_what_the_parents_threads_were_at) {
    constexpr unsigned buffers = 4;
    const Watch watch;
    Rig rig;
    rig.driver.remembers = false;
    rig.request(buffers + 1);
    rig.stream_on();
    const Worker device([&] { rig.driver.finish_one(); });
    const Worker looker([&] { (void)rig.queue->query(1); });
    {
        const Worker program([&, n = 0U]() mutable {
            (void)rig.qbuf(++n % buffers);
            (void)rig.dqbuf();
        });
        for (unsigned round = 0; round < 40; ++round) {
            const pid_t child = fork_with_user(rig);
            int status = -1;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
            ASSERT_EQ(WEXITSTATUS(status), 0);
        }
    }
    TestFence fence = rig.fence();
    ASSERT_EQ(rig.qbuf_out(buffers, fence.fd.get()), 0);
    EXPECT_EQ(outcome(rig.out[buffers].get()), 1);
    fence.end();
    EXPECT_EQ(testing::final_outcome(rig.out[buffers].get()), 0) << "the parent goes on";
}

// Pins: 7.4
TEST(QueueFork, nobody_is_inside_while_it_is_locked) {
    const Watch watch;
    Rig rig;
    rig.stream(1);
    constexpr auto enough = std::chrono::milliseconds(50);
    rig.queue->lock_calls_for_fork();
    auto waiter = std::async(std::launch::async, [&] {
        const auto plan = rig.queue->begin_wait();
        return plan && rig.queue->end_wait(*plan);
    });
    auto caller = std::async(std::launch::async, [&] { return rig.prepare(0); });
    EXPECT_EQ(waiter.wait_for(enough), std::future_status::timeout);
    EXPECT_EQ(caller.wait_for(enough), std::future_status::timeout);
    rig.queue->lock_sync_for_fork();
    auto mapper =
        std::async(std::launch::async, [&] { return rig.queue->mappable(0).has_value(); });
    auto viewer = std::async(std::launch::async, [&] { return rig.queue->view().streaming; });
    EXPECT_EQ(mapper.wait_for(enough), std::future_status::timeout);
    EXPECT_EQ(viewer.wait_for(enough), std::future_status::timeout);
    rig.queue->unlock_sync_after_fork();
    rig.queue->unlock_calls_after_fork();
    EXPECT_TRUE(waiter.get());
    EXPECT_EQ(caller.get(), -EINVAL);
    EXPECT_TRUE(mapper.get());
    EXPECT_TRUE(viewer.get());
}

// Pins: 7.4
TEST(QueueFork, childs_end_leaves_the_parents_fence_alone) {
    Rig rig;
    rig.request(2);
    rig.stream_on();
    rig.qbuf_out(0);
    const pid_t child = fork_with_user(rig);
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_EQ(outcome(rig.out[0].get()), 1);
    rig.driver.finish_one();
    EXPECT_EQ(outcome(rig.out[0].get()), 0);
}

}  // namespace
}  // namespace v4lfence
