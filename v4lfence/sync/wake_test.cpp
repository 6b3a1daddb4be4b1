// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <thread>
#include <utility>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/sync/wake.hpp"

namespace v4lfence {
namespace {

class WakeTest : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(wake_.open()); }
    bool rings() const { return sys::poll_now(wake_.fd(), POLLIN).value_or(POLLNVAL) == POLLIN; }

    Wake wake_;
};

TEST(Wake, has_no_descriptor_before_it_is_opened) {
    const Wake wake;
    EXPECT_EQ(wake.fd(), -1);
}

// Pins: 7.5
TEST_F(WakeTest, its_descriptor_is_high_and_close_on_exec) {
    EXPECT_GE(wake_.fd(), 256);
    EXPECT_NE(::fcntl(wake_.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(WakeTest, opened_again_it_is_the_same) {
    const int fd = wake_.fd();
    const std::size_t before = testing::open_descriptors();
    ASSERT_TRUE(wake_.open());
    EXPECT_EQ(wake_.fd(), fd);
    EXPECT_EQ(testing::open_descriptors(), before);
}

TEST_F(WakeTest, without_a_waiter_nothing_rings) {
    wake_.notify();
    EXPECT_FALSE(rings());
    wake_.begin();
    EXPECT_FALSE(rings()) << "what came before begin() is for the waiter's look to find";
}

TEST_F(WakeTest, what_comes_after_begin_wakes_the_wait) {
    wake_.begin();
    wake_.notify();
    EXPECT_TRUE(rings());
    wake_.end();
    wake_.begin();
    EXPECT_FALSE(rings()) << "it was rung before this look";
}

/// As if the waiter, woken by the byte, ran before the thread that wrote it goes on.
class WaiterAtTheByte {
public:
    explicit WaiterAtTheByte(Wake& wake) {
        waiter_ = &wake;
        before_ = std::exchange(libc.write, write);
    }
    WaiterAtTheByte(const WaiterAtTheByte&) = delete;
    WaiterAtTheByte& operator=(const WaiterAtTheByte&) = delete;
    ~WaiterAtTheByte() { libc.write = before_; }

private:
    static ssize_t write(int fd, const void* bytes, std::size_t size) {
        const ssize_t written = before_(fd, bytes, size);
        waiter_->end();
        waiter_->begin();
        return written;
    }
    static inline Wake* waiter_ = nullptr;
    static inline decltype(LibcCalls::write) before_ = nullptr;
};

TEST_F(WakeTest, waiter_that_is_quicker_than_its_waker_does_not_spin) {
    wake_.begin();
    const WaiterAtTheByte waiter(wake_);
    wake_.notify();
    EXPECT_FALSE(rings());
}

TEST_F(WakeTest, another_that_begins_takes_the_ring_and_knows_that_others_wait) {
    wake_.begin();
    EXPECT_FALSE(wake_.others());
    wake_.notify();
    wake_.begin();
    EXPECT_TRUE(wake_.others());
    EXPECT_FALSE(rings());
    wake_.notify();
    EXPECT_TRUE(rings());
    wake_.end();
    wake_.end();
    EXPECT_FALSE(wake_.others());
}

TEST_F(WakeTest, closed_it_gives_its_descriptor_back) {
    const std::size_t before = testing::open_descriptors();
    wake_.close();
    EXPECT_EQ(testing::open_descriptors(), before - 1);
    EXPECT_EQ(wake_.fd(), -1);
}

// Pins: 7.1
TEST_F(WakeTest, waiter_in_poll_returns) {
    wake_.begin();
    std::thread waiter([this] {
        pollfd entry{wake_.fd(), POLLIN, 0};
        EXPECT_EQ(sys::poll({&entry, 1}, 20000).value_or(0), 1);
    });
    wake_.notify();
    waiter.join();
    wake_.end();
}

}  // namespace
}  // namespace v4lfence
