// SPDX-License-Identifier: MIT
//
// Fences of a queue whose device is a driver in this process.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::capture_traits;
using testing::code;
using testing::DescriptorLimit;
using testing::final_outcome;
using testing::none;
using testing::open_descriptors;
using testing::outcome;
using testing::Rig;
using testing::TestFence;
using State = BufferReport::State;

// --- in-fences -----------------------------------------------------------------------------------

// Pins: 2.2, 4.1, 4.2
TEST(QueueInFence, holds_its_buffer_and_all_behind_it) {
    Rig rig;
    rig.request(3);
    rig.stream_on();
    TestFence fence = rig.fence();
    ASSERT_EQ(rig.qbuf(1), 0);
    ASSERT_EQ(rig.qbuf_in(0, fence.fd.get()), 0);
    ASSERT_EQ(rig.qbuf(2), 0);
    EXPECT_EQ(rig.driver.given, (std::vector<unsigned>{1}));
    EXPECT_TRUE(rig.query(0).in_fence_pending);
    EXPECT_FALSE(rig.query(2).in_fence_pending);
    EXPECT_EQ(rig.state(2), State::Queued);
    fence.end();
    ASSERT_TRUE(rig.driver.wait_until_given(3));
    EXPECT_EQ(rig.driver.given, (std::vector<unsigned>{1, 0, 2}));
    EXPECT_FALSE(rig.query(0).in_fence_pending);
}

TEST(QueueInFence, ended_one_holds_nothing_and_starts_no_loop) {
    Rig rig;
    rig.request(1);
    rig.stream_on();
    TestFence fence = rig.fence();
    fence.end();
    ASSERT_EQ(rig.qbuf_in(0, fence.fd.get()), 0);
    EXPECT_EQ(rig.driver.given_count, 1U);
    EXPECT_FALSE(rig.core.reactor().has_thread());
}

// Pins: 4.3
TEST(QueueInFence, its_end_starts_a_stream_that_lacked_the_minimum) {
    QueueTraits traits = capture_traits();
    traits.minimum_queued = 2;
    Rig rig(traits);
    rig.request(2);
    TestFence fence = rig.fence();
    rig.qbuf(0);
    rig.qbuf_in(1, fence.fd.get());
    ASSERT_EQ(rig.stream_on(), 0);
    EXPECT_TRUE(rig.driver.starts.empty());
    EXPECT_EQ(rig.driver.given_count, 0U);
    fence.end();
    ASSERT_TRUE(rig.driver.wait_until_given(2));
    rig.queue->stream_off();
    EXPECT_EQ(rig.driver.starts, (std::vector<unsigned>{2}));
}

// Pins: 4.5
TEST(QueueInFence, start_that_fails_at_its_end_fails_the_queue) {
    QueueTraits traits = capture_traits();
    traits.minimum_queued = 1;
    Rig rig(traits);
    rig.request(2);
    TestFence fence = rig.fence();
    ASSERT_EQ(rig.qbuf_out(0, fence.fd.get()), 0);
    ASSERT_EQ(rig.stream_on(), 0);
    ASSERT_EQ(rig.dqbuf(), none);
    rig.driver.start_error = -ENOSPC;
    fence.end();
    ASSERT_TRUE(rig.shown.wait_until([](const ReadyCounts& c) { return c.failure != 0; }));
    EXPECT_EQ(rig.shown.counts().failure, -EIO);
    EXPECT_EQ(final_outcome(rig.out[0].get()), -EIO);
    EXPECT_EQ(rig.dqbuf(), -EIO);
    EXPECT_EQ(rig.qbuf(1), -EIO);
    EXPECT_EQ(rig.stream_on(), -EIO);
    rig.queue->stream_off();
    EXPECT_EQ(rig.driver.stops, 0U) << "it never ran";
    rig.qbuf(0);
    EXPECT_EQ(rig.stream_on(), 0) << "whole again";
    EXPECT_EQ(rig.driver.given_count, 2U);
}

