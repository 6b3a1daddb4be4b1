// SPDX-License-Identifier: MIT
//
// The driver's turn with a buffer: used up once, whatever the driver does with it.

#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::FakeDriver;
using testing::none;
using testing::outcome;
using testing::Rig;
using State = BufferReport::State;

// Pins: 3.4
TEST(ActiveBuffer, what_the_driver_says_is_what_the_program_gets) {
    Rig rig;
    rig.driver.shape = {2, {4096, 64}};
    rig.request(1);
    BufferSettings settings;
    settings.plane_count = 2;
    settings.timestamp_ns = 1;
    ASSERT_EQ(rig.qbuf(0, settings), 0);
    rig.stream_on();
    FinishedBuffer said;
    said.bytes_used = {4000, 60};
    said.sequence = 7;
    said.timestamp_ns = 99;
    said.field = 4;
    said.flags = 8;
    std::move(*rig.driver.take()).done(said);
    const auto report = rig.queue->dequeue();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->planes[0].bytes_used, 4000U);
    EXPECT_EQ(report->planes[1].bytes_used, 60U);
    EXPECT_EQ(report->sequence, 7U);
    EXPECT_EQ(report->timestamp_ns, 99);
    EXPECT_EQ(report->field, 4U);
    EXPECT_EQ(report->flags, 8U);
    EXPECT_FALSE(report->error);
    EXPECT_FALSE(report->last);
}

// Pins: 5.2
TEST(ActiveBuffer, failed_one_comes_back_marked_and_fails_its_fence) {
    Rig rig;
    rig.request(1);
    rig.qbuf_out(0);
    rig.stream_on();
    FinishedBuffer said;
    said.sequence = 3;
    std::move(*rig.driver.take()).fail(-EIO, said);
    EXPECT_EQ(outcome(rig.out[0].get()), -EIO);
    EXPECT_TRUE(rig.query(0).error);
    const auto report = rig.queue->dequeue();
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->error);
    EXPECT_EQ(report->sequence, 3U);
    EXPECT_FALSE(rig.queue->queue(0, {}, {}, rig.options)->report.error) << "of the next job";
}

TEST(ActiveBuffer, dropped_one_is_an_error) {
    Rig rig;
    rig.request(1);
    rig.qbuf_out(0);
    rig.stream_on();
    rig.driver.drop_all();
    EXPECT_EQ(outcome(rig.out[0].get()), -EIO);
    const auto report = rig.queue->dequeue();
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->error);
}

TEST(ActiveBuffer, moved_one_ends_once) {
    Rig rig;
    rig.stream(2);
    {
        ActiveBuffer first = std::move(*rig.driver.take());
        const ActiveBuffer second(std::move(first));
        EXPECT_EQ(second.index(), 0U);
        EXPECT_EQ(rig.dqbuf(), none) << "nothing was dropped";
    }
    EXPECT_EQ(rig.dqbuf(), 0);
    EXPECT_EQ(rig.dqbuf(), none);
}

TEST(ActiveBuffer, one_that_is_overwritten_ends_as_an_error) {
    Rig rig;
    rig.stream(2);
    {
        ActiveBuffer kept = std::move(*rig.driver.take());
        {
            ActiveBuffer other = std::move(*rig.driver.take());
            kept = std::move(other);
        }
        EXPECT_EQ(kept.index(), 1U);
        const auto lost = rig.queue->dequeue();
        ASSERT_TRUE(lost);
        EXPECT_EQ(lost->index, 0U);
        EXPECT_TRUE(lost->error);
        EXPECT_EQ(rig.dqbuf(), none);
        std::move(kept).done({});
    }
    const auto good = rig.queue->dequeue();
    ASSERT_TRUE(good);
    EXPECT_FALSE(good->error);
    EXPECT_EQ(rig.dqbuf(), none);
}

// --- requeue -------------------------------------------------------------------------------------

TEST(ActiveBuffer, requeued_one_is_the_drivers_again) {
    Rig rig;
    rig.stream(2);
    std::move(*rig.driver.take()).requeue();
    EXPECT_EQ(rig.driver.given, (std::vector<unsigned>{0, 1, 0}));
    EXPECT_EQ(rig.state(0), State::Queued);
    rig.driver.finish_one();
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), 1);
    const auto report = rig.queue->dequeue();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->index, 0U);
    EXPECT_FALSE(report->error);
}

// Pins: 5.3
TEST(ActiveBuffer, requeue_of_one_with_an_out_fence_is_refused) {
    Rig rig;
    rig.request(1);
    rig.qbuf_out(0);
    rig.stream_on();
    std::move(*rig.driver.take()).requeue();
    EXPECT_EQ(rig.driver.given_count, 1U);
    EXPECT_EQ(outcome(rig.out[0].get()), -EIO);
    const auto report = rig.queue->dequeue();
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->error);
    EXPECT_EQ(rig.dqbuf(), none);
}

