// SPDX-License-Identifier: MIT
//
// The environment is read once in a process: so this is a program of its own.

#include <gtest/gtest.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>
#include <utility>

#include "v4lfence/shim/config.hpp"

namespace {

sem_t reader_is_inside;
sem_t reader_may_go_on;
bool is_first_read = true;

}  // namespace

/// In place of the C library's: the first reader stays inside.
extern "C" char* secure_getenv(const char* name) noexcept {
    if (std::exchange(is_first_read, false)) {
        sem_post(&reader_is_inside);
        sem_wait(&reader_may_go_on);
    }
    return std::getenv(name);
}

namespace v4lfence::shim {
namespace {

TEST(ShimConfigFork, child_of_a_fork_in_the_middle_reads_itself) {
    ASSERT_EQ(sem_init(&reader_is_inside, 0, 0), 0);
    ASSERT_EQ(sem_init(&reader_may_go_on, 0, 0), 0);
    setenv("V4LFENCE_SERVER", "@middle", 1);
    setenv("V4LFENCE_WRAP", "/dev/video0", 1);
    std::thread reader([] { EXPECT_EQ(config().server.view(), "@middle"); });
    sem_wait(&reader_is_inside);
    const pid_t child = fork();
    if (child == 0) {
        alarm(10);
        const Config& own = config();
        _exit(own.server.view() == "@middle" && own.wrapped_count == 1 ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    sem_post(&reader_may_go_on);
    reader.join();
    EXPECT_EQ(config().wrapped_count, 1U);
}

}  // namespace
}  // namespace v4lfence::shim
