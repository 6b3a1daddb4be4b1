// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <memory>

#include "v4lfence/remote/mapping_table.hpp"

namespace v4lfence::remote {
namespace {

class MappingTableTest : public ::testing::Test {
protected:
    Result<std::int64_t> add(int connection, pid_t pid, std::int64_t space) {
        return table_.add(connection, {pid, space}, memory_);
    }

    const std::shared_ptr<BufferMemory> memory_ = std::make_shared<BufferMemory>();
    MappingTable table_;
};

TEST_F(MappingTableTest, are_as_many_as_a_process_has_whatever_it_says) {
    std::int64_t last = 0;
    for (std::size_t i = 0; i < mappings_max; ++i) {
        last = add(-1, 7, static_cast<std::int64_t>(i)).value();
    }
    EXPECT_EQ(add(-2, 7, -1).error().code, -ENOMEM) << "another address space, it says";
    EXPECT_TRUE(add(-3, 8, 1));
    table_.remove(last, {7, 0});
    EXPECT_EQ(add(-2, 7, -1).error().code, -ENOMEM) << "not that one's";
    table_.remove(last, {7, mappings_max - 1});
    EXPECT_TRUE(add(-2, 7, -1));
    table_.end(-1);
    EXPECT_EQ(memory_->mappings.load(), 2U);
    for (std::size_t i = 1; i < mappings_max; ++i) {
        ASSERT_TRUE(add(-1, 7, 0));
    }
    EXPECT_FALSE(add(-1, 7, 0));
}

}  // namespace
}  // namespace v4lfence::remote
