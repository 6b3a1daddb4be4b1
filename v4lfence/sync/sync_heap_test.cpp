// SPDX-License-Identifier: MIT
//
// What a frame costs on the heap.

#include <gtest/gtest.h>

#include <new>

#include "v4lfence/sync/testing/allocations.hpp"
#include "v4lfence/sync/testing/machine.hpp"

namespace v4lfence {
namespace {

using testing::buffers;
using testing::Setting;

/// 1000 of them.
void frames_cost_nothing(Setting& at) {
    ASSERT_TRUE(at.sync.stream_on().has_value());
    const std::uint64_t before = testing::count_allocations();
    for (unsigned frame = 0; frame < 1000; ++frame) {
        const unsigned index = frame % buffers;
        ASSERT_TRUE(at.qbuf(index, true));
        at.machine.end_one(at.sync, index, frame % 10 == 0 ? -EIO : 0);
        if (frame % 10 != 0) {
            ASSERT_EQ(at.machine.finish_one(at.sync), static_cast<int>(index));
        }
        at.sync.dequeue(index);
    }
    EXPECT_EQ(testing::count_allocations(), before);
    EXPECT_EQ(at.fences.ended.load(), 1000U);
}

TEST(SyncHeap, frame_costs_no_allocation) {
    Setting at;
    frames_cost_nothing(at);
    const std::uint64_t before = testing::count_allocations();
    // Called by name: an expression with `new` may be left out by the compiler.
    void* const taken = ::operator new(sizeof(std::uint64_t));
    EXPECT_EQ(testing::count_allocations(), before + 1) << "the counter counts";
    ::operator delete(taken);
}

TEST(SyncHeap, frame_on_a_board_costs_no_allocation) {
    const auto board = TraceBoard::create();
    ASSERT_TRUE(board);
    Setting at;
    at.sync.show_on(**board, {"camera"});
    frames_cost_nothing(at);
    EXPECT_GE((*board)->shown().written.load(), 5000U);
}

}  // namespace
}  // namespace v4lfence
