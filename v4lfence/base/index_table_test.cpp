// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <thread>

#include "v4lfence/base/index_table.hpp"

namespace v4lfence {
namespace {

using Table = IndexTable<int>;

TEST(IndexTable, nothing_is_found_before_it_is_made) {
    const Table table;
    EXPECT_EQ(table.find(0), nullptr);
    EXPECT_EQ(table.find(Table::size_max - 1), nullptr);
}

TEST(IndexTable, index_beyond_the_limit_finds_nothing) {
    Table table;
    table.make(Table::size_max - 1);
    EXPECT_EQ(table.find(Table::size_max), nullptr);
    EXPECT_EQ(table.find(UINT32_MAX), nullptr);
}

TEST(IndexTable, object_stays_where_it_is_while_others_are_made) {
    Table table;
    int* const first = &table.make(0);
    for (unsigned index = 1; index < 1000; ++index) {
        table.make(index);
    }
    EXPECT_EQ(table.find(0), first);
    EXPECT_EQ(&table.make(0), first) << "made again is the same";
}

TEST(IndexTable, neighbours_are_different_objects) {
    Table table;
    table.make(63) = 1;
    table.make(64);
    EXPECT_EQ(table.find(62), nullptr);
    EXPECT_NE(table.find(63), table.find(64));
    EXPECT_EQ(*table.find(64), 0);
}

TEST(IndexTable, reader_sees_an_object_whole_or_not_at_all) {
    constexpr unsigned count = 2000;
    Table table;
    std::thread reader([&table] {
        for (unsigned index = 0; index < count;) {
            if (const int* found = table.find(index)) {
                EXPECT_EQ(*found, 0);
                ++index;
            } else {
                std::this_thread::yield();
            }
        }
    });
    for (unsigned index = 0; index < count; ++index) {
        table.make(index);
    }
    reader.join();
}

}  // namespace
}  // namespace v4lfence
