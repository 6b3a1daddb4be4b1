// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/file.hpp"
#include "v4lfence/capi/fd_table.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;

class FdTableTest : public ::testing::Test {
protected:
    void SetUp() override { pipe_ = std::move(*sys::pipe(0)); }

    std::unique_ptr<BridgeFile> make_file() {
        return std::make_unique<BridgeFile>(context_, pipe_.read_end.get(), dev_t{1});
    }
    static void end(File* file) {
        file->close();
        delete file;
    }
    bool finds(int fd) const { return static_cast<bool>(table_->find(fd)); }

    Context context_;
    sys::Pipe pipe_;
    /// Lives as long as the process, like the library's.
    static inline FdTable* const table_ = new FdTable;
};

TEST_F(FdTableTest, number_that_is_not_ours_finds_nothing) {
    for (const int fd : {0, 3, 1023, 1024, 1048575, 1048576, INT_MAX, -1, INT_MIN}) {
        EXPECT_FALSE(finds(fd)) << fd;
        EXPECT_EQ(table_->take(fd), nullptr) << fd;
    }
}

TEST_F(FdTableTest, file_is_found_by_its_number_alone) {
    for (const int fd : {0, 1023, 1024, 1048575}) {
        EXPECT_EQ(table_->put(fd, *make_file().release()), nullptr);
        EXPECT_TRUE(finds(fd));
        EXPECT_FALSE(finds(fd - 1));
        EXPECT_FALSE(finds(fd + 1));
        end(table_->take(fd));
        EXPECT_FALSE(finds(fd));
    }
}

TEST_F(FdTableTest, number_used_again_gives_the_stale_file_back) {
    File* const stale = make_file().release();
    File* const fresh = make_file().release();
    EXPECT_EQ(table_->put(7, *stale), nullptr);
    EXPECT_EQ(table_->put(7, *fresh), stale);
    EXPECT_EQ(&*table_->find(7), fresh);
    end(stale);
    end(table_->take(7));
}

TEST_F(FdTableTest, serial_finds_that_very_file_or_none) {
    File* const first = make_file().release();
    const std::uint64_t serial = first->serial();
    EXPECT_NE(serial, 0U);
    table_->put(7, *first);
    EXPECT_EQ(&*table_->find(7, serial), first);
    end(table_->take(7));
    File* const second = make_file().release();  // Quite possibly where the first one was.
    table_->put(7, *second);
    EXPECT_FALSE(static_cast<bool>(table_->find(7, serial)));
    EXPECT_EQ(&*table_->find(7, second->serial()), second);
    end(table_->take(7));
}

TEST_F(FdTableTest, file_stays_while_a_call_is_inside) {
    table_->put(7, *make_file().release());
    std::unique_ptr<const FdTable::Use> inside(new FdTable::Use(table_->find(7)));
    ASSERT_TRUE(*inside);
    File* const taken = table_->take(7);
    auto waiter = std::async(std::launch::async, [] { table_->wait_unused(7); });
    EXPECT_EQ(waiter.wait_for(20ms), std::future_status::timeout);
    EXPECT_FALSE(finds(7)) << "who comes later does not find it";
    int unread = 0;
    EXPECT_TRUE((*inside)->ioctl(7, FIONREAD, &unread, Look()));
    inside.reset();
    ASSERT_EQ(waiter.wait_for(20s), std::future_status::ready);
    end(taken);
}

TEST_F(FdTableTest, users_and_closers_on_many_threads) {
    constexpr int number = 7;
    constexpr int rounds = 500;
    std::atomic<bool> over{false};
    std::atomic<unsigned> calls{0};
    std::vector<std::thread> users;
    for (int user = 0; user < 3; ++user) {
        users.emplace_back([&] {
            while (!over.load()) {
                const FdTable::Use file = table_->find(number);
                int unread = 0;
                if (file) {
                    EXPECT_TRUE(file->ioctl(number, FIONREAD, &unread, Look()));
                    calls.fetch_add(1);
                }
            }
        });
    }
    for (int round = 0; round < rounds; ++round) {
        EXPECT_EQ(table_->put(number, *make_file().release()), nullptr);
        if (round % 8 == 0) {
            std::this_thread::yield();
        }
        File* const taken = table_->take(number);
        table_->wait_unused(number);
        end(taken);
    }
    table_->put(number, *make_file().release());
    const unsigned before = calls.load();
    while (calls.load() == before) {
        std::this_thread::yield();
    }
    over.store(true);
    for (std::thread& user : users) {
        user.join();
    }
    end(table_->take(number));
}

}  // namespace
}  // namespace v4lfence
