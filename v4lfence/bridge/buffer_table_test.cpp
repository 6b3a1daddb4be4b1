// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <thread>

#include "v4lfence/bridge/buffer_table.hpp"

namespace v4lfence {
namespace {

TEST(BufferTable, nothing_is_found_before_it_is_made) {
    const BufferTable table;
    EXPECT_EQ(table.find(0), nullptr);
    EXPECT_EQ(table.find(BufferTable::buffers_max - 1), nullptr);
}

TEST(BufferTable, index_beyond_the_limit_finds_nothing) {
    BufferTable table;
    table.make(BufferTable::buffers_max - 1);
    EXPECT_EQ(table.find(BufferTable::buffers_max), nullptr);
    EXPECT_EQ(table.find(UINT32_MAX), nullptr);
}

TEST(BufferTable, buffer_stays_where_it_is_while_others_are_made) {
    BufferTable table;
    BridgeBuffer* const first = &table.make(0);
    for (unsigned index = 1; index < 1000; ++index) {
        table.make(index);
    }
    EXPECT_EQ(table.find(0), first);
    EXPECT_EQ(&table.make(0), first) << "made again is the same";
}

TEST(BufferTable, neighbours_are_different_buffers) {
    BufferTable table;
    table.make(63).exists.store(true);
    table.make(64);
    EXPECT_EQ(table.find(62), nullptr);
    EXPECT_NE(table.find(63), table.find(64));
    EXPECT_FALSE(table.find(64)->exists.load());
}

TEST(BufferTable, reader_sees_a_buffer_whole_or_not_at_all) {
    constexpr unsigned count = 2000;
    BufferTable table;
    std::thread reader([&table] {
        for (unsigned index = 0; index < count;) {
            if (const BridgeBuffer* found = table.find(index)) {
                EXPECT_EQ(found->watched, nullptr);
                EXPECT_EQ(found->watch.load(), Reactor::WatchId::None);
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
