// SPDX-License-Identifier: MIT
//
// What each call of the program does to the buffers of a queue, in each state, and what it refuses.

#include <gtest/gtest.h>

#include <vector>

#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::capture_traits;
using testing::code;
using testing::none;
using testing::open_descriptors;
using testing::output_traits;
using testing::Rig;
using State = BufferReport::State;

bool exists(Rig& rig, unsigned index) {
    return rig.queue->query(index).has_value();
}

// --- REQBUFS -------------------------------------------------------------------------------------

TEST(QueueReqbufs, makes_what_is_asked_and_frees_with_0) {
    Rig rig;
    EXPECT_EQ(rig.request(3), 3);
    EXPECT_EQ(rig.queue->count(), 3U);
    EXPECT_TRUE(exists(rig, 2));
    EXPECT_FALSE(exists(rig, 3));
    EXPECT_EQ(rig.request(0), 0);
    EXPECT_FALSE(rig.queue->has_buffers());
    EXPECT_EQ(code(rig.queue->query(0)), -EINVAL);
}

TEST(QueueReqbufs, count_stays_between_the_minimums_and_the_maximum) {
    QueueTraits traits = capture_traits();
    traits.minimum_buffers = 2;
    traits.minimum_queued = 3;
    traits.buffers_max = 5;
    Rig rig(traits);
    EXPECT_EQ(rig.request(1), 3);
    EXPECT_EQ(rig.request(1000), 5);
    rig.driver.setup_count = 4;
    EXPECT_EQ(rig.request(1), 4) << "the driver's wish";
    rig.driver.setup_count = 9;
    EXPECT_EQ(rig.request(1), 5);
    rig.driver.setup_count = 2;
    EXPECT_EQ(rig.request(1), -ENOMEM) << "a stream of these could not start";
    EXPECT_FALSE(rig.queue->has_buffers());
}

TEST(QueueReqbufs, memory_type_must_be_the_queues) {
    QueueTraits traits = capture_traits();
    traits.memory_kinds = memory_bit(MemoryKind::Mmap);
    Rig rig(traits);
    ASSERT_EQ(rig.request(2), 2);
    EXPECT_EQ(rig.request(2, MemoryKind::Userptr), -EINVAL);
    EXPECT_EQ(rig.request(0, MemoryKind::Dmabuf), -EINVAL);
    EXPECT_EQ(rig.queue->count(), 2U) << "nothing has changed";
    EXPECT_EQ(rig.create(1, MemoryKind::Userptr), -EINVAL);
}

TEST(QueueReqbufs, refused_while_streaming) {
    Rig rig;
    rig.stream(2);
    EXPECT_EQ(rig.request(0), -EBUSY);
    EXPECT_EQ(rig.request(4), -EBUSY);
    EXPECT_EQ(rig.queue->count(), 2U);
    EXPECT_EQ(rig.driver.held(), 2U);
}

TEST(QueueReqbufs, buffers_go_though_they_are_queued) {
    Rig rig;
    rig.request(2);
    rig.qbuf(0);
    EXPECT_EQ(rig.request(2), 2);
    EXPECT_EQ(rig.state(0), State::Dequeued);
    EXPECT_EQ(rig.qbuf(0), 0);
}

TEST(QueueReqbufs, failing_driver_leaves_no_buffer_and_no_descriptor) {
    Rig rig;
    const auto before = open_descriptors();
    rig.driver.setup_error = -ENOMEM;
    EXPECT_EQ(rig.request(2), -ENOMEM);
    rig.driver.init_error = -EIO;
    EXPECT_EQ(rig.request(2), -EIO);
    EXPECT_FALSE(rig.queue->has_buffers());
    EXPECT_EQ(open_descriptors(), before);
}

TEST(QueueReqbufs, fewer_than_wanted_come_when_memory_ends) {
    Rig rig;
    rig.request(1);
    rig.request(0);
    const auto before = static_cast<unsigned>(open_descriptors());
    const testing::DescriptorLimit limit(before + 3);
    const int made = rig.request(20);
    EXPECT_GT(made, 0);
    EXPECT_LT(made, 20);
    EXPECT_EQ(rig.queue->count(), static_cast<unsigned>(made));
    EXPECT_FALSE(exists(rig, static_cast<unsigned>(made)));
}

