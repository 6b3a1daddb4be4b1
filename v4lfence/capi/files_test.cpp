// SPDX-License-Identifier: MIT
//
// What the C API does with files that are no V4L2 nodes: what the C library does.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/v4lfence.h"
#include "v4lfence/v4lfence.hpp"

namespace v4lfence {
namespace {

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "v4lfence-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    std::string file(const char* name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

TEST(Files, other_files_are_opened_and_left_alone) {
    const std::size_t before = testing::open_descriptors();
    const int fd = v4lfence_open("/dev/null", O_RDWR);
    ASSERT_GE(fd, 0);
    // Fewer: the loop of an earlier test has ended meanwhile.
    EXPECT_LE(testing::open_descriptors(), before + 1);
    EXPECT_EQ(v4lfence_write(fd, "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(v4lfence_read(fd, &byte, 1), 0);
    EXPECT_EQ(v4lfence_close(fd), 0);
    EXPECT_LE(testing::open_descriptors(), before);
}

TEST(Files, mode_follows_where_open_takes_one) {
    const TemporaryFolder folder;
    const std::string path = folder.file("new");
    const int fd = v4lfence_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    ASSERT_GE(fd, 0);
    struct stat info {};
    ASSERT_EQ(::fstat(fd, &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    ASSERT_EQ(::ftruncate(fd, 4096), 0);
    void* const mapped = v4lfence_mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    EXPECT_EQ(v4lfence_munmap(mapped, 4096), 0);
    EXPECT_EQ(v4lfence_close(fd), 0);
}

TEST(Files, errors_are_the_systems) {
    errno = 0;
    EXPECT_EQ(v4lfence_open("/nonexistent/video0", O_RDWR), -1);
    EXPECT_EQ(errno, ENOENT);
    errno = 0;
    EXPECT_EQ(v4lfence_close(-1), -1);
    EXPECT_EQ(errno, EBADF);
    errno = 0;
    EXPECT_EQ(v4lfence_mmap(nullptr, 4096, PROT_READ, MAP_SHARED, -1, 0), MAP_FAILED);
    EXPECT_EQ(errno, EBADF);
}

// Pins: 1.2
TEST(Files, file_that_is_not_managed_knows_no_fences) {
    const int fd = v4lfence_open("/dev/null", O_RDWR);
    v4l2_query_fences query{};
    query.size = sizeof query;
    query.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    for (const int number : {fd, -1}) {
        errno = 0;
        EXPECT_EQ(v4lfence_ioctl(number, VIDIOC_QUERY_FENCES, &query), -1);
        EXPECT_EQ(errno, number < 0 ? EBADF : ENOTTY);
        v4lfence_expiry expiry{};
        const auto refused = [](int status) { return status == -1 && errno == ENOTTY; };
        EXPECT_TRUE(refused(v4lfence_set_provider(number, "user")));
        EXPECT_TRUE(refused(v4lfence_set_deadline(number, 1)));
        EXPECT_TRUE(refused(v4lfence_set_rfc_caps(number, 1)));
        EXPECT_TRUE(refused(v4lfence_set_fence_names(number, 1)));
        EXPECT_TRUE(refused(v4lfence_last_expiry(number, &expiry)));
    }
    EXPECT_EQ(v4lfence_close(fd), 0);
}

TEST(Files, ioctl_of_another_file_is_the_systems) {
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    ASSERT_EQ(::write(pipe.write_end.get(), "abc", 3), 3);
    int unread = 0;
    EXPECT_EQ(v4lfence_ioctl(pipe.read_end.get(), FIONREAD, &unread), 0);
    EXPECT_EQ(unread, 3);
}

TEST(Files, owning_types_close_what_they_hold) {
    const std::size_t before = testing::open_descriptors();
    {
        api::File first("/dev/null", O_RDWR);
        ASSERT_TRUE(first);
        api::File second(std::move(first));
        EXPECT_FALSE(first);
        first = std::move(second);
        EXPECT_TRUE(first);
        v4l2_buffer buffer{};
        EXPECT_EQ(first.queue(buffer, nullptr, nullptr), -ENOTTY);
        EXPECT_FALSE(api::File("/nonexistent/video0", O_RDWR));
    }
    EXPECT_LE(testing::open_descriptors(), before);
}

// --- readiness -----------------------------------------------------------------------------------

TEST(Readiness, poll_of_other_files_is_the_systems) {
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    pollfd entries[] = {{pipe.read_end.get(), POLLIN, 0}, {-1, POLLIN, 0}};
    EXPECT_EQ(v4lfence_poll(entries, 2, 0), 0);
    ASSERT_EQ(::write(pipe.write_end.get(), "a", 1), 1);
    EXPECT_EQ(v4lfence_poll(entries, 2, -1), 1);
    EXPECT_EQ(entries[0].revents, POLLIN);
    EXPECT_EQ(v4lfence_poll(nullptr, 0, 0), 0);
    errno = 0;
    EXPECT_EQ(v4lfence_poll(nullptr, 1, 0), -1);
    EXPECT_EQ(errno, EFAULT);
}

TEST(Readiness, select_of_other_files_is_the_systems) {
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    const int fd = pipe.read_end.get();
    const auto select_now = [fd](int nfds) {
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(fd, &readable);
        timeval none{};
        return v4lfence_select(nfds, &readable, nullptr, nullptr, &none);
    };
    EXPECT_EQ(select_now(fd + 1), 0);
    ASSERT_EQ(::write(pipe.write_end.get(), "a", 1), 1);
    EXPECT_EQ(select_now(fd + 1), 1);
    errno = 0;
    EXPECT_EQ(select_now(-1), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST(Readiness, epoll_ctl_of_other_files_is_the_systems) {
    const sys::Pipe pipe = std::move(*sys::pipe(0));
    const UniqueFd epoll = std::move(*sys::epoll_create());
    epoll_event event{};
    event.events = EPOLLIN;
    EXPECT_EQ(v4lfence_epoll_ctl(epoll.get(), EPOLL_CTL_ADD, pipe.read_end.get(), &event), 0);
    errno = 0;
    EXPECT_EQ(v4lfence_epoll_ctl(epoll.get(), EPOLL_CTL_ADD, pipe.read_end.get(), &event), -1);
    EXPECT_EQ(errno, EEXIST);
}

}  // namespace
}  // namespace v4lfence
