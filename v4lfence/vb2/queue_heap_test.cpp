// SPDX-License-Identifier: MIT
//
// What a frame costs on the heap.

#include <gtest/gtest.h>

#include <new>

#include "v4lfence/sync/testing/allocations.hpp"
#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::Rig;

void expect_no_allocation(bool fenced) {
    Rig rig;
    rig.driver.remembers = false;
    ASSERT_EQ(rig.request(4), 4);
    ASSERT_EQ(rig.stream_on(), 0);
    std::uint64_t before = 0;
    for (unsigned frame = 0; frame < 1000; ++frame) {
        if (frame == 100) {
            before = testing::count_allocations();
        }
        const unsigned index = frame % 4;
        ASSERT_EQ(fenced ? rig.qbuf_out(index) : rig.qbuf(index), 0);
        ASSERT_TRUE(rig.driver.finish_one());
        ASSERT_EQ(rig.dqbuf(), static_cast<int>(index));
    }
    EXPECT_EQ(testing::count_allocations(), before);
    // Called by name: an expression with `new` may be left out by the compiler.
    void* const taken = ::operator new(sizeof(std::uint64_t));
    EXPECT_EQ(testing::count_allocations(), before + 1) << "the counter counts";
    ::operator delete(taken);
}

TEST(QueueHeap, frame_costs_no_allocation) {
    expect_no_allocation(false);
}

TEST(QueueHeap, frame_with_an_out_fence_costs_no_allocation) {
    expect_no_allocation(true);
}

}  // namespace
}  // namespace v4lfence
