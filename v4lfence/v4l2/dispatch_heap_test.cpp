// SPDX-License-Identifier: MIT
//
// What a frame's ioctls cost on the heap, from the program's argument to the driver and back.

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include "v4lfence/sync/testing/allocations.hpp"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::count_allocations;
using testing::DeviceRig;
using testing::OpenFile;

class FrameHeap : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(FrameHeap, queueing_and_dequeuing_cost_no_allocation) {
    const DeviceRig rig(GetParam());
    const OpenFile file = rig.open();
    file.stream(4);
    std::uint64_t before = 0;
    for (int frame = 0; frame < 1000; ++frame) {
        if (frame == 10) {
            before = count_allocations();
        }
        rig.fake.finish_frame();
        ASSERT_EQ(file.dequeue(), frame % 4);
        ASSERT_EQ(file.queue(static_cast<unsigned>(frame) % 4), 0);
    }
    EXPECT_EQ(count_allocations(), before);
}

INSTANTIATE_TEST_SUITE_P(Planes, FrameHeap,
                         ::testing::Values(V4L2_BUF_TYPE_VIDEO_CAPTURE,
                                           V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE));

}  // namespace v4lfence