TEST(ActiveBuffer, requeue_after_the_stream_does_nothing) {
    Rig rig;
    rig.driver.at_stop = FakeDriver::AtStop::Keep;
    rig.stream(1);
    rig.queue->stream_off();
    const unsigned given = rig.driver.given_count;
    std::move(*rig.driver.take()).requeue();
    EXPECT_EQ(rig.driver.given_count, given);
    EXPECT_EQ(rig.state(0), State::Dequeued);
}

// --- start ---------------------------------------------------------------------------------------

TEST(ActiveBuffer, dropped_by_a_start_that_succeeds_is_an_error) {
    Rig rig;
    rig.request(2);
    rig.qbuf_out(0);
    rig.qbuf(1);
    rig.driver.on_start = [&] { rig.driver.take(); };
    ASSERT_EQ(rig.stream_on(), 0);
    EXPECT_EQ(outcome(rig.out[0].get()), -EIO);
    const auto report = rig.queue->dequeue();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->index, 0U);
    EXPECT_TRUE(report->error);
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), 1);
}

// Pins: 4.5
TEST(ActiveBuffer, dropped_by_a_start_that_fails_is_back_in_line) {
    Rig rig;
    rig.request(3);
    for (unsigned index : {2U, 0U, 1U}) {
        rig.qbuf_out(index);
    }
    rig.driver.start_error = -ENOSPC;
    EXPECT_EQ(rig.stream_on(), -ENOSPC);
    EXPECT_FALSE(rig.queue->view().streaming);
    for (unsigned index = 0; index < 3; ++index) {
        EXPECT_EQ(rig.state(index), State::Queued);
        EXPECT_EQ(outcome(rig.out[index].get()), 1);
    }
    rig.driver.given.clear();
    EXPECT_EQ(rig.stream_on(), 0);
    EXPECT_EQ(rig.driver.given, (std::vector<unsigned>{2, 0, 1}));
    while (rig.driver.finish_one()) {}
    EXPECT_EQ(rig.dqbuf(), 2);
}

TEST(ActiveBuffer, kept_after_a_start_that_failed_does_nothing) {
    Rig rig;
    rig.request(2);
    rig.qbuf_out(0);
    rig.driver.start_error = -EIO;
    rig.driver.keeps_after_failed_start = true;
    ASSERT_EQ(rig.stream_on(), -EIO);
    std::move(*rig.driver.take()).done({});
    EXPECT_EQ(outcome(rig.out[0].get()), 1);
    ASSERT_EQ(rig.stream_on(), 0);
    EXPECT_EQ(rig.dqbuf(), none);
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), 0);
}

TEST(ActiveBuffer, stale_one_that_falls_during_a_start_hides_no_other) {
    Rig rig;
    rig.driver.at_stop = FakeDriver::AtStop::Keep;
    rig.stream(1);
    rig.queue->stream_off();
    std::optional<ActiveBuffer> stale = rig.driver.take();
    rig.qbuf(0);
    rig.driver.on_start = [&] {
        rig.driver.take();
        stale.reset();
    };
    ASSERT_EQ(rig.stream_on(), 0);
    const auto report = rig.queue->dequeue();
    ASSERT_TRUE(report) << "it was lost";
    EXPECT_TRUE(report->error);
}

TEST(ActiveBuffer, driver_may_finish_while_it_starts) {
    Rig rig;
    rig.request(2);
    rig.qbuf_out(0);
    rig.qbuf(1);
    rig.driver.on_start = [&] { std::move(*rig.driver.take()).done({}); };
    ASSERT_EQ(rig.stream_on(), 0);
    EXPECT_EQ(outcome(rig.out[0].get()), 0);
    EXPECT_EQ(rig.dqbuf(), 0);
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), 1);
}

TEST(ActiveBuffer, driver_may_finish_while_it_is_given) {
    Rig rig;
    rig.driver.fast = true;
    rig.request(2);
    rig.stream_on();
    for (unsigned round = 0; round < 3; ++round) {
        for (unsigned index = 0; index < 2; ++index) {
            ASSERT_EQ(rig.qbuf_out(index), 0);
            EXPECT_EQ(outcome(rig.out[index].get()), 0);
            EXPECT_EQ(rig.state(index), State::Done);
        }
        EXPECT_EQ(rig.dqbuf(), 0);
        EXPECT_EQ(rig.dqbuf(), 1);
    }
}

// --- stop ----------------------------------------------------------------------------------------

// Pins: 5.4
TEST(ActiveBuffer, dropped_by_a_stop_is_cancelled) {
    Rig rig;
    rig.request(1);
    rig.qbuf_out(0);
    rig.stream_on();
    rig.queue->stream_off();
    EXPECT_EQ(outcome(rig.out[0].get()), -ECANCELED);
    EXPECT_EQ(rig.state(0), State::Dequeued);
    EXPECT_FALSE(rig.query(0).error);
}

