// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <vector>

#include "tools/stream/footprint.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/trace_board.hpp"

namespace v4lfence {
namespace {

TEST(Footprint, counts_what_is_held) {
    const Footprint before = measure_footprint();
    constexpr std::size_t more = 4 << 20;
    const std::vector<char> touched(more, 1);
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    const Footprint after = measure_footprint();
    EXPECT_EQ(after.descriptors, before.descriptors + 2);
    EXPECT_GE(after.resident_kib, before.resident_kib + more / 1024 / 2);
    EXPECT_EQ(touched.back(), 1);
}

TEST(Footprint, leaves_out_the_trace_board) {
    const auto board = TraceBoard::create();
    ASSERT_TRUE(board);
    auto source = (*board)->add_source(1, "camera");
    source.record({});
    const Footprint before = measure_footprint();
    for (std::uint64_t record = 0; record < trace_records_max; ++record) {
        source.record({});
    }
    EXPECT_LT(measure_footprint().resident_kib, before.resident_kib + 256);
}

}  // namespace
}  // namespace v4lfence
