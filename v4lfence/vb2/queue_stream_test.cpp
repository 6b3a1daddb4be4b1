// SPDX-License-Identifier: MIT
//
// The stream, DQBUF and the wait for it, and what is shown of both.

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <deque>
#include <future>
#include <random>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::capture_traits;
using testing::code;
using testing::none;
using testing::Rig;
using testing::TestFence;
using State = BufferReport::State;

// --- STREAMON, STREAMOFF -------------------------------------------------------------------------

TEST(QueueStream, needs_as_many_buffers_as_its_minimum) {
    QueueTraits traits = capture_traits();
    traits.minimum_queued = 3;
    Rig rig(traits);
    EXPECT_EQ(rig.stream_on(), -EINVAL) << "none at all";
    rig.request(3);
    ASSERT_TRUE(rig.queue->remove_buffers(2, 1));
    EXPECT_EQ(rig.stream_on(), -EINVAL);
    rig.create(1);
    ASSERT_EQ(rig.stream_on(), 0);
    EXPECT_EQ(rig.stream_on(), 0) << "twice is once";
    rig.qbuf(0);
    rig.qbuf(1);
    EXPECT_TRUE(rig.driver.starts.empty());
    rig.qbuf(2);
    EXPECT_EQ(rig.driver.starts, (std::vector<unsigned>{3}));
    EXPECT_EQ(rig.driver.given, (std::vector<unsigned>{0, 1, 2}));
}

TEST(QueueStream, without_a_minimum_starts_with_nothing) {
    Rig rig;
    EXPECT_EQ(rig.stream_on(), -EINVAL);
    rig.request(1);
    ASSERT_EQ(rig.stream_on(), 0);
    EXPECT_EQ(rig.driver.starts, (std::vector<unsigned>{0}));
    EXPECT_TRUE(rig.shown.counts().streaming);
}

TEST(QueueStream, streamoff_gives_everything_back) {
    Rig rig;
    rig.stream(3);
    rig.driver.finish_one();
    rig.prepare(0);
    rig.queue->stream_off();
    EXPECT_EQ(rig.driver.stops, 1U);
    for (unsigned index = 0; index < 3; ++index) {
        EXPECT_EQ(rig.state(index), State::Dequeued);
        EXPECT_FALSE(rig.query(index).prepared);
    }
    EXPECT_EQ(rig.dqbuf(), -EINVAL);
    EXPECT_EQ(rig.shown.counts().now, 0U);
    EXPECT_FALSE(rig.shown.counts().streaming);
    rig.queue->stream_off();
    EXPECT_EQ(rig.driver.stops, 1U);
    rig.qbuf(2);
    rig.stream_on();
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), 2);
}

TEST(QueueStream, streamoff_before_the_start_empties_the_line) {
    Rig rig;
    rig.request(2);
    rig.qbuf(1);
    rig.queue->stream_off();
    EXPECT_EQ(rig.driver.stops, 0U);
    rig.qbuf(0);
    rig.qbuf(1);
    rig.stream_on();
    EXPECT_EQ(rig.driver.given, (std::vector<unsigned>{0, 1}));
}

TEST(QueueStream, start_that_fails_is_told_and_shown) {
    Rig rig;
    rig.request(1);
    rig.qbuf(0);
    const unsigned before = rig.shown.calls();
    rig.driver.start_error = -ENOSPC;
    EXPECT_EQ(rig.stream_on(), -ENOSPC);
    EXPECT_GT(rig.shown.calls(), before);
    EXPECT_FALSE(rig.shown.counts().streaming);
    EXPECT_EQ(rig.dqbuf(), -EINVAL);
    EXPECT_EQ(rig.stream_on(), 0);
}

TEST(QueueStream, close_leaves_no_buffer_and_no_thread) {
    Rig rig;
    rig.request(1);
    rig.stream_on();
    rig.qbuf_out(0);
    EXPECT_TRUE(rig.core.reactor().has_thread());
    rig.queue->close();
    EXPECT_FALSE(rig.core.reactor().has_thread());
    EXPECT_FALSE(rig.queue->has_buffers());
    rig.stream(1);
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), 0) << "the next file's";
}

TEST(QueueStream, failure_lasts_until_the_stream_is_stopped) {
    Rig rig;
    rig.request(2);
    rig.queue->fail(-EIO);
    EXPECT_EQ(rig.qbuf(0), -EIO);
    EXPECT_EQ(rig.stream_on(), -EIO);
    EXPECT_EQ(rig.dqbuf(), -EIO);
    rig.queue->stream_off();
    EXPECT_EQ(rig.shown.counts().failure, 0);
    EXPECT_EQ(rig.qbuf(0), 0);
}

// --- waiting -------------------------------------------------------------------------------------

bool rings(const Queue::WaitPlan& plan) {
    return sys::poll_now(plan.wake_fd, POLLIN).value() != 0;
}