// --- CREATE_BUFS, REMOVE_BUFS --------------------------------------------------------------------

TEST(QueueCreateBufs, adds_and_none_with_0) {
    Rig rig;
    ASSERT_EQ(rig.request(2), 2);
    EXPECT_EQ(rig.create(0), 2);
    EXPECT_EQ(rig.queue->count(), 2U);
    EXPECT_EQ(rig.create(3), 2);
    EXPECT_EQ(rig.queue->count(), 5U);
    EXPECT_EQ(rig.create(1, MemoryKind::Userptr), -EINVAL) << "not that of the others";
    EXPECT_EQ(rig.create(0, MemoryKind::Userptr), 5) << "a question alone";
}

TEST(QueueCreateBufs, first_buffers_may_be_fewer_than_the_stream_needs) {
    QueueTraits traits = capture_traits();
    traits.minimum_queued = 2;
    Rig rig(traits);
    EXPECT_EQ(rig.create(1), 0);
    EXPECT_EQ(rig.stream_on(), -EINVAL);
    EXPECT_EQ(rig.create(1), 1);
    EXPECT_EQ(rig.stream_on(), 0);
}

TEST(QueueCreateBufs, shape_is_the_callers_where_the_driver_agrees) {
    Rig rig;
    rig.request(1);
    const auto larger = rig.queue->create_buffers(MemoryKind::Mmap, 1, BufferShape{1, {8192}});
    ASSERT_TRUE(larger);
    EXPECT_EQ(rig.query(0).planes[0].length, 4096U);
    EXPECT_EQ(rig.query(1).planes[0].length, 8192U);
    EXPECT_EQ(code(rig.queue->create_buffers(MemoryKind::Mmap, 1, BufferShape{2, {4096, 4096}})),
              -EINVAL);
    EXPECT_EQ(rig.queue->count(), 2U);
}

TEST(QueueCreateBufs, as_many_as_there_may_be) {
    QueueTraits traits = capture_traits();
    traits.buffers_max = 4;
    Rig rig(traits);
    rig.request(3);
    const auto made = rig.queue->create_buffers(MemoryKind::Mmap, 9, rig.driver.shape);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->count, 1U);
    EXPECT_EQ(rig.create(1), -ENOBUFS);
}

TEST(QueueCreateBufs, allowed_while_streaming) {
    Rig rig;
    rig.stream(2);
    EXPECT_EQ(rig.create(1), 2);
    EXPECT_EQ(rig.qbuf(2), 0);
    EXPECT_EQ(rig.driver.given, (std::vector<unsigned>{0, 1, 2}));
}

TEST(QueueCreateBufs, error_leaves_those_that_are_there) {
    Rig rig;
    rig.request(2);
    rig.qbuf(0);
    const auto before = open_descriptors();
    rig.driver.setup_error = -EINVAL;
    EXPECT_EQ(rig.create(1), -EINVAL);
    rig.driver.init_error = -EIO;
    EXPECT_EQ(rig.create(2), -EIO);
    EXPECT_EQ(rig.queue->count(), 2U);
    EXPECT_EQ(rig.state(0), State::Queued);
    EXPECT_EQ(open_descriptors(), before);
}

TEST(QueueRemoveBufs, holes_are_no_buffers_and_are_filled_first) {
    Rig rig;
    rig.request(6);
    const auto before = open_descriptors();
    ASSERT_TRUE(rig.queue->remove_buffers(1, 2));
    ASSERT_TRUE(rig.queue->remove_buffers(4, 1));
    EXPECT_LT(open_descriptors(), before);
    EXPECT_EQ(rig.queue->count(), 3U);
    EXPECT_FALSE(exists(rig, 1));
    EXPECT_EQ(rig.qbuf(1), -EINVAL);
    EXPECT_EQ(rig.prepare(2), -EINVAL);
    EXPECT_EQ(rig.create(1), 1);
    EXPECT_EQ(rig.create(3), 6) << "in a row";
    EXPECT_EQ(rig.create(1), 2);
    EXPECT_EQ(rig.create(1), 4);
    EXPECT_EQ(rig.queue->count(), 9U);
    EXPECT_EQ(open_descriptors(), before + 3);
    EXPECT_EQ(rig.qbuf(4), 0);
}

