// SPDX-License-Identifier: MIT
//
// What a frame costs on the heap.

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <new>

#include "v4lfence/drivers/picture/testing/shot.hpp"
#include "v4lfence/sync/testing/allocations.hpp"

namespace v4lfence {
namespace {

TEST(PainterHeap, frame_costs_no_allocation) {
    for (const PictureFormat& format : picture_formats()) {
        const auto layout = layout_of(format.fourcc, 640, 480);
        auto painter = Painter::create(*layout, {});
        const testing::GuardedPlanes memory(*layout);
        const std::uint64_t before = testing::count_allocations();
        for (std::uint32_t sequence = 0; sequence < 100; ++sequence) {
            ASSERT_TRUE(painter->paint(memory.planes(), {sequence, sequence}).has_value());
        }
        EXPECT_EQ(testing::count_allocations(), before) << format.name;
    }
    const std::uint64_t before = testing::count_allocations();
    // Called by name: an expression with `new` may be left out by the compiler.
    void* const taken = ::operator new(sizeof(std::uint64_t));
    EXPECT_EQ(testing::count_allocations(), before + 1) << "the counter counts";
    ::operator delete(taken);
}

}  // namespace
}  // namespace v4lfence