/// As a blocking DQBUF does. The index, or a negative errno.
int blocking_dqbuf(Rig& rig) {
    while (true) {
        const int taken = rig.dqbuf();
        if (taken != none) {
            return taken;
        }
        const auto plan = rig.queue->begin_wait();
        if (!plan) {
            return plan.error().code;
        }
        pollfd waited{plan->wake_fd, POLLIN, 0};
        const auto woken = sys::poll(std::span(&waited, 1), 10'000);
        const int ended = code(rig.queue->end_wait(*plan));
        if (ended != 0) {
            return ended;
        }
        if (!woken || *woken == 0) {
            return -ETIME;
        }
    }
}

// Pins: 7.1
TEST(QueueWait, only_while_the_stream_is_on) {
    Rig rig;
    rig.request(1);
    EXPECT_EQ(code(rig.queue->begin_wait()), -EINVAL);
    rig.stream_on();
    const auto plan = rig.queue->begin_wait();
    ASSERT_TRUE(plan);
    EXPECT_FALSE(rings(*plan));
    EXPECT_TRUE(rig.queue->end_wait(*plan));
}

TEST(QueueWait, finish_between_the_look_and_the_wait_rings) {
    Rig rig;
    rig.stream(1);
    ASSERT_EQ(rig.dqbuf(), none);
    rig.driver.finish_one();
    const auto plan = rig.queue->begin_wait();
    ASSERT_TRUE(plan);
    EXPECT_TRUE(rings(*plan));
    EXPECT_TRUE(rig.queue->end_wait(*plan));
    EXPECT_EQ(rig.dqbuf(), 0);
}

TEST(QueueWait, finish_failure_and_a_failed_buffer_ring) {
    for (const int how : {0, 1, 2}) {
        Rig rig;
        rig.request(2);
        rig.stream_on();
        TestFence fence = rig.fence();
        rig.qbuf(0);
        rig.qbuf_in(1, fence.fd.get());
        const auto plan = rig.queue->begin_wait();
        ASSERT_TRUE(plan);
        EXPECT_FALSE(rings(*plan));
        if (how == 0) {
            rig.driver.finish_one();
        } else if (how == 1) {
            rig.queue->fail(-ENODEV);
        } else {
            fence.end(-EIO);
        }
        pollfd waited{plan->wake_fd, POLLIN, 0};
        EXPECT_EQ(sys::poll(std::span(&waited, 1), 10'000).value(), 1) << how;
        EXPECT_TRUE(rig.queue->end_wait(*plan)) << how;
        EXPECT_EQ(rig.dqbuf(), how == 0 ? 0 : how == 1 ? -ENODEV : 1);
        if (how == 0) {
            fence.end();
        }
    }
}

TEST(QueueWait, what_was_there_before_the_wait_rings) {
    Rig rig;
    rig.stream(1);
    rig.driver.is_last = true;
    rig.driver.finish_one();
    ASSERT_EQ(rig.dqbuf(), 0);
    const auto after_last = rig.queue->begin_wait();
    ASSERT_TRUE(after_last);
    EXPECT_TRUE(rings(*after_last)) << "EPIPE is an answer";
    EXPECT_TRUE(rig.queue->end_wait(*after_last));
    rig.queue->fail(-EIO);
    const auto after_failure = rig.queue->begin_wait();
    ASSERT_TRUE(after_failure);
    EXPECT_TRUE(rings(*after_failure));
    EXPECT_TRUE(rig.queue->end_wait(*after_failure));
}

// Pins: 7.1
TEST(QueueWait, second_waiter_is_refused) {
    Rig rig;
    rig.stream(1);
    const auto plan = rig.queue->begin_wait();
    ASSERT_TRUE(plan);
    std::async(std::launch::async, [&] {
        EXPECT_EQ(code(rig.queue->begin_wait()), -EBUSY);
        EXPECT_EQ(rig.dqbuf(), -EBUSY);
    }).get();
    ASSERT_TRUE(rig.queue->end_wait(*plan));
    std::async(std::launch::async, [&] { EXPECT_EQ(rig.dqbuf(), none); }).get();
}

// Pins: 7.1
TEST(QueueWait, streamoff_ends_it_with_einval) {
    Rig rig;
    rig.stream(1);
    auto waiter = std::async(std::launch::async, [&] { return blocking_dqbuf(rig); });
    // Until it waits, others are not refused.
    while (rig.dqbuf() != -EBUSY) {
        std::this_thread::yield();
    }
    rig.queue->stream_off();
    EXPECT_EQ(waiter.get(), -EINVAL);
    rig.stream_on();
    EXPECT_EQ(rig.dqbuf(), none);
}

// Pins: 7.1
TEST(QueueWait, stream_that_was_restarted_meanwhile_ends_it_too) {
    Rig rig;
    rig.stream(1);
    const auto plan = rig.queue->begin_wait();
    ASSERT_TRUE(plan);
    rig.queue->stream_off();
    EXPECT_TRUE(rings(*plan));
    rig.stream_on();
    EXPECT_EQ(code(rig.queue->end_wait(*plan)), -EINVAL);
}

TEST(QueueWait, no_finish_is_missed) {
    Rig rig;
    rig.stream(4);
    std::atomic<bool> stop{false};
    std::thread device([&] {
        while (!stop.load()) {
            rig.driver.finish_one();
            std::this_thread::yield();
        }
    });
    for (unsigned frame = 0; frame < 300; ++frame) {
        const int index = blocking_dqbuf(rig);
        if (index < 0) {
            ADD_FAILURE() << "frame " << frame << ": " << index;
            break;
        }
        ASSERT_EQ(rig.qbuf(static_cast<unsigned>(index)), 0);
    }
    stop = true;
    device.join();
}

// --- what is shown -------------------------------------------------------------------------------

/// What DQBUF has to answer, by the rules and not by the code: the device has an order of its own.
class Model {
public:
    void queue(unsigned index, bool failed) { line_.push_back({index, failed ? Failed : Given}); }
    void finish(unsigned index) {
        find(index)->what = Done;
        finished_.push_back(index);
    }
    std::vector<unsigned> with_device() const {
        std::vector<unsigned> found;
        for (const Entry& entry : line_) {
            if (entry.what == Given) {
                found.push_back(entry.index);
            }
        }
        return found;
    }
    bool has(unsigned index) { return find(index) != line_.end(); }
    int next() {
        const auto failed = std::find_if(line_.begin(), line_.end(),
                                         [](const Entry& e) { return e.what == Failed; });
        if (failed != line_.end() && (failed == line_.begin() || !ordered_)) {
            return static_cast<int>(failed->index);
        }
        if (!finished_.empty()) {
            return static_cast<int>(finished_.front());
        }
        return failed != line_.end() ? static_cast<int>(failed->index) : none;
    }
    void take(unsigned index) {
        const auto entry = find(index);
        if (entry->what == Done) {
            finished_.pop_front();
            ordered_ = ordered_ && std::all_of(line_.begin(), entry,
                                               [](const Entry& e) { return e.what == Failed; });
        }
        line_.erase(entry);
    }
    void clear() { *this = Model(); }

private:
    enum What { Given, Done, Failed };
    struct Entry {
        unsigned index;
        What what;
    };
    std::vector<Entry>::iterator find(unsigned index) {
        return std::find_if(line_.begin(), line_.end(),
                            [&](const Entry& e) { return e.index == index; });
    }
    std::vector<Entry> line_;
    std::deque<unsigned> finished_;
    bool ordered_ = true;
};

TEST(QueueReady, shown_is_what_dqbuf_answers_on_a_random_walk) {
    constexpr unsigned buffers = 6;
    for (unsigned seed = 1; seed <= 20; ++seed) {
        std::mt19937 random(seed);
        Rig rig;
        Model model;
        rig.request(buffers);
        rig.stream_on();
        TestFence failed = rig.fence();
        failed.end(-EIO);
        std::uint64_t became = 0;
        for (unsigned step = 0; step < 2000; ++step) {
            const unsigned index = random() % buffers;
            const unsigned what = random() % 64;
            const bool was_ready = model.next() >= 0;
            if (what < 28) {
                const bool bad = random() % 4 == 0;
                const int answer = bad ? rig.qbuf_in(index, failed.fd.get()) : rig.qbuf(index);
                ASSERT_EQ(answer, model.has(index) ? -EINVAL : 0);
                if (answer == 0) {
                    model.queue(index, bad);
                }
            } else if (what < 44) {
                const auto given = model.with_device();
                if (!given.empty()) {
                    const unsigned chosen = given[random() % given.size()];
                    ASSERT_TRUE(rig.driver.finish(chosen));
                    model.finish(chosen);
                }
            } else if (what < 62) {
                const int next = model.next();
                ASSERT_EQ(rig.dqbuf(), next) << "seed " << seed << " step " << step;
                if (next >= 0) {
                    model.take(static_cast<unsigned>(next));
                }
            } else if (what == 62) {
                rig.queue->stream_off();
                model.clear();
                ASSERT_EQ(rig.stream_on(), 0);
            }
            const ReadyCounts shown = rig.shown.counts();
            ASSERT_EQ(shown.now > 0, model.next() >= 0) << "seed " << seed << " step " << step;
            if (!was_ready && model.next() >= 0) {
                ASSERT_GT(shown.became, became) << "seed " << seed << " step " << step;
            }
            became = shown.became;
        }
    }
}

}  // namespace
}  // namespace v4lfence
