// SPDX-License-Identifier: MIT
//
// One file by several numbers, through the C API: v4lfence_dup(), v4lfence_fd_open() of a
// duplicate, and close() in whatever order.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/capi/testing/virtual_camera.hpp"

namespace v4lfence {
namespace {

using testing::call;
using testing::Camera;

int query(int fd) {
    v4l2_capability caps{};
    return call(fd, VIDIOC_QUERYCAP, &caps);
}

int queue(int fd, unsigned index) {
    v4l2_buffer buffer = Camera::buffer(index);
    return call(fd, VIDIOC_QBUF, &buffer);
}

int dequeue(int fd) {
    v4l2_buffer buffer = Camera::buffer();
    return call(fd, VIDIOC_DQBUF, &buffer);
}

int stream(int fd) {
    std::uint32_t type = testing::capture;
    return call(fd, VIDIOC_STREAMON, &type);
}

TEST(Dup, stream_goes_on_whichever_number_is_closed) {
    for (const bool first_goes : {true, false}) {
        SCOPED_TRACE(first_goes);
        Camera camera("dup-stream");
        const int other = v4lfence_dup(camera.fd());
        ASSERT_GE(other, 0);
        ASSERT_EQ(camera.request(2), 0);
        ASSERT_EQ(queue(other, 0), 0);
        ASSERT_EQ(stream(camera.fd()), 0);
        ASSERT_EQ(dequeue(other), 0);
        int left = other;
        if (first_goes) {
            camera.close();
        } else {
            left = camera.fd();
            EXPECT_EQ(v4lfence_close(other), 0);
        }
        EXPECT_EQ(queue(left, 1), 0);
        EXPECT_EQ(testing::polled(left, POLLIN, 20000), POLLIN);
        EXPECT_EQ(dequeue(left), 0);
        if (first_goes) {
            EXPECT_EQ(v4lfence_close(other), 0);
        } else {
            camera.close();
        }
        EXPECT_EQ(query(other), -EBADF);
        Camera again("dup-stream");
        EXPECT_EQ(again.request(1), 0) << "the queue's owner has gone";
    }
}

TEST(Dup, duplicate_by_the_kernel_becomes_one_more_number) {
    Camera camera("dup-kernel");
    const int copy = ::dup(camera.fd());
    ASSERT_GE(copy, 0);
    EXPECT_EQ(query(copy), -ENOTTY) << "nobody has told us";
    EXPECT_EQ(v4lfence_fd_open(copy), copy);
    EXPECT_EQ(query(copy), 0);
    ASSERT_EQ(camera.request(1), 0);
    camera.close();
    EXPECT_EQ(queue(copy, 0), 0) << "the same file still owns the queue";
    EXPECT_EQ(v4lfence_close(copy), 0);
}

TEST(Dup, of_what_is_not_managed_is_dup) {
    const int file = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    const int copy = v4lfence_dup(file);
    ASSERT_GE(copy, 0);
    EXPECT_EQ(::fcntl(copy, F_GETFD), 0) << "as dup(), execve() keeps it";
    EXPECT_EQ(v4lfence_close(copy), 0);
    EXPECT_EQ(v4lfence_close(file), 0);
    errno = 0;
    EXPECT_EQ(v4lfence_dup(-1), -1);
    EXPECT_EQ(errno, EBADF);
}

TEST(Dup, without_a_free_number_is_emfile_and_changes_nothing) {
    Camera camera("dup-limit");
    const std::size_t before = testing::open_descriptors();
    {
        const testing::DescriptorLimit none_free(static_cast<unsigned>(camera.fd()) + 1);
        std::vector<int> taken;
        for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) {
            taken.push_back(fd);
        }
        errno = 0;
        EXPECT_EQ(v4lfence_dup(camera.fd()), -1);
        EXPECT_EQ(errno, EMFILE);
        for (const int fd : taken) {
            ::close(fd);
        }
    }
    EXPECT_EQ(testing::open_descriptors(), before);
    EXPECT_EQ(query(camera.fd()), 0);
}

TEST(Dup, threads_use_and_close_numbers_of_one_file) {
    Camera camera("dup-threads");
    ASSERT_EQ(camera.request(1), 0);
    std::vector<std::thread> programs;
    for (int program = 0; program < 3; ++program) {
        programs.emplace_back([&camera] {
            for (int round = 0; round < 100; ++round) {
                const int first = v4lfence_dup(camera.fd());
                const int second = v4lfence_dup(first);
                EXPECT_EQ(query(first), 0);
                EXPECT_EQ(v4lfence_close(first), 0);
                EXPECT_EQ(query(second), 0);
                EXPECT_EQ(v4lfence_close(second), 0);
            }
        });
    }
    for (std::thread& program : programs) {
        program.join();
    }
    EXPECT_EQ(camera.queue(0), 0) << "it still has its buffers";
}

// Pins: 7.4
TEST(Dup, child_closes_its_numbers_without_ending_the_parents_file) {
    Camera camera("dup-fork");
    const int other = v4lfence_dup(camera.fd());
    ASSERT_EQ(camera.request(1), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const bool dead = query(camera.fd()) == -EIO && query(other) == -EIO;
        const bool closed =
            v4lfence_close(camera.fd()) == 0 && query(other) == -EIO && v4lfence_close(other) == 0;
        ::_exit(dead && closed ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(queue(other, 0), 0);
    EXPECT_EQ(v4lfence_close(other), 0);
}

TEST(Dup, fork_amid_closes_leaves_both_processes_alive) {
    Camera camera("dup-fork-threads");
    std::atomic<bool> over{false};
    std::thread program([&] {
        while (!over.load()) {
            const int copy = v4lfence_dup(camera.fd());
            (void)query(copy);
            v4lfence_close(copy);
        }
    });
    for (int round = 0; round < 20; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            const int copy = v4lfence_dup(camera.fd());
            ::_exit(copy >= 0 && query(copy) == -EIO && v4lfence_close(copy) == 0 ? 0 : 1);
        }
        int status = -1;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
    over.store(true);
    program.join();
}

}  // namespace
}  // namespace v4lfence