// Pins: 5.4
TEST(ActiveBuffer, finished_by_a_stop_ends_well) {
    Rig rig;
    rig.driver.at_stop = FakeDriver::AtStop::Finish;
    rig.request(2);
    rig.qbuf_out(0);
    rig.qbuf_out(1);
    rig.stream_on();
    rig.queue->stream_off();
    EXPECT_EQ(outcome(rig.out[0].get()), 0);
    EXPECT_EQ(outcome(rig.out[1].get()), 0);
    EXPECT_EQ(rig.state(0), State::Dequeued);
    EXPECT_EQ(rig.queue->ready_counts().now, 0U);
    EXPECT_EQ(rig.shown.counts().now, 0U);
}

TEST(ActiveBuffer, after_the_stream_it_does_nothing_and_its_memory_is_there) {
    Rig rig;
    rig.driver.at_stop = FakeDriver::AtStop::Keep;
    rig.stream(3);
    rig.queue->stream_off();
    rig.qbuf(0);
    rig.stream_on();
    auto done = rig.driver.take(0);
    auto failed = rig.driver.take(1);
    auto dropped = rig.driver.take(2);
    rig.driver.at_stop = FakeDriver::AtStop::Drop;
    rig.queue->stream_off();
    ASSERT_EQ(rig.request(0), 0);
    ASSERT_EQ(done->plane(0).size(), 4096U);
    ASSERT_TRUE(done->begin_access());
    done->plane(0)[4095] = std::byte{1};
    rig.request(3);
    rig.qbuf(0);
    rig.stream_on();
    std::move(*done).done({});
    std::move(*failed).fail(-EIO, {});
    dropped.reset();
    EXPECT_EQ(rig.dqbuf(), none);
    EXPECT_EQ(rig.queue->ready_counts().now, 0U);
    EXPECT_EQ(rig.state(0), State::Queued);
}

TEST(ActiveBuffer, after_a_disconnect_it_does_nothing) {
    Rig rig;
    rig.driver.at_stop = FakeDriver::AtStop::Keep;
    rig.stream(1);
    rig.queue->fail(-ENODEV);
    const auto before = rig.queue->ready_counts().became;
    std::move(*rig.driver.take()).done({});
    EXPECT_EQ(rig.queue->ready_counts().became, before);
    EXPECT_EQ(rig.state(0), State::Queued);
    rig.queue->stream_off();
    EXPECT_EQ(rig.state(0), State::Dequeued);
}

// --- order ---------------------------------------------------------------------------------------

// Pins: 4.6
TEST(ActiveBuffer, buffers_come_back_in_the_order_they_were_finished) {
    Rig rig;
    rig.stream(4);
    for (unsigned index : {2U, 0U, 3U, 1U}) {
        ASSERT_TRUE(rig.driver.finish(index));
    }
    for (int index : {2, 0, 3, 1}) {
        EXPECT_EQ(rig.dqbuf(), index);
    }
}

TEST(ActiveBuffer, last_one_is_followed_by_epipe_until_the_stream_is_stopped) {
    Rig rig;
    rig.stream(3);
    rig.driver.finish_one();
    rig.driver.is_last = true;
    rig.driver.finish_one();
    rig.driver.is_last = false;
    EXPECT_FALSE(rig.queue->dequeue()->last);
    EXPECT_FALSE(rig.queue->ready_counts().last_taken);
    EXPECT_TRUE(rig.queue->dequeue()->last);
    EXPECT_TRUE(rig.shown.counts().last_taken);
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), -EPIPE);
    EXPECT_EQ(rig.dqbuf(), -EPIPE);
    rig.queue->stream_off();
    rig.qbuf(0);
    rig.stream_on();
    EXPECT_EQ(rig.dqbuf(), none);
    rig.driver.finish_one();
    EXPECT_FALSE(rig.queue->dequeue()->last);
}

TEST(ActiveBuffer, memory_that_the_program_unmapped_is_noticed) {
    Rig rig;
    rig.request(1, MemoryKind::Userptr);
    auto mapped = MappedMemory::create(sys::sealed_memory("test", 4096).value().get(), 4096,
                                       MemoryUse::ReadWrite);
    ASSERT_TRUE(mapped);
    BufferSettings settings;
    settings.memory = MemoryKind::Userptr;
    settings.planes[0].address = reinterpret_cast<std::uintptr_t>(mapped->bytes().data());
    settings.planes[0].length = 4096;
    ASSERT_EQ(rig.qbuf(0, settings), 0);
    rig.stream_on();
    auto buffer = rig.driver.take();
    ASSERT_TRUE(buffer->begin_access());
    buffer->end_access();
    { const MappedMemory gone = std::move(*mapped); }
    EXPECT_EQ(testing::code(buffer->begin_access()), -EFAULT);
    std::move(*buffer).fail(-EFAULT, {});
    EXPECT_TRUE(rig.queue->dequeue()->error);
}

}  // namespace
}  // namespace v4lfence