// Pins: 4.5
TEST(QueueInFence, start_that_fails_in_qbuf_takes_that_buffer_back_alone) {
    QueueTraits traits = capture_traits();
    traits.minimum_queued = 2;
    Rig rig(traits);
    rig.request(2);
    rig.qbuf_out(0);
    rig.stream_on();
    const auto before = open_descriptors();
    rig.driver.start_error = -ENOSPC;
    EXPECT_EQ(rig.qbuf_out(1), -ENOSPC);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(rig.state(0), State::Queued);
    EXPECT_EQ(rig.state(1), State::Dequeued);
    EXPECT_FALSE(rig.query(1).prepared);
    EXPECT_EQ(outcome(rig.out[0].get()), 1);
    EXPECT_EQ(rig.qbuf_out(1), 0);
    EXPECT_EQ(rig.driver.held(), 2U);
}

TEST(QueueInFence, what_is_no_fence_is_refused) {
    Rig rig;
    rig.request(1);
    const UniqueFd file = sys::open("/dev/null", 0).value();
    EXPECT_EQ(rig.qbuf_in(0, file.get()), -EINVAL);
    EXPECT_EQ(rig.qbuf_in(0, -1), -EINVAL);
    EXPECT_EQ(rig.qbuf_in(0, 9999), -EINVAL);
    EXPECT_EQ(rig.state(0), State::Dequeued);
    EXPECT_FALSE(rig.query(0).prepared);
}

// --- failed in-fences ----------------------------------------------------------------------------

// Pins: 5.1
TEST(QueueFailedFence, buffer_comes_back_in_its_place_and_the_driver_never_sees_it) {
    Rig rig;
    rig.request(4);
    rig.stream_on();
    TestFence early = rig.fence();
    early.end(-ETIME);
    TestFence late = rig.fence();
    rig.qbuf(0);
    rig.qbuf_out(1, early.fd.get());
    rig.qbuf_out(2, late.fd.get());
    rig.qbuf(3);
    EXPECT_EQ(rig.dqbuf(), none) << "0 comes first";
    late.end(-EPERM);
    ASSERT_TRUE(rig.driver.wait_until_given(2));
    EXPECT_EQ(rig.driver.given, (std::vector<unsigned>{0, 3}));
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), 0);
    for (const int index : {1, 2}) {
        const auto report = rig.queue->dequeue();
        ASSERT_TRUE(report);
        EXPECT_EQ(static_cast<int>(report->index), index);
        EXPECT_TRUE(report->error);
    }
    EXPECT_EQ(outcome(rig.out[1].get()), -ETIME);
    EXPECT_EQ(outcome(rig.out[2].get()), -EPERM);
    EXPECT_EQ(rig.dqbuf(), none);
}

// Pins: 5.1
TEST(QueueFailedFence, buffer_comes_at_once_when_the_driver_holds_all_else) {
    Rig rig;
    rig.request(3);
    rig.stream_on();
    TestFence fence = rig.fence();
    rig.qbuf(0);
    rig.qbuf_out(1, fence.fd.get());
    fence.end(-EIO);
    ASSERT_TRUE(rig.shown.wait_until([](const ReadyCounts& c) { return c.now > 0; }));
    EXPECT_EQ(final_outcome(rig.out[1].get()), -EIO);
    EXPECT_TRUE(rig.query(1).error);
    EXPECT_EQ(rig.dqbuf(), 1);
    EXPECT_EQ(rig.shown.counts().now, 0U);
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), 0);
}

TEST(QueueFailedFence, buffer_that_has_to_wait_again_is_not_shown) {
    Rig rig;
    rig.request(3);
    rig.stream_on();
    TestFence failed = rig.fence();
    failed.end(-EIO);
    rig.qbuf(0);
    rig.qbuf_in(1, failed.fd.get());
    EXPECT_EQ(rig.shown.counts().now, 1U);
    TestFence pending = rig.fence();
    rig.qbuf_in(2, pending.fd.get());
    EXPECT_EQ(rig.shown.counts().now, 0U);
    EXPECT_EQ(rig.dqbuf(), none);
    pending.end();
    ASSERT_TRUE(rig.shown.wait_until([](const ReadyCounts& c) { return c.now > 0; }));
    EXPECT_EQ(rig.dqbuf(), 1);
}

