// SPDX-License-Identifier: MIT
//
// read() of a queue.

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "v4lfence/vb2/file_io.hpp"
#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::capture_traits;
using testing::none;
using testing::output_traits;
using testing::Rig;

/// How much, or a negative errno.
int read(FileIo& io, std::size_t count) {
    std::vector<std::byte> target(count);
    const auto got = io.read(target);
    return got ? static_cast<int>(*got) : got.error().code;
}

/// A frame of `size` bytes of `value`.
void finish(Rig& rig, std::uint32_t size, std::byte value) {
    ActiveBuffer buffer = std::move(*rig.driver.take());
    std::fill_n(buffer.plane(0).begin(), size, value);
    FinishedBuffer said;
    said.bytes_used[0] = size;
    std::move(buffer).done(said);
}

TEST(FileIo, first_read_starts_the_stream) {
    Rig rig;
    FileIo io(*rig.queue);
    EXPECT_FALSE(io.active());
    EXPECT_EQ(read(io, 10), none);
    EXPECT_TRUE(io.active());
    EXPECT_TRUE(rig.queue->view().streaming);
    EXPECT_GE(rig.driver.held(), 2U) << "one is read while others are filled";
    io.stop();
    EXPECT_FALSE(io.active());
    EXPECT_FALSE(rig.queue->has_buffers());
    EXPECT_EQ(rig.driver.stops, 1U);
    io.stop();
    EXPECT_EQ(rig.driver.stops, 1U);
}

TEST(FileIo, frames_are_read_in_parts_and_never_two_at_once) {
    Rig rig;
    FileIo io(*rig.queue);
    ASSERT_EQ(read(io, 1), none);
    const unsigned held = rig.driver.held();
    finish(rig, 10, std::byte{1});
    finish(rig, 20, std::byte{2});
    std::array<std::byte, 6> part{};
    ASSERT_EQ(io.read(part).value(), 6U);
    EXPECT_EQ(part[5], std::byte{1});
    EXPECT_EQ(rig.driver.held(), held - 2);
    EXPECT_EQ(read(io, 0), 0);
    ASSERT_EQ(io.read(part).value(), 4U) << "the rest of the frame";
    EXPECT_EQ(rig.driver.held(), held - 1) << "and its buffer goes back";
    ASSERT_EQ(io.read(part).value(), 6U);
    EXPECT_EQ(part[0], std::byte{2});
    EXPECT_EQ(read(io, 100), 14);
    EXPECT_EQ(read(io, 100), none);
    EXPECT_EQ(rig.driver.held(), held);
}

TEST(FileIo, bad_and_empty_frames_are_passed_over) {
    Rig rig;
    FileIo io(*rig.queue);
    ASSERT_EQ(read(io, 1), none);
    const unsigned held = rig.driver.held();
    finish(rig, 0, {});
    std::move(*rig.driver.take()).fail(-EIO, {});
    EXPECT_EQ(read(io, 1), none);
    EXPECT_EQ(rig.driver.held(), held);
    finish(rig, 3, std::byte{7});
    EXPECT_EQ(read(io, 9), 3);
}

TEST(FileIo, what_the_driver_says_it_wrote_stays_within_the_plane) {
    Rig rig;
    FileIo io(*rig.queue);
    ASSERT_EQ(read(io, 1), none);
    FinishedBuffer said;
    said.bytes_used[0] = 1'000'000;
    std::move(*rig.driver.take()).done(said);
    EXPECT_EQ(read(io, 1'000'000), 4096);
}

TEST(FileIo, refused_where_the_queue_is_used_or_cannot) {
    Rig used;
    used.request(1);
    FileIo used_io(*used.queue);
    EXPECT_EQ(read(used_io, 1), -EBUSY);
    EXPECT_EQ(used.queue->count(), 1U);
    used_io.stop();
    EXPECT_EQ(used.queue->count(), 1U) << "they are not its own";

    QueueTraits traits = capture_traits();
    traits.readable = false;
    Rig closed(traits);
    FileIo closed_io(*closed.queue);
    EXPECT_EQ(read(closed_io, 1), -EINVAL);
    Rig output(output_traits());
    FileIo output_io(*output.queue);
    EXPECT_EQ(read(output_io, 1), -EINVAL);
}

TEST(FileIo, start_that_fails_leaves_nothing) {
    for (const int how : {0, 1, 2, 3}) {
        Rig rig;
        FileIo io(*rig.queue);
        rig.driver.setup_error = how == 0 ? -ENOMEM : 0;
        rig.driver.prepare_error = how == 1 ? -EIO : 0;
        rig.driver.start_error = how == 2 ? -ENOSPC : 0;
        rig.driver.shape = how == 3 ? BufferShape{2, {4096, 4096}} : rig.driver.shape;
        constexpr std::array errors{-ENOMEM, -EIO, -ENOSPC, -EBUSY};
        EXPECT_EQ(read(io, 1), errors[static_cast<unsigned>(how)]);
        EXPECT_FALSE(io.active());
        EXPECT_FALSE(rig.queue->has_buffers());
        rig.driver.shape = {1, {4096}};
        EXPECT_EQ(read(io, 1), none) << "and can be tried again";
        io.stop();
    }
}

TEST(FileIo, end_of_the_stream_and_failure_are_told) {
    Rig rig;
    FileIo io(*rig.queue);
    ASSERT_EQ(read(io, 1), none);
    rig.driver.is_last = true;
    rig.driver.finish_one();
    EXPECT_EQ(read(io, 200), 100);
    EXPECT_EQ(read(io, 200), -EPIPE);
    rig.queue->fail(-ENODEV);
    EXPECT_EQ(read(io, 200), -ENODEV);
    io.stop();
    EXPECT_FALSE(io.active());
    rig.driver.is_last = false;
    EXPECT_EQ(read(io, 1), none);
}

TEST(FileIo, disconnect_amid_a_frame_is_told_with_its_end) {
    Rig rig;
    FileIo io(*rig.queue);
    ASSERT_EQ(read(io, 1), none);
    finish(rig, 10, std::byte{1});
    EXPECT_EQ(read(io, 4), 4);
    rig.queue->fail(-ENODEV);
    EXPECT_EQ(read(io, 4), 4) << "what was taken is there";
    io.stop();
}

}  // namespace
}  // namespace v4lfence
