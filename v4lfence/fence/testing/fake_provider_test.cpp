// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/testing/fake_provider.hpp"

namespace v4lfence {
namespace {

using testing::EndedFence;
using testing::FakeProvider;

TEST(FakeProvider, remembers_ends_in_their_order) {
    FakeProvider provider;
    const auto context = provider.open_context();
    auto first = (*context)->mint(7);
    auto second = (*context)->mint(8);
    EXPECT_EQ(provider.pending(), 2U);
    std::move(second->promise).end(-EIO);
    std::move(first->promise).end(0);
    EXPECT_EQ(provider.ended(), (std::vector<EndedFence>{{8, -EIO, 2}, {7, 0, 1}}));
    EXPECT_EQ(provider.pending(), 0U);
    EXPECT_EQ(Fence::import(second->fd.get(), DmaBufAccess::Write)->status.error, -EIO);
}

TEST(FakeProvider, nth_mint_fails_once) {
    FakeProvider provider;
    const auto context = provider.open_context();
    provider.fail_mint(2, -EMFILE);
    EXPECT_TRUE((*context)->mint(0));
    EXPECT_EQ((*context)->mint(0).error().code, -EMFILE);
    EXPECT_TRUE((*context)->mint(0));
    EXPECT_EQ(provider.minted(), 2U);
}

TEST(FakeProvider, remembers_generations) {
    FakeProvider provider;
    const auto context = provider.open_context();
    provider.fail_generation(-ENODEV);
    EXPECT_EQ((*context)->begin_generation(true).error().code, -ENODEV);
    EXPECT_TRUE((*context)->begin_generation(true));
    EXPECT_TRUE((*context)->begin_generation(false));
    EXPECT_EQ(provider.generations(), (std::vector<bool>{true, false}));
}

TEST(FakeProvider, counts_what_is_abandoned) {
    FakeProvider provider;
    const auto context = provider.open_context();
    (*context)->abandon();
    provider.abandon();
    EXPECT_EQ(provider.abandoned(), 2U);
}

}  // namespace
}  // namespace v4lfence
