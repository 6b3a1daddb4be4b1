// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
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
    auto waiter = std::async(std::launch::async, [] { return table_->take(7); });
    EXPECT_EQ(waiter.wait_for(20ms), std::future_status::timeout);
    EXPECT_FALSE(finds(7)) << "who comes later does not find it";
    int unread = 0;
    EXPECT_TRUE((*inside)->ioctl(pipe_.read_end.get(), FIONREAD, &unread, Look()));
    inside.reset();
    ASSERT_EQ(waiter.wait_for(20s), std::future_status::ready);
    end(waiter.get());
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
                    EXPECT_TRUE(file->ioctl(pipe_.read_end.get(), FIONREAD, &unread, Look()));
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
        end(table_->take(number));
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

TEST_F(FdTableTest, file_goes_with_its_last_number_in_whatever_order) {
    constexpr std::array numbers{7, 1030, 9};
    std::array<int, 3> order{0, 1, 2};
    do {
        File* const file = make_file().release();
        table_->put(numbers[0], *file);
        EXPECT_EQ(*table_->share(numbers[0], numbers[1]), nullptr);
        EXPECT_EQ(*table_->share(numbers[1], numbers[2]), nullptr);
        for (const int number : numbers) {
            EXPECT_EQ(&*table_->find(number), file);
        }
        EXPECT_EQ(table_->take(numbers[order[0]]), nullptr);
        EXPECT_FALSE(finds(numbers[order[0]]));
        EXPECT_EQ(table_->take(numbers[order[1]]), nullptr);
        EXPECT_EQ(&*table_->find(numbers[order[2]]), file);
        EXPECT_EQ(table_->take(numbers[order[2]]), file);
        end(file);
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(FdTableTest, file_goes_on_by_a_number_that_is_left) {
    auto owned = make_file();
    const BridgeFile& file = *owned;
    const int second = file.fd() + 500;
    const int third = file.fd() + 501;
    table_->put(file.fd(), *owned.release());
    EXPECT_TRUE(table_->share(file.fd(), second));
    EXPECT_TRUE(table_->share(file.fd(), third));
    EXPECT_EQ(table_->take(pipe_.read_end.get()), nullptr);
    const int left = file.fd();
    EXPECT_TRUE(left == second || left == third) << left;
    EXPECT_EQ(table_->take(left), nullptr);
    EXPECT_EQ(file.fd(), left == second ? third : second);
    end(table_->take(file.fd()));
}

TEST_F(FdTableTest, number_that_is_shared_leaves_what_it_was) {
    File* const first = make_file().release();
    File* const second = make_file().release();
    table_->put(7, *first);
    table_->put(8, *second);
    EXPECT_TRUE(table_->share(8, 9));
    EXPECT_EQ(*table_->share(7, 8), nullptr) << "the second has another number";
    EXPECT_EQ(&*table_->find(8), first);
    EXPECT_EQ(*table_->share(7, 9), second);
    EXPECT_EQ(*table_->share(7, 9), nullptr) << "nothing is left to do";
    end(second);
    EXPECT_EQ(table_->put(8, *make_file().release()), nullptr) << "the first has other numbers";
    EXPECT_EQ(table_->take(7), nullptr);
    EXPECT_EQ(table_->take(9), first);
    end(first);
    end(table_->take(8));
}

TEST_F(FdTableTest, nothing_is_shared_with_a_number_that_is_not_ours) {
    const auto shared = table_->share(7, 8);
    ASSERT_FALSE(shared);
    EXPECT_EQ(shared.error().code, -EBADF);
    EXPECT_FALSE(finds(8));
}

TEST_F(FdTableTest, number_is_found_by_its_file) {
    File* const file = make_file().release();
    table_->put(7, *file);
    EXPECT_TRUE(table_->share(7, 1500));
    const auto is_it = [file](int, const File& seen) { return &seen == file; };
    EXPECT_EQ(table_->share_where(9, is_it), nullptr);
    EXPECT_EQ(&*table_->find(9), file);
    EXPECT_EQ(table_->share_where(9, is_it), nullptr) << "again";
    EXPECT_EQ(table_->take(7), nullptr);
    EXPECT_EQ(table_->take(1500), nullptr);
    EXPECT_EQ(table_->share_where(9, is_it).error().code, -EBADF) << "by itself alone";
    end(table_->take(9));
    EXPECT_FALSE(table_->share_where(9, is_it));
}

TEST_F(FdTableTest, number_that_was_found_is_that_file_until_it_is_shared) {
    const auto node_of = [](const File& file) {
        return static_cast<const BridgeFile&>(file).node();
    };
    std::atomic<bool> done{false};
    // 7 is a file that is looked for, and another, in turn.
    std::thread other([&] {
        for (dev_t node = 1; !done.load(); node = 3 - node) {
            table_->put(
                7, *std::make_unique<BridgeFile>(context_, pipe_.read_end.get(), node).release());
            if (File* const last = table_->take(7)) {
                end(last);
            }
        }
    });
    unsigned wrong = 0;
    for (unsigned found = 0; found < 3000;) {
        if (table_->share_where(8, [&](int, const File& file) { return node_of(file) == 1; })) {
            ++found;
            wrong += node_of(*table_->find(8)) == 1 ? 0 : 1;
            if (File* const last = table_->take(8)) {
                end(last);
            }
        }
    }
    done = true;
    other.join();
    EXPECT_EQ(wrong, 0U);
}

TEST_F(FdTableTest, last_number_waits_for_calls_by_any) {
    File* const file = make_file().release();
    table_->put(7, *file);
    EXPECT_TRUE(table_->share(7, 8));
    std::unique_ptr<const FdTable::Use> inside(new FdTable::Use(table_->find(7)));
    auto first = std::async(std::launch::async, [] { return table_->take(7); });
    while (finds(7)) {
        std::this_thread::yield();
    }
    auto last = std::async(std::launch::async, [] { return table_->take(8); });
    EXPECT_EQ(last.wait_for(20ms), std::future_status::timeout);
    inside.reset();
    EXPECT_EQ(first.get(), nullptr);
    EXPECT_EQ(last.get(), file);
    end(file);
}

TEST_F(FdTableTest, numbers_come_and_go_on_many_threads) {
    File* const file = make_file().release();
    table_->put(7, *file);
    std::vector<std::thread> programs;
    for (int program = 0; program < 3; ++program) {
        programs.emplace_back([&, number = 100 + program * 2] {
            for (int round = 0; round < 400; ++round) {
                EXPECT_TRUE(table_->share(7, number));
                EXPECT_TRUE(table_->share(number, number + 1));
                EXPECT_EQ(&*table_->find(number), file);
                EXPECT_EQ(table_->take(number), nullptr);
                EXPECT_EQ(&*table_->find(number + 1), file);
                EXPECT_EQ(table_->take(number + 1), nullptr);
            }
        });
    }
    for (std::thread& program : programs) {
        program.join();
    }
    EXPECT_EQ(table_->take(7), file);
    end(file);
}

}  // namespace
}  // namespace v4lfence
