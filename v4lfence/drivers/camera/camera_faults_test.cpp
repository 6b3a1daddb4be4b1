// SPDX-License-Identifier: MIT
//
// The camera, told to misbehave.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "v4lfence/drivers/camera/testing/camera_rig.hpp"

namespace v4lfence {
namespace {

using testing::CameraRig;
using testing::code;

constexpr Nanoseconds interval{33'333'334};

/// Of an out-fence; 0: it signaled, 1: it is pending.
int outcome(const UniqueFd& fence) {
    const auto seen = Fence::import(fence.get(), DmaBufAccess::Write);
    return !seen ? seen.error().code : seen->status.ended() ? seen->status.error : 1;
}

class CameraFault : public ::testing::Test {
protected:
    void arm(std::uint32_t id, int value) { ASSERT_EQ(code(rig.set_control(id, value)), 0); }

    CameraRig rig;
};

TEST_F(CameraFault, queue_setup_fails_as_often_as_asked) {
    arm(camera_fail_queue_setup, 2);
    EXPECT_EQ(code(rig.request(4)), -EINVAL);
    EXPECT_EQ(rig.control(camera_fail_queue_setup), 1);
    EXPECT_EQ(code(rig.request(4)), -EINVAL);
    EXPECT_EQ(rig.control(camera_fail_queue_setup), 0);
    EXPECT_EQ(code(rig.request(4)), 0);
}

TEST_F(CameraFault, buf_prepare_fails_once) {
    ASSERT_TRUE(rig.request(4));
    arm(camera_fail_buf_prepare, 1);
    EXPECT_EQ(code(rig.enqueue(0)), -EINVAL);
    EXPECT_EQ(code(rig.enqueue(0)), 0);
}

TEST_F(CameraFault, failed_start_leaves_the_buffers_queued) {
    ASSERT_TRUE(rig.request(2));
    EXPECT_EQ(code(rig.enqueue(0)), 0);
    EXPECT_EQ(code(rig.enqueue(1)), 0);
    arm(camera_fail_start_streaming, 1);
    EXPECT_EQ(code(rig.queue().stream_on()), -EINVAL);
    EXPECT_EQ(rig.queue().query(0)->state, BufferReport::State::Queued);
    ASSERT_TRUE(rig.queue().stream_on());
    ASSERT_TRUE(rig.pacer().advance(interval));
    const auto report = rig.dequeue();
    ASSERT_TRUE(report);
    EXPECT_FALSE(report->error);
    EXPECT_EQ(report->index, 0U);
}

TEST_F(CameraFault, bad_frames_come_in_their_place) {
    arm(camera_fail_frame, 1);
    ASSERT_TRUE(rig.stream(3));
    ASSERT_TRUE(rig.pacer().advance(interval));
    ASSERT_TRUE(rig.pacer().advance(interval));
    const auto bad = rig.dequeue();
    ASSERT_TRUE(bad);
    EXPECT_TRUE(bad->error);
    EXPECT_EQ(bad->sequence, 0U);
    const auto good = rig.dequeue();
    ASSERT_TRUE(good);
    EXPECT_FALSE(good->error);
    EXPECT_EQ(good->sequence, 1U);
}

TEST_F(CameraFault, so_many_percent_of_frames_are_bad) {
    arm(camera_bad_frames_percent, 30);
    arm(camera_free_running, 1);
    ASSERT_TRUE(rig.stream(2));
    unsigned bad = 0;
    for (unsigned frames = 0; frames < 400; ++frames) {
        const auto report = rig.dequeue();
        ASSERT_TRUE(report);
        bad += report->error ? 1 : 0;
        ASSERT_TRUE(rig.enqueue(report->index));
        ASSERT_TRUE(rig.pacer().settle());
    }
    EXPECT_NEAR(bad, 120, 40);
}

TEST_F(CameraFault, requeued_buffer_is_filled_by_a_later_frame) {
    arm(camera_requeue_frame, 1);
    ASSERT_TRUE(rig.stream(2));
    ASSERT_TRUE(rig.pacer().advance(interval));
    EXPECT_EQ(rig.dequeue().error().code, -EAGAIN);
    ASSERT_TRUE(rig.pacer().advance(interval));
    ASSERT_TRUE(rig.pacer().advance(interval));
    EXPECT_EQ(rig.dequeue()->index, 1U);
    const auto requeued = rig.dequeue();
    ASSERT_TRUE(requeued);
    EXPECT_EQ(requeued->index, 0U);
    EXPECT_EQ(requeued->sequence, 2U);
}

// Pins: 5.3
TEST_F(CameraFault, requeued_buffer_with_an_out_fence_fails) {
    arm(camera_requeue_frame, 1);
    ASSERT_TRUE(rig.request(2));
    BufferFences fences;
    fences.out = true;
    const FileOptions options;
    const auto queued = rig.queue().queue(0, BufferSettings(), fences, options);
    ASSERT_TRUE(queued);
    ASSERT_TRUE(rig.enqueue(1));
    ASSERT_TRUE(rig.queue().stream_on());
    ASSERT_TRUE(rig.pacer().settle());
    const auto report = rig.dequeue();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->index, 0U);
    EXPECT_TRUE(report->error);
}

TEST_F(CameraFault, disconnect_works_when_it_is_armed) {
    ASSERT_TRUE(rig.stream(2));
    arm(camera_disconnect, 1);
    EXPECT_FALSE(rig.device().is_gone());
    arm(camera_disconnect_armed, 1);
    EXPECT_EQ(code(rig.set_control(camera_disconnect, 1)), 0);
    EXPECT_TRUE(rig.device().is_gone());
    EXPECT_EQ(rig.dequeue().error().code, -ENODEV);
}

// Pins: 5.2
TEST_F(CameraFault, memory_that_the_program_unmapped_fails_its_buffer_alone) {
    const std::size_t length = 640 * 480 * 2;
    std::array<void*, 2> memory{};
    std::array<UniqueFd, 2> out_fences;
    BufferFences fences;
    fences.out = true;
    ASSERT_TRUE(rig.queue().request_buffers(MemoryKind::Userptr, 2));
    for (unsigned index = 0; index < 2; ++index) {
        memory[index] =
            ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        BufferSettings settings;
        settings.memory = MemoryKind::Userptr;
        settings.planes[0].address = reinterpret_cast<std::uintptr_t>(memory[index]);
        settings.planes[0].length = length;
        const FileOptions options;
        auto queued = rig.queue().queue(index, settings, fences, options);
        ASSERT_TRUE(queued);
        out_fences[index] = std::move(queued->out_fence);
    }
    ASSERT_TRUE(rig.queue().stream_on());
    ASSERT_TRUE(rig.pacer().settle());
    // Not before: the stream needs memory too, and might get this.
    ::munmap(memory[1], length);
    ASSERT_TRUE(rig.pacer().advance(interval));
    ASSERT_TRUE(rig.pacer().advance(interval));
    EXPECT_FALSE(rig.dequeue()->error);
    EXPECT_TRUE(rig.dequeue()->error);
    EXPECT_EQ(outcome(out_fences[0]), 0);
    EXPECT_EQ(outcome(out_fences[1]), -EIO);
    rig.queue().close();
    ::munmap(memory[0], length);
}

}  // namespace
}  // namespace v4lfence
