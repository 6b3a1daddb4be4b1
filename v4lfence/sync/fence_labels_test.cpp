// SPDX-License-Identifier: MIT
//
// Names of fences. What the kernel shows needs vgem's, and is skipped without.

#include <gtest/gtest.h>
#include <linux/sync_file.h>

#include <memory>
#include <string>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/sync/fence_labels.hpp"

namespace v4lfence {
namespace {

using testing::DescriptorLimit;

/// A descriptor that is no sync_file.
UniqueFd some_file() {
    return std::move(sys::pipe(0)->read_end);
}

TEST(FenceLabels, nothing_happens_unasked) {
    FenceLabels labels;
    EXPECT_FALSE(labels.on());
    UniqueFd fence = some_file();
    const int number = fence.get();
    EXPECT_EQ(labels.put_on(std::move(fence), "capture", 1, 2).get(), number);
    labels.turn_on("video0");
    EXPECT_TRUE(labels.on());
    labels.turn_off();
    EXPECT_FALSE(labels.on());
}

TEST(FenceLabels, what_is_no_sync_file_stays_as_it_was) {
    FenceLabels labels;
    labels.turn_on("video0");
    UniqueFd fence = some_file();
    const int number = fence.get();
    EXPECT_EQ(labels.put_on(std::move(fence), "capture", 1, 2).get(), number);
    EXPECT_FALSE(labels.put_on(UniqueFd(), "capture", 1, 2));
}

class FenceLabelsOfVgem : public ::testing::Test {
protected:
    void SetUp() override {
        auto probed = probe_provider("vgem");
        if (!probed->provider) {
            GTEST_SKIP() << probed->reason;
        }
        provider_ = std::move(probed->provider);
        context_ = std::move(*provider_->open_context());
    }

    static std::string name_of(const UniqueFd& fd) {
        sync_file_info info{};
        EXPECT_TRUE(sys::ioctl(fd.get(), SYNC_IOC_FILE_INFO, &info));
        EXPECT_EQ(info.num_fences, 1U);
        return info.name;
    }

    FenceLabels labels_;
    std::unique_ptr<FenceProvider> provider_;
    std::unique_ptr<FenceContext> context_;
};

TEST_F(FenceLabelsOfVgem, kernel_shows_device_queue_index_and_position) {
    labels_.turn_on("video0");
    MintedFence minted = std::move(*context_->mint(3));
    const UniqueFd fence = labels_.put_on(std::move(minted.fd), "capture", 3, 17);
    EXPECT_EQ(name_of(fence), "video0 capture 3 #17");
    EXPECT_EQ(*sys::poll_now(fence.get(), POLLIN), 0);
    std::move(minted.promise).end(0);
    EXPECT_EQ(*sys::poll_now(fence.get(), POLLIN), POLLIN);
}

TEST_F(FenceLabelsOfVgem, long_name_is_cut) {
    labels_.turn_on("a device of a long name");
    MintedFence minted = std::move(*context_->mint(0));
    const UniqueFd fence = labels_.put_on(std::move(minted.fd), "capture", 31, UINT64_MAX);
    EXPECT_EQ(name_of(fence), "a device of a l capture 31 #184");
}

TEST_F(FenceLabelsOfVgem, fence_without_a_name_is_better_than_none) {
    labels_.turn_on("video0");
    MintedFence minted = std::move(*context_->mint(0));
    const int number = minted.fd.get();
    const DescriptorLimit none(1);
    EXPECT_EQ(labels_.put_on(std::move(minted.fd), "capture", 0, 1).get(), number);
}

}  // namespace
}  // namespace v4lfence
