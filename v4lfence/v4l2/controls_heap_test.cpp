// SPDX-License-Identifier: MIT
//
// What a control that changes with each frame costs on the heap.

#include <gtest/gtest.h>

#include <array>

#include "v4lfence/sync/testing/allocations.hpp"
#include "v4lfence/v4l2/controls.hpp"
#include "v4lfence/v4l2/testing/control_rig.hpp"

namespace v4lfence {
namespace {

using namespace testing;

TEST(ControlHeap, setting_values_and_their_events_cost_no_allocation) {
    ControlRig rig;
    rig.sink.on_set = [](std::uint32_t, const ControlValue&) { return Result<>(); };
    for (const std::uint32_t id : {frames, brightness, label}) {
        ASSERT_TRUE(rig.other.subscribe(V4L2_EVENT_CTRL, id));
    }
    rig.other.shown.reserve(10000);
    const std::uint64_t before = count_allocations();
    for (int frame = 1; frame <= 1000; ++frame) {
        ASSERT_TRUE(rig.set->set_value(frames, frame));
        ASSERT_EQ(rig.s_ctrl(brightness, frame % 200), 0);
        std::array<char, 9> text{"abcdefgh"};
        text[static_cast<std::size_t>(frame % 4 * 2 + 2)] = '\0';
        v4l2_ext_control elements[] = {pointer(label, text), number(wide, frame)};
        v4l2_ext_controls head{};
        ASSERT_TRUE(rig.set->set_ext(head, elements, &rig.file.queue));
        ASSERT_TRUE(rig.set->get_ext(head, elements));
        ASSERT_TRUE(rig.other.queue.dequeue());
    }
    EXPECT_EQ(count_allocations(), before);
}

}  // namespace
}  // namespace v4lfence
