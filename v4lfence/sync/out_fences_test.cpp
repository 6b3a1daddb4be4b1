// SPDX-License-Identifier: MIT
//
// With the providers that every machine has.

#include <gtest/gtest.h>
#include <linux/sync_file.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/sync/implicit.hpp"
#include "v4lfence/sync/out_fences.hpp"

namespace v4lfence {
namespace {

FenceStatus status_of(const UniqueFd& fd) {
    const auto imported = Fence::import(fd.get(), DmaBufAccess::Write);
    EXPECT_TRUE(imported);
    return imported ? imported->status : FenceStatus{};
}

class OutFencesTest : public ::testing::Test {
protected:
    void SetUp() override {
        core_ = std::make_unique<Core>();
        out_ = std::make_unique<OutFences>(*core_);
        queue_.generation = 1;
    }

    OutFence mint(std::string_view provider, unsigned index = 0) {
        auto minted = out_->mint(provider, index, queue_);
        EXPECT_TRUE(minted);
        return minted ? std::move(*minted) : OutFence{};
    }

    std::string provider_now(std::string_view chosen) {
        const auto traits = out_->traits(chosen, queue_);
        EXPECT_TRUE(traits);
        return traits ? std::string((*traits)->name) : std::string();
    }

    std::unique_ptr<Core> core_;
    std::unique_ptr<OutFences> out_;
    QueueView queue_;
};

// Pins: 2.3
TEST_F(OutFencesTest, fence_is_pending_until_its_promise_ends) {
    OutFence out = mint("user");
    EXPECT_FALSE(status_of(out.fd).ended());
    std::move(out.promise).end(0);
    EXPECT_EQ(status_of(out.fd).state, FenceState::Signaled);
}

int merges = 0;
int count_merges(int /*fd*/, unsigned long request, ...) {
    merges += request == SYNC_IOC_MERGE ? 1 : 0;
    errno = ENOTTY;
    return -1;
}

TEST_F(OutFencesTest, name_is_not_asked_for_where_the_kernel_knows_none) {
    FileOptions options;
    options.labels.turn_on("video0");
    const ImplicitFences none(options, DmaBufAccess::Write);
    for (const char* const provider : {"user", "eventfd"}) {
        options.provider.store(provider);
        const auto real = std::exchange(libc.ioctl, count_merges);
        const auto out = none.mint(*out_, options, 0, queue_, true);
        libc.ioctl = real;
        ASSERT_TRUE(out);
        EXPECT_TRUE(out->fd);
        EXPECT_FALSE(out->kernel_waitable);
        EXPECT_EQ(merges, 0) << provider;
    }
}

// Pins: 5.2
TEST_F(OutFencesTest, error_of_the_device_is_read_from_the_fence) {
    OutFence out = mint("user");
    std::move(out.promise).end(-EIO);
    EXPECT_EQ(status_of(out.fd).error, -EIO);
}

// Pins: 2.1
TEST_F(OutFencesTest, dropped_before_the_commit_nobody_is_left_waiting) {
    UniqueFd fd;
    {
        OutFence out = mint("user");
        fd = std::move(out.fd);
    }
    EXPECT_EQ(status_of(fd).error, -ECANCELED);
}

// Pins: 2.1
TEST_F(OutFencesTest, mint_without_descriptors_leaves_nothing) {
    mint("user");
    const std::size_t before = testing::open_descriptors();
    const unsigned failures = testing::until_it_fits([this](unsigned limit) {
        const testing::DescriptorLimit lowered(limit);
        const auto minted = out_->mint("user", 0, queue_);
        EXPECT_TRUE(minted || minted.error().code == -EMFILE);
        return minted.has_value();
    });
    EXPECT_GT(failures, 0U);
    EXPECT_EQ(testing::open_descriptors(), before);
}

// Pins: 5.7
TEST_F(OutFencesTest, after_a_bound_has_expired_fences_are_the_users) {
    EXPECT_EQ(provider_now("eventfd"), "eventfd");
    queue_.degraded = true;
    EXPECT_EQ(provider_now("eventfd"), "user");
    OutFence out = mint("eventfd");
    const auto imported = Fence::import(out.fd.get(), DmaBufAccess::Write);
    ASSERT_TRUE(imported && imported->pending);
    EXPECT_EQ(imported->pending->kind(), FenceKind::Stream);
    queue_.degraded = false;
    ++queue_.generation;
    EXPECT_EQ(provider_now("eventfd"), "eventfd") << "the next stream begins anew";
}

// Pins: 5.7
TEST_F(OutFencesTest, user_fences_have_no_bound) {
    EXPECT_FALSE(mint("user").bound);
    EXPECT_FALSE(mint("auto").bound);
}

TEST_F(OutFencesTest, fences_of_two_generations_end_each_by_itself) {
    OutFence first = mint("user");
    ++queue_.generation;
    OutFence second = mint("user");
    std::move(second.promise).end(0);
    EXPECT_FALSE(status_of(first.fd).ended());
    EXPECT_TRUE(status_of(second.fd).ended());
}

TEST_F(OutFencesTest, unknown_provider_is_einval) {
    const auto minted = out_->mint("magic", 0, queue_);
    ASSERT_FALSE(minted);
    EXPECT_EQ(minted.error().code, -EINVAL);
    EXPECT_FALSE(out_->traits("magic", queue_));
}

}  // namespace
}  // namespace v4lfence
