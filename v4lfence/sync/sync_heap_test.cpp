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

TEST(SyncHeap, frame_costs_no_allocation) {
    Setting at;
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
    // Called by name: an expression with `new` may be left out by the compiler.
    void* const taken = ::operator new(sizeof(std::uint64_t));
    EXPECT_EQ(testing::count_allocations(), before + 1) << "the counter counts";
    ::operator delete(taken);
}

}  // namespace
}  // namespace v4lfence