// Pins: 5.1
TEST(QueueFailedFence, nothing_comes_before_streamon_and_it_does_not_count) {
    QueueTraits traits = capture_traits();
    traits.minimum_queued = 2;
    Rig rig(traits);
    rig.request(3);
    TestFence fence = rig.fence();
    fence.end(-EIO);
    rig.qbuf_in(0, fence.fd.get());
    rig.qbuf(1);
    EXPECT_EQ(rig.dqbuf(), -EINVAL);
    EXPECT_EQ(rig.queue->ready_counts().now, 0U);
    ASSERT_EQ(rig.stream_on(), 0);
    EXPECT_TRUE(rig.driver.starts.empty());
    EXPECT_EQ(rig.shown.counts().now, 1U);
    EXPECT_EQ(rig.dqbuf(), 0);
    rig.qbuf(2);
    EXPECT_EQ(rig.driver.starts, (std::vector<unsigned>{2}));
}

// Pins: 5.1
TEST(QueueFailedFence, all_of_a_queue_at_once) {
    Rig rig;
    rig.request(32);
    rig.stream_on();
    TestFence fence = rig.fence();
    for (unsigned index = 0; index < 32; ++index) {
        ASSERT_EQ(rig.qbuf_out(index, fence.fd.get()), 0);
    }
    fence.end(-EIO);
    for (unsigned index = 0; index < 32; ++index) {
        EXPECT_EQ(final_outcome(rig.out[index].get()), -EIO);
        ASSERT_TRUE(rig.shown.wait_until([](const ReadyCounts& c) { return c.now > 0; }));
        EXPECT_EQ(rig.dqbuf(), static_cast<int>(index));
    }
    EXPECT_EQ(rig.driver.given_count, 0U);
}

TEST(QueueFailedFence, buffer_is_whole_when_it_is_seen_to_be_the_programs) {
    struct Looker final : ReadyListener {
        void ready_changed() override {
            if (queue == nullptr || queue->query(0)->state != State::Dequeued) {
                return;
            }
            const BufferReport report = queue->query(0).value();
            ++looks;
            unfinished += report.prepared || !report.error ? 1 : 0;
        }
        Queue* queue = nullptr;
        unsigned looks = 0;
        unsigned unfinished = 0;
    };
    Rig rig;
    testing::FakeDriver driver;
    Looker looker;
    const auto queue =
        Queue::create(capture_traits(), driver, rig.core, rig.makers, looker).value();
    ASSERT_TRUE(queue->request_buffers(MemoryKind::Mmap, 2));
    ASSERT_TRUE(queue->stream_on());
    TestFence fence = rig.fence();
    fence.end(-EIO);
    const BufferFences fences{fence.fd.get(), false};
    ASSERT_TRUE(queue->queue(0, {}, fences, rig.options));
    ASSERT_TRUE(queue->queue(1, {}, fences, rig.options));
    looker.queue = queue.get();
    // The next one's turn comes within this call.
    ASSERT_EQ(queue->dequeue()->index, 0U);
    EXPECT_GE(looker.looks, 2U);
    EXPECT_EQ(looker.unfinished, 0U);
}

// --- out-fences ----------------------------------------------------------------------------------

