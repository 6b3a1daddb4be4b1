// SPDX-License-Identifier: MIT
//
// The ioctls of a sync_file on out-fences of every provider that this machine has: those that are
// sync_files are answered by the kernel, so that the same expectations hold for it and for us.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sync_file.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {
namespace {

/// Linux 6.4.
struct SetDeadline {
    std::uint64_t deadline_ns;
    std::uint64_t pad;
};
constexpr unsigned long set_deadline = _IOW('>', 5, SetDeadline);

int call(int fd, unsigned long request, void* argument) {
    return v4lfence_ioctl(fd, request, argument) < 0 ? -errno : 0;
}

std::int64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

class SyncIoctl : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        int fd = -1;
        promise_ = v4lfence_promise_create(GetParam(), &fd);
        if (promise_ == nullptr) {
            GTEST_SKIP() << v4lfence_provider_reason(GetParam());
        }
        fence_ = UniqueFd(fd);
    }
    void TearDown() override { end(0); }

    void end(int error) { v4lfence_promise_end(std::exchange(promise_, nullptr), error); }
    bool is_kernels() const {
        return std::string_view(GetParam()) == "vgem" || std::string_view(GetParam()) == "sw_sync";
    }
    bool tells_errors() const { return std::string_view(GetParam()) == "user"; }

    /// With room for one fence; status: a negative errno where the call fails.
    static sync_file_info info(int fd, sync_fence_info* fence = nullptr) {
        sync_file_info info{};
        info.num_fences = fence != nullptr ? 1 : 0;
        info.sync_fence_info = reinterpret_cast<std::uintptr_t>(fence);
        EXPECT_EQ(call(fd, SYNC_IOC_FILE_INFO, &info), 0);
        return info;
    }
    static int merge(int first, int second, sync_merge_data& data) {
        std::strcpy(data.name, "both");
        data.fd2 = second;
        return call(first, SYNC_IOC_MERGE, &data);
    }

    v4lfence_promise* promise_ = nullptr;
    UniqueFd fence_;
};

TEST_P(SyncIoctl, info_counts_the_fences_and_tells_the_status) {
    sync_file_info pending = info(fence_.get());
    EXPECT_EQ(pending.num_fences, 1U);
    EXPECT_EQ(pending.status, 0);
    EXPECT_NE(pending.name[0], '\0');
    end(0);
    EXPECT_EQ(info(fence_.get()).status, 1);
}

TEST_P(SyncIoctl, info_of_one_fence_has_names_status_and_time) {
    sync_fence_info one;
    std::memset(&one, 0xAA, sizeof one);
    const std::int64_t before = now_ns();
    EXPECT_EQ(info(fence_.get(), &one).status, 0);
    EXPECT_EQ(one.status, 0);
    EXPECT_EQ(one.timestamp_ns, 0U);
    EXPECT_NE(one.driver_name[0], '\0');
    EXPECT_NE(one.obj_name[0], '\0');
    EXPECT_LT(::strnlen(one.driver_name, 32), 32U);
    if (!is_kernels()) {
        EXPECT_STREQ(one.driver_name, "v4lfence");
        EXPECT_STREQ(one.obj_name, GetParam());
    }
    end(0);
    EXPECT_EQ(info(fence_.get(), &one).status, 1);
    EXPECT_EQ(one.status, 1);
    EXPECT_EQ(one.flags, 0U);
    if (std::string_view(GetParam()) != "eventfd") {
        constexpr std::int64_t tick_ns = 20'000'000;
        EXPECT_GE(static_cast<std::int64_t>(one.timestamp_ns), before - tick_ns);
        EXPECT_LE(static_cast<std::int64_t>(one.timestamp_ns), now_ns());
    }
}

// Pins: 5.2
TEST_P(SyncIoctl, error_is_the_status_where_the_provider_tells_it) {
    end(-EIO);
    if (tells_errors()) {
        sync_fence_info one{};
        EXPECT_EQ(info(fence_.get(), &one).status, -EIO);
        EXPECT_EQ(one.status, -EIO);
    }
    EXPECT_NE(info(fence_.get()).status, 0);
}

TEST_P(SyncIoctl, info_with_flags_or_padding_is_einval) {
    sync_file_info asked{};
    asked.flags = 1;
    EXPECT_EQ(call(fence_.get(), SYNC_IOC_FILE_INFO, &asked), -EINVAL);
    asked.flags = 0;
    asked.pad = 1;
    EXPECT_EQ(call(fence_.get(), SYNC_IOC_FILE_INFO, &asked), -EINVAL);
}

