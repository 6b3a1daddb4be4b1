// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "tools/doctor/proc.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

TEST(Proc, name_with_parentheses_is_read_whole) {
    const auto stat = parse_stat("42 (a (b) c) T 1 42 42 0 -1");
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->name, "a (b) c");
    EXPECT_EQ(stat->state, 'T');
}

TEST(Proc, stat_that_ends_early_is_none) {
    EXPECT_FALSE(parse_stat(""));
    EXPECT_FALSE(parse_stat("42 (name"));
    EXPECT_FALSE(parse_stat("42 (name) "));
}

TEST(Proc, flags_are_octal_and_the_eventfds_count_is_hexadecimal) {
    const auto info = parse_fdinfo("pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t18\n"
                                   "eventfd-count:               1f\neventfd-id: 12\n");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->flags, static_cast<unsigned>(O_CLOEXEC | O_RDWR));
    EXPECT_EQ(info->eventfd_id, 12U);
    EXPECT_EQ(info->eventfd_count, 0x1fU);
}

TEST(Proc, fdinfo_of_a_pipe_tells_its_end) {
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    EXPECT_FALSE(read_fdinfo(getpid(), pipe->read_end.get())->writable());
    EXPECT_TRUE(read_fdinfo(getpid(), pipe->write_end.get())->writable());
}

TEST(Proc, fdinfo_without_flags_is_none) {
    EXPECT_FALSE(parse_fdinfo("pos:\t0\n"));
    EXPECT_FALSE(parse_fdinfo("flagship:\t0\n"));
    EXPECT_FALSE(read_fdinfo(getpid(), 1 << 20));
}

TEST(Proc, descriptors_of_this_process_are_listed) {
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    const auto descriptors = read_descriptors(getpid());
    ASSERT_TRUE(descriptors);
    const auto found =
        std::find_if(descriptors->begin(), descriptors->end(),
                     [&](const ProcFd& one) { return one.fd == pipe->write_end.get(); });
    ASSERT_NE(found, descriptors->end());
    EXPECT_EQ(found->link, read_link(getpid(), pipe->read_end.get()));
}

TEST(Proc, process_that_is_not_there_has_nothing) {
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    ASSERT_EQ(waitpid(child, nullptr, 0), child);

    EXPECT_FALSE(read_stat(child));
    EXPECT_FALSE(read_descriptors(child));
    EXPECT_EQ(read_link(child, 0), "");
    EXPECT_EQ(take_descriptor(child, 0).error().code, -ESRCH);
}

TEST(Proc, descriptor_that_is_not_there_cannot_be_taken) {
    const auto taken = take_descriptor(getpid(), 1 << 20);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, -EBADF);
}

TEST(Proc, poll_of_another_process_is_seen) {
    const auto fence = sys::pipe(0);
    const auto alive = sys::pipe(0);
    ASSERT_TRUE(fence && alive);
    const pid_t child = fork();
    if (child == 0) {
        close(alive->write_end.get());
        std::array<pollfd, 2> polled{
            {{fence->read_end.get(), POLLIN, 0}, {alive->read_end.get(), POLLIN, 0}}};
        poll(polled.data(), polled.size(), -1);
        _exit(0);
    }
    std::vector<int> awaited;
    while (awaited.empty() && waitpid(child, nullptr, WNOHANG) == 0) {
        awaited = read_awaited(child);
        sched_yield();
    }
    EXPECT_THAT(awaited, ::testing::ElementsAre(fence->read_end.get(), alive->read_end.get()));
    static_cast<void>(sys::write(alive->write_end.get(), std::array<std::byte, 1>{}));
    waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace v4lfence