TEST(QueueRemoveBufs, refuses_what_is_not_there_or_queued) {
    Rig rig;
    rig.stream(3);
    rig.create(2);
    EXPECT_EQ(code(rig.queue->remove_buffers(4, 2)), -EINVAL);
    EXPECT_EQ(code(rig.queue->remove_buffers(9, 1)), -EINVAL);
    EXPECT_EQ(code(rig.queue->remove_buffers(1, ~0U)), -EINVAL);
    EXPECT_EQ(code(rig.queue->remove_buffers(2, 2)), -EBUSY);
    EXPECT_EQ(code(rig.queue->remove_buffers(99, 0)), 0);
    rig.driver.finish(2);
    EXPECT_EQ(code(rig.queue->remove_buffers(2, 1)), -EBUSY) << "finished, and not fetched";
    EXPECT_EQ(rig.dqbuf(), 2);
    EXPECT_EQ(code(rig.queue->remove_buffers(2, 1)), 0);
    EXPECT_EQ(code(rig.queue->remove_buffers(2, 1)), -EINVAL) << "a hole";
    EXPECT_EQ(rig.queue->count(), 4U);
}

TEST(QueueRemoveBufs, stream_goes_on_without_a_buffer) {
    Rig rig;
    rig.stream(1);
    rig.driver.finish_one();
    ASSERT_EQ(rig.dqbuf(), 0);
    ASSERT_TRUE(rig.queue->remove_buffers(0, 1));
    EXPECT_FALSE(rig.queue->has_buffers());
    EXPECT_EQ(rig.dqbuf(), none);
    EXPECT_EQ(rig.create(1), 0);
    EXPECT_EQ(rig.qbuf(0), 0);
    rig.driver.finish_one();
    EXPECT_EQ(rig.dqbuf(), 0);
}

// --- QUERYBUF, PREPARE_BUF -----------------------------------------------------------------------

