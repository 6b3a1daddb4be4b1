// SPDX-License-Identifier: MIT
//
// What Fence::import() takes and refuses, by kind of descriptor.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/end_mark.hpp"
#include "v4lfence/fence/fence.hpp"

namespace v4lfence {
namespace {

constexpr std::array<std::byte, 1> one_byte{};

void expect_refused(int fd, const char* what) {
    const std::size_t before = testing::open_descriptors();
    for (const auto access : {DmaBufAccess::Read, DmaBufAccess::Write}) {
        const auto imported = Fence::import(fd, access);
        ASSERT_FALSE(imported) << what;
        EXPECT_EQ(imported.error().code, -EINVAL) << what;
    }
    EXPECT_EQ(testing::open_descriptors(), before) << what;
}

FenceStatus status_of(int fd) {
    const auto imported = Fence::import(fd, DmaBufAccess::Write);
    EXPECT_TRUE(imported);
    return imported->status;
}

// Pins: 2
TEST(Import, what_is_no_fence_is_refused) {
    expect_refused(-1, "-1");
    expect_refused(-7, "-7");
    expect_refused(100'000, "never open");
    expect_refused(sys::open("/proc/self/exe", O_RDONLY)->get(), "closed");
    const auto pipe = sys::pipe(0);
    const auto refuse = [](Result<UniqueFd> fd, const char* what) {
        ASSERT_TRUE(fd) << what;
        expect_refused(fd->get(), what);
    };
    refuse(sys::open("/proc/self/exe", O_RDONLY), "regular file");
    refuse(sys::open("/", O_RDONLY | O_DIRECTORY), "directory");
    refuse(sys::open("/", O_PATH), "path");
    refuse(sys::open("/dev/null", O_RDWR), "device node");
    refuse(sys::timerfd_create(), "timerfd");
    refuse(sys::epoll_create(), "epoll");
    refuse(sys::sealed_memory("test", 4096), "memfd");
    expect_refused(pipe->write_end.get(), "write end of a pipe");
}

// Pins: 2
TEST(Import, socket_that_stands_for_a_file_is_no_fence) {
    const auto pair = sys::socketpair(0);
    ASSERT_TRUE(pair && sys::bind_abstract(pair->second.get(), sys::file_socket_stem));
    const auto imported = Fence::import(pair->first.get(), DmaBufAccess::Write);
    ASSERT_FALSE(imported);
    EXPECT_EQ(imported.error().code, -EINVAL);
}

// Pins: 2
TEST(Import, pending_fence_is_duplicated_high_and_close_on_exec) {
    const auto pipe = sys::pipe(0);
    const auto sockets = sys::socketpair(0);
    const auto event = sys::eventfd(0, 0);
    const std::array<std::pair<int, FenceKind>, 3> fences{{
        {pipe->read_end.get(), FenceKind::Stream},
        {sockets->first.get(), FenceKind::Stream},
        {event->get(), FenceKind::EventFd},
    }};
    for (const auto& [fd, kind] : fences) {
        const auto imported = Fence::import(fd, DmaBufAccess::Write);
        ASSERT_TRUE(imported && imported->pending);
        EXPECT_EQ(imported->pending->kind(), kind);
        EXPECT_NE(imported->pending->fd(), fd);
        EXPECT_GE(imported->pending->fd(), 256);
        EXPECT_NE(::fcntl(imported->pending->fd(), F_GETFD) & FD_CLOEXEC, 0);
        EXPECT_FALSE(imported->pending->status().ended());
    }
}

// Pins: 2
TEST(Import, descriptor_0_is_a_fence_like_any_other) {
    const auto kept = sys::dup(0);
    auto pipe = sys::pipe(0);
    ASSERT_TRUE(kept && pipe);
    ASSERT_EQ(::dup2(pipe->read_end.get(), 0), 0);
    pipe->read_end.reset();
    {
        const auto imported = Fence::import(0, DmaBufAccess::Write);
        ASSERT_TRUE(imported && imported->pending);
        ::close(0);
        EXPECT_FALSE(imported->pending->status().ended());
        end_pipe(pipe->write_end.get(), 0);
        EXPECT_EQ(imported->pending->status().state, FenceState::Signaled);
    }
    ASSERT_EQ(::dup2(kept->get(), 0), 0);
}

// Pins: 2
TEST(Import, ended_fence_is_not_duplicated) {
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(sys::write(pipe->write_end.get(), one_byte));
    const std::size_t before = testing::open_descriptors();
    const auto imported = Fence::import(pipe->read_end.get(), DmaBufAccess::Write);
    ASSERT_TRUE(imported);
    EXPECT_EQ(imported->status.state, FenceState::Signaled);
    EXPECT_FALSE(imported->pending);
    EXPECT_EQ(testing::open_descriptors(), before);
}

// Pins: 2
TEST(Import, stream_ends_by_data_or_by_hang_up) {
    auto pipe = sys::pipe(0);
    EXPECT_FALSE(status_of(pipe->read_end.get()).ended());
    pipe->write_end.reset();
    EXPECT_EQ(status_of(pipe->read_end.get()).state, FenceState::Failed);
    EXPECT_EQ(status_of(pipe->read_end.get()).error, -EOWNERDEAD);

    auto data = sys::socketpair(0);
    ASSERT_TRUE(sys::write(data->second.get(), one_byte));
    EXPECT_EQ(status_of(data->first.get()).state, FenceState::Signaled);
    data->second.reset();
    EXPECT_EQ(status_of(data->first.get()).state, FenceState::Signaled);

    auto silent = sys::socketpair(0);
    silent->second.reset();
    EXPECT_EQ(status_of(silent->first.get()).error, -EOWNERDEAD);

    const auto half = sys::socketpair(0);
    ASSERT_EQ(::shutdown(half->second.get(), SHUT_WR), 0);
    EXPECT_EQ(status_of(half->first.get()).error, -EOWNERDEAD);
}

TEST(Import, named_pipe_ends_with_its_last_writer) {
    std::array<char, 64> folder{"/dev/shm/v4lfence-XXXXXX"};
    if (::mkdtemp(folder.data()) == nullptr) {
        GTEST_SKIP() << "/dev/shm is not writable";
    }
    const std::string path = std::string(folder.data()) + "/pipe";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const auto reader = sys::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    auto writer = sys::open(path.c_str(), O_WRONLY);
    const auto name_only = sys::open(path.c_str(), O_PATH);
    ::unlink(path.c_str());
    ::rmdir(folder.data());
    ASSERT_TRUE(reader && writer && name_only);
    EXPECT_FALSE(status_of(reader->get()).ended());
    expect_refused(writer->get(), "write end of a named pipe");
    expect_refused(name_only->get(), "name of a pipe");
    writer->reset();
    EXPECT_EQ(status_of(reader->get()).error, -EOWNERDEAD);
}

// Pins: 2
TEST(Import, eventfd_ends_when_its_counter_is_not_zero) {
    EXPECT_FALSE(status_of(sys::eventfd(0, 0)->get()).ended());
    EXPECT_EQ(status_of(sys::eventfd(1, 0)->get()).state, FenceState::Signaled);
    const auto full = sys::eventfd(0, EFD_NONBLOCK);
    constexpr std::uint64_t most = UINT64_MAX - 1;
    ASSERT_TRUE(sys::write(full->get(), std::as_bytes(std::span(&most, 1))));
    EXPECT_EQ(status_of(full->get()).state, FenceState::Signaled);
}

TEST(Fence, whose_descriptor_was_closed_has_failed) {
    for (const auto kind : {FenceKind::Stream, FenceKind::EventFd, FenceKind::SyncFile}) {
        auto pipe = sys::pipe(0);
        const Fence fence = Fence::adopt(std::move(pipe->read_end), kind);
        const auto kept = sys::dup(fence.fd());
        ::close(fence.fd());
        EXPECT_EQ(fence.status().state, FenceState::Failed);
        EXPECT_EQ(fence.status().error, -EBADF);
        ::dup3(kept->get(), fence.fd(), O_CLOEXEC);
    }
}

TEST(Fence, names_fall_back_to_the_kind) {
    auto pipe = sys::pipe(0);
    const Fence stream = Fence::adopt(std::move(pipe->read_end), FenceKind::Stream);
    EXPECT_STREQ(stream.names().driver.data(), "stream");
    const Fence event = Fence::adopt(*sys::eventfd(0, 0), FenceKind::EventFd);
    EXPECT_STREQ(event.names().driver.data(), "eventfd");
}

TEST(Fence, release_gives_the_descriptor_back) {
    auto pipe = sys::pipe(0);
    const int fd = pipe->read_end.get();
    Fence fence = Fence::adopt(std::move(pipe->read_end), FenceKind::Stream);
    EXPECT_EQ(std::move(fence).release().get(), fd);
}

TEST(MergeSyncFiles, what_is_no_sync_file_is_invalid) {
    const auto pipe = sys::pipe(0);
    const int fd = pipe->read_end.get();
    EXPECT_EQ(merge_sync_files("x", fd, fd).error().code, -EINVAL);
    EXPECT_EQ(merge_sync_files("x", -1, fd).error().code, -EINVAL);
}

TEST(EndMark, carries_every_errno_and_survives_the_byte) {
    for (int error = 0; error >= -511; --error) {
        EXPECT_EQ(marked_error(S_IFIFO | end_mark(error)), error);
    }
    EXPECT_EQ(marked_error(S_IFIFO | end_mark(-512)), -EIO);
    EXPECT_EQ(marked_error(S_IFIFO | end_mark(1)), -EIO);
    EXPECT_EQ(marked_error(S_IFIFO | 0600), std::nullopt);
    EXPECT_EQ(marked_error(S_IFREG | end_mark(-EIO)), std::nullopt);
}

TEST(EndMark, reader_without_privileges_cannot_reopen_an_ended_fence_for_writing) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) {
            ::_exit(2);
        }
        const auto pipe = sys::pipe(O_NONBLOCK);
        end_pipe(pipe->write_end.get(), 0);
        const std::string link = "/proc/self/fd/" + std::to_string(pipe->read_end.get());
        const auto reopened = sys::open(link.c_str(), O_WRONLY | O_NONBLOCK);
        ::_exit(!reopened && reopened.error().code == -EACCES ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace v4lfence
