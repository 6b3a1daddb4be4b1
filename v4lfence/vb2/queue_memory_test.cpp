// SPDX-License-Identifier: MIT
//
// Buffers of each memory type, what can be exported, and what a program says of output.

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::code;
using testing::output_traits;
using testing::Rig;
using State = BufferReport::State;

// --- USERPTR, DMABUF -----------------------------------------------------------------------------

struct UserMemory {
    BufferSettings settings(unsigned at = 0, std::uint32_t length = 4096) {
        BufferSettings made;
        made.memory = MemoryKind::Userptr;
        made.planes[0].address = reinterpret_cast<std::uintptr_t>(bytes.data()) + at;
        made.planes[0].length = length;
        return made;
    }
    std::vector<std::byte> bytes = std::vector<std::byte>(16384);
};

TEST(QueueUserptr, memory_is_looked_at_again_when_it_is_another) {
    Rig rig;
    UserMemory memory;
    rig.request(1, MemoryKind::Userptr);
    EXPECT_EQ(rig.driver.inits, 0U) << "there is no memory yet";
    for (const unsigned at : {0U, 0U, 4096U}) {
        ASSERT_EQ(rig.prepare(0, memory.settings(at)), 0);
        rig.queue->stream_off();
    }
    EXPECT_EQ(rig.driver.inits, 2U);
    EXPECT_EQ(rig.qbuf(0, memory.settings(0, 100)), -EINVAL) << "too short";
    BufferSettings nowhere = memory.settings();
    nowhere.planes[0].address = 4096;
    EXPECT_EQ(rig.qbuf(0, nowhere), -EFAULT);
    rig.driver.init_error = -ENOMEM;
    EXPECT_EQ(rig.qbuf(0, memory.settings(8192)), -ENOMEM);
    EXPECT_EQ(rig.state(0), State::Dequeued);
    EXPECT_EQ(rig.query(0).planes[0].address, memory.settings(4096).planes[0].address);
    EXPECT_EQ(rig.qbuf(0, memory.settings(4096)), 0);
    EXPECT_EQ(rig.driver.inits, 3U) << "the one that failed";
}

// Pins: 2.1
TEST(QueueUserptr, memory_of_a_qbuf_that_fails_is_not_kept) {
    Rig rig;
    UserMemory memory;
    rig.request(1, MemoryKind::Userptr);
    rig.options.provider = "nobody";
    const BufferFences fences{std::nullopt, true};
    EXPECT_EQ(code(rig.queue->queue(0, memory.settings(0, 8192), fences, rig.options)), -EINVAL);
    EXPECT_EQ(rig.query(0).planes[0].length, 4096U);
    EXPECT_EQ(rig.query(0).planes[0].address, 0U);
    EXPECT_EQ(rig.driver.prepares, rig.driver.finishes);
}

TEST(QueueDmabuf, refuses_what_is_no_dma_buf) {
    Rig rig;
    rig.request(1, MemoryKind::Dmabuf);
    BufferSettings settings;
    settings.memory = MemoryKind::Dmabuf;
    EXPECT_EQ(rig.qbuf(0, settings), -EINVAL);
    settings.planes[0].fd = 0;
    EXPECT_EQ(rig.qbuf(0, settings), -EINVAL);
    settings.planes[0].length = 100;
    EXPECT_EQ(rig.qbuf(0, settings), -EINVAL);
    EXPECT_EQ(rig.state(0), State::Dequeued);
}

TEST(QueueDmabuf, output_of_a_plane_without_a_length_has_no_bytes) {
    Rig rig(output_traits());
    rig.request(1, MemoryKind::Dmabuf);
    MemoryMakers makers;
    const auto plane = makers.make(4096, DeviceAccess::Read).value();
    const auto dma_buf = plane->export_dmabuf(0);
    if (!dma_buf) {
        GTEST_SKIP() << "needs a source of dma-bufs: " << makers.refused();
    }
    BufferSettings settings;
    settings.memory = MemoryKind::Dmabuf;
    settings.planes[0].fd = dma_buf->get();
    settings.planes[0].bytes_used = 1'000'000;
    EXPECT_EQ(rig.qbuf(0, settings), -EINVAL);
    settings.planes[0].bytes_used = 0;
    EXPECT_EQ(rig.qbuf(0, settings), 0);
    EXPECT_EQ(rig.query(0).planes[0].length, 4096U);
}

TEST(QueueExport, only_planes_of_mmap) {
    Rig rig;
    rig.request(1);
    EXPECT_EQ(code(rig.queue->export_plane(1, 0, 0)), -EINVAL);
    EXPECT_EQ(code(rig.queue->export_plane(0, 1, 0)), -EINVAL);
    EXPECT_EQ(code(rig.queue->export_plane(0, 0, 0)), -EINVAL) << "a memfd that never can";
    rig.request(1, MemoryKind::Userptr);
    EXPECT_EQ(code(rig.queue->export_plane(0, 0, 0)), -EINVAL);
}

// --- output --------------------------------------------------------------------------------------

TEST(QueueOutput, bytesused_and_data_offset_lie_in_the_plane) {
    struct Case {
        std::uint32_t bytes_used;
        std::uint32_t data_offset;
        int answer;
    };
    for (const Case& with : {Case{4096, 0, 0}, Case{4097, 0, -EINVAL}, Case{0, 0, 0},
                             Case{10, 9, 0}, Case{10, 10, -EINVAL}, Case{0, 4095, 0},
                             Case{0, 4096, -EINVAL}, Case{10, ~0U, -EINVAL}}) {
        Rig rig(output_traits());
        rig.request(1);
        BufferSettings settings;
        settings.planes[0].bytes_used = with.bytes_used;
        settings.planes[0].data_offset = with.data_offset;
        EXPECT_EQ(rig.qbuf(0, settings), with.answer) << with.bytes_used << " " << with.data_offset;
    }
    Rig capture;
    capture.request(1);
    BufferSettings settings;
    settings.planes[0].bytes_used = 5000;
    EXPECT_EQ(capture.qbuf(0, settings), 0) << "a capture queue does not look";
}

TEST(QueueOutput, buffer_comes_back_as_the_program_described_it) {
    QueueTraits traits = output_traits();
    traits.copies_timestamp = true;
    Rig rig(traits);
    rig.request(2);
    BufferSettings settings;
    settings.planes[0] = {.bytes_used = 33, .data_offset = 3};
    settings.timestamp_ns = 44;
    settings.field = 3;
    ASSERT_EQ(rig.qbuf(0, settings), 0);
    ASSERT_EQ(rig.qbuf(1), 0);
    EXPECT_EQ(rig.query(1).planes[0].bytes_used, 4096U) << "all of it";
    rig.stream_on();
    rig.driver.finish_one();
    const auto report = rig.queue->dequeue();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->planes[0].bytes_used, 33U);
    EXPECT_EQ(report->planes[0].data_offset, 3U);
    EXPECT_EQ(report->timestamp_ns, 44);
    EXPECT_EQ(report->field, 3U);
    EXPECT_EQ(rig.driver.take()->settings().planes[0].bytes_used, 4096U);
}

}  // namespace
}  // namespace v4lfence