// Pins: 3.3, 4.8
TEST(QueueOutFence, published_then_ended_then_ready) {
    Rig rig;
    rig.request(1);
    const auto queued = rig.queue->queue(0, {}, BufferFences{std::nullopt, true}, rig.options);
    ASSERT_TRUE(queued);
    EXPECT_TRUE(queued->report.out_fence_pending);
    EXPECT_TRUE(rig.query(0).out_fence_pending);
    EXPECT_EQ(outcome(queued->out_fence.get()), 1);

    /// Looks at what a program could see whenever it is told to look.
    struct Looker final : ReadyListener {
        void ready_changed() override {
            if (queue != nullptr && queue->ready_counts().now > 0) {
                fence = outcome(fd);
                seen = queue->query(0).value();
            }
        }
        Queue* queue = nullptr;
        int fd = -1;
        int fence = 1;
        BufferReport seen;
    };
    testing::FakeDriver driver;
    Looker looker;
    const auto queue =
        Queue::create(capture_traits(), driver, rig.core, rig.makers, looker).value();
    looker.queue = queue.get();
    ASSERT_TRUE(queue->request_buffers(MemoryKind::Mmap, 1));
    ASSERT_TRUE(queue->stream_on());
    auto fenced = queue->queue(0, {}, BufferFences{std::nullopt, true}, rig.options);
    ASSERT_TRUE(fenced);
    looker.fd = fenced->out_fence.get();
    driver.finish_one();
    EXPECT_EQ(looker.fence, 0) << "it had ended before anybody was told";
    EXPECT_EQ(looker.seen.state, State::Done);
    EXPECT_EQ(looker.seen.planes[0].bytes_used, 100U);
    EXPECT_FALSE(looker.seen.out_fence_pending);
}

// Pins: 4.7
TEST(QueueOutFence, ordered_ones_end_in_order_and_never_after_their_dqbuf) {
    Rig rig;
    rig.request(3);
    rig.stream_on();
    for (unsigned index = 0; index < 3; ++index) {
        rig.qbuf_out(index);
    }
    rig.driver.finish(1);
    EXPECT_EQ(outcome(rig.out[1].get()), 1) << "0 has not ended";
    EXPECT_EQ(rig.dqbuf(), 1);
    EXPECT_EQ(outcome(rig.out[1].get()), 0);
    EXPECT_FALSE(rig.queue->view().ordered) << "seen out of order";
    rig.driver.finish(2);
    EXPECT_EQ(outcome(rig.out[2].get()), 0);
    EXPECT_EQ(outcome(rig.out[0].get()), 1);
}

TEST(QueueOutFence, unordered_ones_end_with_their_buffer) {
    Rig rig;
    rig.queue->set_ordered(false);
    rig.request(2);
    rig.stream_on();
    rig.qbuf_out(0);
    rig.qbuf_out(1);
    rig.driver.finish(1);
    EXPECT_EQ(outcome(rig.out[1].get()), 0);
    EXPECT_EQ(outcome(rig.out[0].get()), 1);
}

// Pins: 5.4
TEST(QueueOutFence, end_of_the_stream_ends_all_of_them) {
    for (const char* how : {"STREAMOFF", "REQBUFS", "close", "destruction"}) {
        Rig rig;
        rig.request(3);
        TestFence fence = rig.fence();
        rig.qbuf_out(0, fence.fd.get());
        rig.qbuf_out(1);
        if (how != std::string("REQBUFS")) {
            rig.stream_on();
        }
        if (how == std::string("STREAMOFF")) {
            rig.queue->stream_off();
        } else if (how == std::string("REQBUFS")) {
            EXPECT_EQ(rig.request(2), 2);
        } else if (how == std::string("close")) {
            rig.queue->close();
        } else {
            rig.queue.reset();
        }
        EXPECT_EQ(outcome(rig.out[0].get()), -ECANCELED) << how;
        EXPECT_EQ(outcome(rig.out[1].get()), -ECANCELED) << how;
        fence.end();
        EXPECT_EQ(rig.driver.given_count, 0U) << how;
    }
}

// Pins: 5.4
TEST(QueueOutFence, disconnect_ends_them_with_enodev) {
    Rig rig;
    rig.request(4);
    rig.stream_on();
    TestFence fence = rig.fence();
    rig.qbuf_out(0);
    rig.qbuf_out(1);
    rig.qbuf_out(2, fence.fd.get());
    rig.driver.finish_one();
    rig.queue->fail(-ENODEV);
    EXPECT_EQ(rig.driver.stops, 1U);
    EXPECT_EQ(outcome(rig.out[0].get()), 0);
    EXPECT_EQ(outcome(rig.out[1].get()), -ENODEV);
    EXPECT_EQ(outcome(rig.out[2].get()), -ENODEV);
    EXPECT_EQ(rig.shown.counts().failure, -ENODEV);
    EXPECT_EQ(rig.dqbuf(), -ENODEV);
    EXPECT_EQ(rig.qbuf(3), -ENODEV);
    fence.end();
    rig.queue->close();
    EXPECT_EQ(rig.driver.stops, 1U);
    EXPECT_EQ(rig.driver.given_count, 2U);
}