TEST(QueueQuery, follows_the_life_of_a_buffer) {
    Rig rig;
    rig.request(1);
    EXPECT_EQ(rig.state(0), State::Dequeued);
    EXPECT_FALSE(rig.query(0).prepared);
    ASSERT_EQ(rig.prepare(0), 0);
    EXPECT_TRUE(rig.query(0).prepared);
    ASSERT_EQ(rig.qbuf(0), 0);
    EXPECT_EQ(rig.state(0), State::Queued);
    EXPECT_FALSE(rig.query(0).prepared);
    rig.stream_on();
    EXPECT_EQ(rig.state(0), State::Queued);
    rig.driver.finish_one();
    EXPECT_EQ(rig.state(0), State::Done);
    EXPECT_EQ(rig.query(0).planes[0].bytes_used, 100U);
    EXPECT_EQ(rig.query(0).timestamp_ns, 5'000);
    ASSERT_EQ(rig.dqbuf(), 0);
    EXPECT_EQ(rig.state(0), State::Dequeued);
    EXPECT_FALSE(rig.query(0).prepared);
}

TEST(QueueQuery, places_of_planes_are_mapped_and_no_others) {
    Rig rig;
    rig.driver.shape = {3, {4096, 100, 5000}};
    rig.request(2);
    const BufferReport report = rig.query(1);
    ASSERT_EQ(report.plane_count, 3U);
    for (unsigned plane = 0; plane < 3; ++plane) {
        const auto found = rig.queue->mappable(report.planes[plane].offset);
        ASSERT_TRUE(found);
        EXPECT_EQ(found->memory->index, 1U);
        EXPECT_EQ(found->plane->bytes().size(), rig.driver.shape.sizes[plane]);
        EXPECT_EQ(code(rig.queue->mappable(report.planes[plane].offset + 1)), -EINVAL);
        EXPECT_FALSE(rig.query(1).mapped);
    }
    EXPECT_EQ(code(rig.queue->mappable(report.planes[2].offset + 4096)), -EINVAL);
    EXPECT_EQ(code(rig.queue->mappable(~std::uint64_t{0} << 12)), -EINVAL);
    EXPECT_EQ(code(rig.queue->mappable(std::uint64_t{1} << 47)), -EINVAL);
    const auto found = rig.queue->mappable(report.planes[0].offset);
    found->memory->mappings.fetch_add(1);
    EXPECT_TRUE(rig.query(1).mapped);
    EXPECT_EQ(rig.request(0), 0);
    found->plane->bytes()[0] = std::byte{1};  // It outlives the buffer.
    EXPECT_EQ(code(rig.queue->mappable(report.planes[0].offset)), -EINVAL);
}

TEST(QueuePrepare, once_and_only_what_is_the_programs) {
    Rig rig;
    rig.request(2);
    EXPECT_EQ(rig.prepare(7), -EINVAL);
    ASSERT_EQ(rig.prepare(0), 0);
    EXPECT_EQ(rig.prepare(0), -EINVAL);
    EXPECT_EQ(rig.driver.prepares, 1U);
    ASSERT_EQ(rig.qbuf(0), 0);
    EXPECT_EQ(rig.driver.prepares, 1U) << "QBUF finds it prepared";
    EXPECT_EQ(rig.prepare(0), -EINVAL);
    ASSERT_EQ(rig.qbuf(1), 0);
    EXPECT_EQ(rig.driver.prepares, 2U);
}

TEST(QueuePrepare, refused_by_the_driver_changes_nothing) {
    Rig rig;
    rig.request(1);
    rig.driver.prepare_error = -EIO;
    EXPECT_EQ(rig.prepare(0), -EIO);
    EXPECT_FALSE(rig.query(0).prepared);
    rig.driver.prepare_error = -ENOMEM;
    EXPECT_EQ(rig.qbuf(0), -ENOMEM);
    EXPECT_EQ(rig.state(0), State::Dequeued);
    EXPECT_EQ(rig.queue->view().held, 0U);
    EXPECT_EQ(rig.prepare(0), 0);
}

TEST(QueuePrepare, qbuf_of_other_planes_does_not_reach_the_driver) {
    Rig rig(output_traits());
    std::vector<std::byte> memory(8192);
    ASSERT_EQ(rig.request(1, MemoryKind::Userptr), 1);
    BufferSettings settings;
    settings.memory = MemoryKind::Userptr;
    settings.planes[0].address = reinterpret_cast<std::uintptr_t>(memory.data());
    settings.planes[0].length = 4096;
    settings.planes[0].bytes_used = 7;
    ASSERT_EQ(rig.prepare(0, settings), 0);
    settings.planes[0].length = 1'000'000;
    settings.planes[0].bytes_used = 2'000'000;
    settings.timestamp_ns = 77;
    ASSERT_EQ(rig.qbuf(0, settings), 0);
    rig.stream_on();
    const auto buffer = rig.driver.take();
    ASSERT_TRUE(buffer);
    EXPECT_EQ(buffer->settings().planes[0].bytes_used, 7U);
    EXPECT_EQ(buffer->settings().timestamp_ns, 77);
    EXPECT_EQ(buffer->plane(0).size(), 4096U);
}

TEST(QueuePrepare, each_preparation_is_finished_once) {
    Rig rig;
    rig.stream(3);
    rig.driver.finish_one();
    ASSERT_EQ(rig.dqbuf(), 0);
    EXPECT_EQ(rig.driver.finishes, 1U);
    ASSERT_EQ(rig.prepare(0), 0);
    rig.queue->stream_off();
    EXPECT_EQ(rig.driver.finishes, 4U);
    EXPECT_FALSE(rig.query(0).prepared);
    rig.queue->stream_off();
    EXPECT_EQ(rig.driver.finishes, 4U);
    EXPECT_EQ(rig.driver.prepares, 4U);
}

// --- QBUF ----------------------------------------------------------------------------------------

TEST(QueueQbuf, refuses_what_is_not_the_programs) {
    Rig rig;
    EXPECT_EQ(rig.qbuf(0), -EINVAL) << "no buffers";
    rig.request(2);
    EXPECT_EQ(rig.qbuf(2), -EINVAL);
    EXPECT_EQ(rig.qbuf(~0U), -EINVAL);
    BufferSettings other;
    other.memory = MemoryKind::Userptr;
    EXPECT_EQ(rig.qbuf(0, other), -EINVAL);
    ASSERT_EQ(rig.qbuf(0), 0);
    EXPECT_EQ(rig.qbuf(0), -EINVAL) << "queued";
    rig.stream_on();
    EXPECT_EQ(rig.qbuf(0), -EINVAL) << "the driver's";
    rig.driver.finish_one();
    EXPECT_EQ(rig.qbuf(0), -EINVAL) << "finished";
    ASSERT_EQ(rig.dqbuf(), 0);
    EXPECT_EQ(rig.qbuf(0), 0);
}

// Pins: 3.2
TEST(QueueQbuf, queued_buffer_reads_as_the_program_gave_it) {
    Rig rig;
    std::vector<std::byte> memory(8192);
    ASSERT_EQ(rig.request(1, MemoryKind::Userptr), 1);
    BufferSettings settings;
    settings.memory = MemoryKind::Userptr;
    settings.planes[0].address = reinterpret_cast<std::uintptr_t>(memory.data());
    settings.planes[0].length = 8192;
    settings.planes[0].bytes_used = 17;
    settings.timestamp_ns = 123;
    settings.field = 2;
    settings.flags = 8;
    const auto queued = rig.queue->queue(0, settings, BufferFences(), rig.options);
    ASSERT_TRUE(queued);
    for (const BufferReport& report : {queued->report, rig.query(0)}) {
        EXPECT_EQ(report.state, State::Queued);
        EXPECT_EQ(report.planes[0].address, settings.planes[0].address);
        EXPECT_EQ(report.planes[0].length, 8192U);
        EXPECT_EQ(report.planes[0].bytes_used, 17U);
        EXPECT_EQ(report.timestamp_ns, 123);
        EXPECT_EQ(report.field, 2U);
        EXPECT_EQ(report.flags, 8U);
        EXPECT_FALSE(report.error);
    }
}

// Pins: 2.1
TEST(QueueQbuf, error_changes_nothing_that_can_be_seen) {
    Rig rig;
    rig.stream(2);
    rig.driver.finish_one();
    ASSERT_EQ(rig.dqbuf(), 0);
    const BufferReport before = rig.query(0);
    ASSERT_EQ(before.planes[0].bytes_used, 100U);
    BufferSettings settings;
    settings.planes[0].bytes_used = 3;
    settings.timestamp_ns = 9;
    EXPECT_EQ(code(rig.queue->queue(0, settings, BufferFences{-1, true}, rig.options)), -EINVAL);
    rig.driver.prepare_error = -EIO;
    EXPECT_EQ(rig.qbuf(0, settings), -EIO);
    rig.options.provider = "nobody";
    EXPECT_EQ(rig.qbuf_out(0), -EINVAL) << "after the buffer was prepared";
    const BufferReport after = rig.query(0);
    EXPECT_FALSE(after.prepared);
    EXPECT_EQ(after.state, before.state);
    EXPECT_EQ(after.planes[0].bytes_used, before.planes[0].bytes_used);
    EXPECT_EQ(after.timestamp_ns, before.timestamp_ns);
    EXPECT_EQ(after.sequence, before.sequence);
}

TEST(QueueQbuf, every_number_of_planes) {
    for (unsigned planes = 1; planes <= planes_max; ++planes) {
        Rig rig;
        rig.driver.shape.plane_count = planes;
        rig.driver.shape.sizes.fill(64);
        ASSERT_EQ(rig.request(2), 2);
        EXPECT_EQ(rig.queue->plane_count(), planes);
        BufferSettings settings;
        settings.plane_count = planes - 1;
        EXPECT_EQ(rig.qbuf(0, settings), -EINVAL) << planes;
        settings.plane_count = planes_max;
        EXPECT_EQ(rig.qbuf(0, settings), 0) << planes;
        settings.plane_count = planes;
        EXPECT_EQ(rig.qbuf(1, settings), 0);
        rig.stream_on();
        const auto buffer = rig.driver.take();
        ASSERT_EQ(buffer->plane_count(), planes);
        EXPECT_EQ(buffer->plane(planes - 1).size(), 64U);
    }
}

}  // namespace
}  // namespace v4lfence
