// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <vector>

#include "tools/stream/footprint.hpp"
#include "v4lfence/base/syscall.hpp"

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

}  // namespace
}  // namespace v4lfence
