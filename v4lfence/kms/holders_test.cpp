// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/kms/holders.hpp"

namespace v4lfence {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Holders, other_programs_are_named_and_this_one_is_not) {
    const auto device = sys::open("/dev/full", O_RDONLY);
    ASSERT_TRUE(device);
    const dev_t number = sys::fstat(device->get())->st_rdev;
    const std::string self = "pid " + std::to_string(::getpid()) + ")";
    EXPECT_THAT(programs_with(number), Not(HasSubstr(self)));
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();  // With the device open, which it has from here.
        ::_exit(0);
    }
    EXPECT_THAT(programs_with(number), HasSubstr("(pid " + std::to_string(child) + ")"));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_THAT(programs_with(number), Not(HasSubstr(std::to_string(child))));
}

}  // namespace
}  // namespace v4lfence