TEST_P(SyncIoctl, memory_that_is_none_is_efault) {
    EXPECT_EQ(call(fence_.get(), SYNC_IOC_FILE_INFO, nullptr), -EFAULT);
    EXPECT_EQ(call(fence_.get(), SYNC_IOC_MERGE, reinterpret_cast<void*>(8)), -EFAULT);
    void* const page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_EQ(call(fence_.get(), SYNC_IOC_FILE_INFO, page), -EFAULT);
    sync_file_info asked{};
    asked.num_fences = 1;
    asked.sync_fence_info = reinterpret_cast<std::uintptr_t>(page);
    EXPECT_EQ(call(fence_.get(), SYNC_IOC_FILE_INFO, &asked), -EFAULT);
    ASSERT_EQ(::mprotect(page, 4096, PROT_READ), 0);
    EXPECT_EQ(call(fence_.get(), SYNC_IOC_FILE_INFO, page), -EFAULT) << "it cannot be answered";
    ::munmap(page, 4096);
}

TEST_P(SyncIoctl, merged_fence_ends_with_the_later_one) {
    int other_fd = -1;
    v4lfence_promise* const other = v4lfence_promise_create(GetParam(), &other_fd);
    ASSERT_NE(other, nullptr);
    const UniqueFd second(other_fd);
    sync_merge_data data{};
    ASSERT_EQ(merge(fence_.get(), second.get(), data), 0);
    const UniqueFd merged(data.fence);
    EXPECT_EQ(::fcntl(merged.get(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(info(merged.get()).status, 0);
    end(0);
    EXPECT_EQ(info(merged.get()).status, 0);
    v4lfence_promise_end(other, 0);
    EXPECT_EQ(v4lfence_fence_wait(merged.get(), 20000, nullptr), 0);
    EXPECT_EQ(info(merged.get()).status, 1);
}

TEST_P(SyncIoctl, fences_of_different_kinds_merge_either_way) {
    int other_fd = -1;
    v4lfence_promise* const other = v4lfence_promise_create("user", &other_fd);
    const UniqueFd second(other_fd);
    for (const bool swapped : {false, true}) {
        sync_merge_data data{};
        ASSERT_EQ(merge(swapped ? second.get() : fence_.get(),
                        swapped ? fence_.get() : second.get(), data),
                  0);
        EXPECT_EQ(info(data.fence).status, 0);
        ::close(data.fence);
    }
    v4lfence_promise_end(other, 0);
}

TEST_P(SyncIoctl, merge_with_what_is_no_fence_is_enoent) {
    const UniqueFd folder = *sys::open("/", O_RDONLY);
    for (const int bad : {-1, folder.get(), 1 << 20}) {
        sync_merge_data data{};
        data.fence = 4711;
        EXPECT_EQ(merge(fence_.get(), bad, data), -ENOENT) << bad;
        EXPECT_EQ(data.fence, 4711);
    }
}

TEST_P(SyncIoctl, merge_with_flags_or_padding_is_einval) {
    sync_merge_data data{};
    data.flags = 1;
    EXPECT_EQ(merge(fence_.get(), fence_.get(), data), -EINVAL);
    data = {};
    data.pad = 1;
    EXPECT_EQ(merge(fence_.get(), fence_.get(), data), -EINVAL);
}

TEST_P(SyncIoctl, deadline_is_a_hint) {
    SetDeadline hint{1, 0};
    const int answer = call(fence_.get(), set_deadline, &hint);
    if (is_kernels() && answer == -ENOTTY) {
        GTEST_SKIP() << "this kernel's sync_files have no deadline";
    }
    EXPECT_EQ(answer, 0);
    hint.pad = 1;
    EXPECT_EQ(call(fence_.get(), set_deadline, &hint), -EINVAL);
    EXPECT_EQ(info(fence_.get()).status, 0) << "it ends nothing";
}

TEST_P(SyncIoctl, other_requests_are_the_kernels) {
    EXPECT_EQ(call(fence_.get(), _IO('>', 99), nullptr), -ENOTTY);
}

INSTANTIATE_TEST_SUITE_P(Each, SyncIoctl, ::testing::Values("user", "eventfd", "vgem", "sw_sync"),
                         [](const auto& each) { return std::string(each.param); });

TEST(SyncIoctlOfOthers, what_is_no_fence_of_ours_is_enotty) {
    const auto plain = *sys::pipe(0);
    const auto not_blocking = *sys::pipe(O_NONBLOCK);
    const UniqueFd event = *sys::eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
    const auto pair = *sys::socketpair(0);
    const UniqueFd null = *sys::open("/dev/null", O_RDWR);
    for (const int fd : {plain.read_end.get(), not_blocking.read_end.get(), event.get(),
                         pair.first.get(), null.get()}) {
        sync_file_info info{};
        EXPECT_EQ(call(fd, SYNC_IOC_FILE_INFO, &info), -ENOTTY);
        sync_merge_data data{};
        data.fd2 = fd;
        EXPECT_EQ(call(fd, SYNC_IOC_MERGE, &data), -ENOTTY);
    }
    sync_file_info info{};
    EXPECT_EQ(call(-1, SYNC_IOC_FILE_INFO, &info), -EBADF);
}

}  // namespace
}  // namespace v4lfence
