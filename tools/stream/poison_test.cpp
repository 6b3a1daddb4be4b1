// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tools/stream/poison.hpp"

namespace v4lfence {
namespace {

TEST(Poison, is_found_where_nothing_was_written) {
    std::vector<std::byte> image(1000);
    write_poison(image);
    EXPECT_TRUE(finds_poison(image, image.size()));
    std::fill_n(image.begin(), 500, std::byte{1});
    EXPECT_TRUE(finds_poison(image, image.size())) << "the second half was not written";
    std::fill(image.begin(), image.end(), std::byte{1});
    EXPECT_FALSE(finds_poison(image, image.size()));
}

TEST(Poison, end_beyond_the_data_does_not_count) {
    std::vector<std::byte> image(1000);
    write_poison(image);
    std::fill_n(image.begin(), 500, std::byte{1});
    EXPECT_FALSE(finds_poison(image, 500));
}

TEST(Poison, image_too_small_is_left_alone) {
    std::vector<std::byte> image(100, std::byte{7});
    write_poison(image);
    EXPECT_EQ(image, std::vector<std::byte>(100, std::byte{7}));
    EXPECT_FALSE(finds_poison(image, image.size()));
}

}  // namespace
}  // namespace v4lfence
