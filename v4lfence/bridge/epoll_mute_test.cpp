// SPDX-License-Identifier: MIT
//
// An eventfd stands in for the V4L2 file: readable where the kernel would show a frame or POLLERR.

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/bridge/epoll_mute.hpp"

namespace v4lfence {
namespace {

constexpr std::uint64_t cookie = 4711;

class EpollMuteTest : public ::testing::Test {
protected:
    void SetUp() override {
        file_ = *sys::eventfd(1, EFD_NONBLOCK);
        epoll_ = *sys::epoll_create();
    }

    int control(int operation, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = cookie;
        const auto done = mute_.control(epoll_.get(), operation, file_.get(), &event);
        return done ? 0 : done.error().code;
    }

    /// What the program is told of the file; 0 nothing.
    static std::uint32_t told(const UniqueFd& epoll) {
        std::array<epoll_event, 4> events{};
        const auto count = sys::epoll_wait(epoll.get(), events, 0);
        EXPECT_TRUE(count);
        EXPECT_LE(*count, 1U);
        if (*count == 0) {
            return 0;
        }
        const std::uint64_t seen = events[0].data.u64;  // The struct is packed.
        EXPECT_EQ(seen, cookie);
        return events[0].events;
    }
    std::uint32_t told() const { return told(epoll_); }

    void set(EpollMute::State state) {
        mute_.refresh([state] { return state; });
    }

    UniqueFd file_;
    UniqueFd epoll_;
    EpollMute mute_;
};

TEST_F(EpollMuteTest, nothing_is_kept_before_the_first_registration) {
    EXPECT_TRUE(mute_.empty());
    EXPECT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
    EXPECT_FALSE(mute_.empty());
}

// Pins: 6.4
TEST_F(EpollMuteTest, muted_registration_is_told_nothing) {
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLIN | EPOLLRDNORM), 0);
    EXPECT_NE(told(), 0U);
    set({.muted = true});
    EXPECT_EQ(told(), 0U);
    set({});
    EXPECT_NE(told(), 0U);
}

// Pins: 6.4
TEST_F(EpollMuteTest, registration_made_while_muted_is_muted) {
    set({.muted = true});
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
    EXPECT_EQ(told(), 0U);
    set({});
    EXPECT_EQ(told(), EPOLLIN);
}

// Pins: 6.4
TEST_F(EpollMuteTest, edge_triggered_one_gets_its_edge_when_it_speaks_again) {
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLIN | EPOLLET), 0);
    set({.muted = true});
    EXPECT_EQ(told(), 0U);
    set({});
    EXPECT_EQ(told(), EPOLLIN);
    EXPECT_EQ(told(), 0U);
}

TEST_F(EpollMuteTest, change_while_muted_holds_afterwards) {
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLPRI), 0);
    set({.muted = true});
    ASSERT_EQ(control(EPOLL_CTL_MOD, EPOLLIN), 0);
    EXPECT_EQ(told(), 0U);
    set({});
    EXPECT_EQ(told(), EPOLLIN);
}

TEST_F(EpollMuteTest, deleted_registration_does_not_come_back) {
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
    ASSERT_EQ(control(EPOLL_CTL_DEL, 0), 0);
    EXPECT_TRUE(mute_.empty());
    set({.muted = true});
    set({});
    EXPECT_EQ(told(), 0U);
    EXPECT_EQ(control(EPOLL_CTL_DEL, 0), -ENOENT);
}

TEST_F(EpollMuteTest, errors_are_the_kernels_and_leave_nothing) {
    EXPECT_EQ(control(EPOLL_CTL_MOD, EPOLLIN), -ENOENT);
    EXPECT_EQ(control(4711, EPOLLIN), -EINVAL);
    EXPECT_TRUE(mute_.empty());
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
    EXPECT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), -EEXIST);
    const auto without_event = mute_.control(epoll_.get(), EPOLL_CTL_MOD, file_.get(), nullptr);
    ASSERT_FALSE(without_event);
    EXPECT_EQ(without_event.error().code, -EFAULT);
    EXPECT_EQ(told(), EPOLLIN);
}

// Pins: 6.4
TEST_F(EpollMuteTest, each_epoll_of_the_program_is_muted) {
    const UniqueFd other = *sys::epoll_create();
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = cookie;
    ASSERT_TRUE(mute_.control(other.get(), EPOLL_CTL_ADD, file_.get(), &event));
    set({.muted = true});
    EXPECT_EQ(told(), 0U);
    EXPECT_EQ(told(other), 0U);
}

// Pins: 5.1
TEST_F(EpollMuteTest, bell_rings_under_the_programs_data_until_it_is_stopped) {
    EXPECT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
    set({.muted = true, .ringing = false});
    EXPECT_EQ(told(), 0U);
    set({.muted = true, .ringing = true});
    EXPECT_EQ(told(), std::uint32_t{EPOLLIN});
    set({.muted = true, .ringing = false});
    EXPECT_EQ(told(), 0U);
    EXPECT_EQ(control(EPOLL_CTL_DEL, 0), 0);
    set({.muted = true, .ringing = true});
    EXPECT_EQ(told(), 0U);
}

// Pins: 5.1
TEST_F(EpollMuteTest, buffer_that_the_kernel_does_not_know_of_rings) {
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
    set({.muted = true, .ringing = true});
    EXPECT_EQ(told(), EPOLLIN);
    EXPECT_EQ(told(), EPOLLIN) << "until somebody fetches it";
    set({.muted = true});
    EXPECT_EQ(told(), 0U);
    set({.muted = true, .ringing = true});
    EXPECT_EQ(told(), EPOLLIN) << "and for the next";
}

TEST_F(EpollMuteTest, bell_goes_with_the_registration) {
    set({.muted = true, .ringing = true});
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLPRI), 0);
    EXPECT_EQ(told(), 0U) << "frames were not asked for";
    ASSERT_EQ(control(EPOLL_CTL_MOD, EPOLLIN), 0);
    EXPECT_EQ(told(), EPOLLIN);
    ASSERT_EQ(control(EPOLL_CTL_DEL, 0), 0);
    EXPECT_EQ(told(), 0U);
}

// Pins: 6.4
TEST_F(EpollMuteTest, number_used_anew_is_the_new_epoll) {
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
    const int number = epoll_.get();
    epoll_.reset();
    epoll_ = *sys::epoll_create();
    ASSERT_EQ(epoll_.get(), number);
    ASSERT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
    set({.muted = true});
    EXPECT_EQ(told(), 0U);
}

// Pins: 2.1
TEST_F(EpollMuteTest, add_without_descriptors_adds_nothing) {
    int result = 0;
    {
        const testing::DescriptorLimit none(1);
        result = control(EPOLL_CTL_ADD, EPOLLIN);
    }
    EXPECT_EQ(result, -EMFILE);
    EXPECT_EQ(told(), 0U);
    EXPECT_EQ(control(EPOLL_CTL_ADD, EPOLLIN), 0);
}

}  // namespace
}  // namespace v4lfence
