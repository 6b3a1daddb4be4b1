// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {
namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

int any_fd() {
    return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

TEST(UniqueFd, destruction_closes) {
    const int fd = any_fd();
    {
        const UniqueFd owner(fd);
        EXPECT_TRUE(is_open(fd));
    }
    EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, empty_closes_nothing) {
    errno = 0;
    {
        const UniqueFd nothing;
        EXPECT_FALSE(nothing);
        EXPECT_EQ(nothing.get(), -1);
    }
    EXPECT_EQ(errno, 0);
}

TEST(UniqueFd, move_leaves_one_owner) {
    const int fd = any_fd();
    UniqueFd first(fd);
    UniqueFd second(std::move(first));
    EXPECT_EQ(second.get(), fd);
    UniqueFd third(any_fd());
    const int replaced = third.get();
    third = std::move(second);
    EXPECT_FALSE(is_open(replaced));
    EXPECT_EQ(third.get(), fd);
    EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFd, release_gives_up_ownership) {
    const int fd = any_fd();
    UniqueFd owner(fd);
    EXPECT_EQ(std::move(owner).release(), fd);
    EXPECT_TRUE(is_open(fd));
    ::close(fd);
}

TEST(UniqueFd, reset_to_what_it_holds_keeps_it) {
    const int fd = any_fd();
    UniqueFd owner(fd);
    owner.reset(fd);
    EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFd, close_leaves_errno) {
    UniqueFd closed_behind_its_back(any_fd());
    ::close(closed_behind_its_back.get());
    errno = ENOSPC;
    closed_behind_its_back.reset();
    EXPECT_EQ(errno, ENOSPC);
}

}  // namespace
}  // namespace v4lfence