// A disconnect finds a buffer ready that came while the driver was being stopped.
// Pins: 5.4
TEST(QueueOutFence, nothing_is_given_to_a_driver_that_was_stopped_by_a_disconnect) {
    Rig rig;
    rig.request(2);
    rig.stream_on();
    TestFence fence = rig.fence();
    rig.qbuf_out(0, fence.fd.get());
    rig.qbuf(1);
    rig.driver.on_stop = [&] {
        fence.end();
        while (rig.query(0).in_fence_pending) {}
    };
    rig.queue->fail(-ENODEV);
    EXPECT_EQ(rig.driver.given_count, 0U);
    EXPECT_EQ(outcome(rig.out[0].get()), -ENODEV);
}

TEST(QueueOutFence, provider_that_the_machine_lacks_is_enodev_and_changes_nothing) {
    Rig rig;
    if (*rig.core.reason("sw_sync") == nullptr) {
        GTEST_SKIP() << "needs a machine without sw_sync";
    }
    rig.request(1);
    rig.options.provider = "sw_sync";
    EXPECT_EQ(rig.qbuf_out(0), -ENODEV);
    EXPECT_EQ(code(rig.queue->fence_traits(rig.options)), -ENODEV);
    EXPECT_FALSE(rig.query(0).prepared);
    rig.options.provider = "eventfd";
    EXPECT_EQ(rig.qbuf_out(0), 0);
    EXPECT_EQ((*rig.queue->fence_traits(rig.options))->name, "eventfd");
}

// Pins: 2.1, 2.3
TEST(QueueOutFence, qbuf_without_a_free_descriptor_changes_nothing) {
    Rig rig;
    rig.driver.shape = {2, {4096, 4096}};
    rig.request(2);
    TestFence fence = rig.fence();
    BufferSettings settings;
    settings.plane_count = 2;
    unsigned failures = 0;
    {
        const auto before = open_descriptors();
        failures = testing::until_it_fits([&](unsigned limit) {
            const auto counted = open_descriptors();
            EXPECT_EQ(counted, before);
            const auto done = [&] {
                const DescriptorLimit few(limit);
                return rig.queue->queue(0, settings, BufferFences{fence.fd.get(), true},
                                        rig.options);
            }();
            if (!done) {
                EXPECT_EQ(done.error().code, -EMFILE) << done.error().where;
                EXPECT_EQ(rig.state(0), State::Dequeued);
                EXPECT_FALSE(rig.query(0).prepared);
                EXPECT_FALSE(rig.query(0).out_fence_pending);
                EXPECT_EQ(rig.queue->view().held, 0U);
            }
            return done.has_value();
        });
    }
    EXPECT_GT(failures, 3U);
    EXPECT_EQ(rig.driver.prepares, rig.driver.finishes + 1);
    fence.end();
    rig.stream_on();
    ASSERT_TRUE(rig.driver.wait_until_given(1));
}

// --- time ----------------------------------------------------------------------------------------

// Pins: 5.6
TEST(QueueDeadline, in_fence_that_is_late_fails_also_before_streamon) {
    Rig rig;
    rig.request(2);
    TestFence fence = rig.fence();
    rig.options.deadline_ms = 5;
    rig.qbuf_out(0, fence.fd.get());
    EXPECT_EQ(final_outcome(rig.out[0].get()), -ETIME);
    EXPECT_EQ(rig.queue->last_expiry().count, 1U);
    EXPECT_EQ(rig.queue->last_expiry().index, 0U);
    rig.qbuf(1);
    rig.stream_on();
    EXPECT_EQ(rig.dqbuf(), 0);
    EXPECT_EQ(rig.driver.given, (std::vector<unsigned>{1}));
    fence.end();
}

}  // namespace
}  // namespace v4lfence
