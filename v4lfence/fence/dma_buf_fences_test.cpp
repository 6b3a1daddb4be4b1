// SPDX-License-Identifier: MIT
//
// Fences taken out of dma-bufs and put into them. Most of it needs fences of the kernel and
// dma-bufs; skipped where the machine has none.

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/dma_buf_fences.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/providers/dma_buf_source.hpp"
#include "v4lfence/fence/providers/vgem.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence {
namespace {

DmaBufs of(std::initializer_list<int> descriptors) {
    DmaBufs list;
    for (const int fd : descriptors) {
        list.add(fd);
    }
    return list;
}

int error_of(const DmaBufs& dma_bufs) {
    const auto pending = pending_fences(dma_bufs, DmaBufAccess::Write);
    return pending ? 0 : pending.error().code;
}

TEST(DmaBufFences, what_is_no_dma_buf_is_refused) {
    const std::size_t before = testing::open_descriptors();
    {
        const auto pipe = sys::pipe(0);
        const auto event = sys::eventfd(1, 0);
        ASSERT_TRUE(pipe && event);
        EXPECT_EQ(error_of(of({pipe->read_end.get()})), -EINVAL);
        EXPECT_EQ(error_of(of({-1})), -EINVAL);
        EXPECT_EQ(error_of(of({100'000})), -EINVAL);
        for (const int fd : {pipe->write_end.get(), event->get(), -1}) {
            const auto put = put_fence(event->get(), of({fd}), DmaBufAccess::Write);
            ASSERT_FALSE(put);
            EXPECT_EQ(put.error().code, -EINVAL);
            const auto checked = check_dma_bufs(of({fd}));
            ASSERT_FALSE(checked);
            EXPECT_EQ(checked.error().code, -EINVAL);
        }
        EXPECT_TRUE(check_dma_bufs(DmaBufs()));
        EXPECT_FALSE(count_holders(event->get()));
        EXPECT_FALSE(count_holders(-1));
    }
    EXPECT_EQ(testing::open_descriptors(), before);
}

TEST(DmaBufFences, none_at_all_are_idle) {
    const auto pending = pending_fences(DmaBufs(), DmaBufAccess::Write);
    ASSERT_TRUE(pending);
    EXPECT_FALSE(*pending);
    EXPECT_TRUE(put_fence(-1, DmaBufs(), DmaBufAccess::Write));
}

TEST(DmaBufFences, list_has_an_end) {
    DmaBufs list;
    for (std::size_t count = 0; count < 2 * DmaBufs::size_max; ++count) {
        list.add(0);
    }
    EXPECT_EQ(list.all().size(), DmaBufs::size_max);
}

class DmaBufFencesOfKernel : public ::testing::Test {
protected:
    void SetUp() override {
        auto probed = probe_provider("vgem");
        ASSERT_TRUE(probed);
        if (!probed->provider) {
            GTEST_SKIP() << probed->reason;
        }
        provider_ = std::move(probed->provider);
        context_ = std::move(*provider_->open_context());
        first_ = make();
        second_ = make();
        ASSERT_TRUE(first_ && second_);
        ASSERT_TRUE(check_dma_buf_fences());
        mint(0);  // What a slot keeps is open from here on.
        mint(1);
        before_ = testing::open_descriptors();
    }

    static UniqueFd make() {
        const std::string card = find_vgem_nodes().card;
        constexpr std::array order{BufferSource::Udmabuf, BufferSource::SystemHeap,
                                   BufferSource::VgemCard};
        const FoundBufferSource found = find_buffer_source(order, card);
        return found.source ? std::move(*allocate_dma_buf(*found.source, card, page_size()))
                            : UniqueFd();
    }

    MintedFence mint(unsigned slot) {
        auto minted = context_->mint(slot);
        EXPECT_TRUE(minted);
        return std::move(*minted);
    }

    DmaBufs both() const { return of({first_.get(), second_.get()}); }

    /// Of a list that must be good.
    static std::optional<Fence> pending(const DmaBufs& dma_bufs,
                                        DmaBufAccess access = DmaBufAccess::Write) {
        auto found = pending_fences(dma_bufs, access);
        EXPECT_TRUE(found) << found.error().where;
        return found ? std::move(*found) : std::nullopt;
    }

    std::unique_ptr<FenceProvider> provider_;
    std::unique_ptr<FenceContext> context_;
    UniqueFd first_;
    UniqueFd second_;
    std::size_t before_ = 0;
};

TEST_F(DmaBufFencesOfKernel, idle_ones_have_none) {
    EXPECT_FALSE(pending(both()));
    EXPECT_FALSE(pending(both(), DmaBufAccess::Read));
    EXPECT_EQ(testing::open_descriptors(), before_);
}

TEST_F(DmaBufFencesOfKernel, one_in_several_is_seen_in_each) {
    {
        MintedFence fence = mint(0);
        ASSERT_TRUE(put_fence(fence.fd.get(), both(), DmaBufAccess::Write));
        for (const int dma_buf : {first_.get(), second_.get()}) {
            const auto seen = pending(of({dma_buf}));
            ASSERT_TRUE(seen);
            EXPECT_GE(seen->fd(), 256) << "out of the program's way";
            EXPECT_FALSE(seen->status().ended());
            EXPECT_EQ(*sys::poll_now(dma_buf, POLLIN | POLLOUT), 0);
        }
        const auto seen = pending(both());
        std::move(fence.promise).end(0);
        EXPECT_TRUE(seen->status().ended());
        EXPECT_FALSE(pending(both()));
    }
    EXPECT_EQ(testing::open_descriptors(), before_);
}

TEST_F(DmaBufFencesOfKernel, several_in_several_become_one_that_ends_last) {
    MintedFence one = mint(0);
    MintedFence other = mint(1);
    ASSERT_TRUE(put_fence(one.fd.get(), of({first_.get()}), DmaBufAccess::Write));
    ASSERT_TRUE(put_fence(other.fd.get(), of({second_.get()}), DmaBufAccess::Read));
    const auto all = pending(both());
    ASSERT_TRUE(all);
    EXPECT_EQ(all->kind(), FenceKind::SyncFile);
    std::move(one.promise).end(0);
    EXPECT_FALSE(all->status().ended());
    std::move(other.promise).end(0);
    EXPECT_TRUE(all->status().ended());
}

TEST_F(DmaBufFencesOfKernel, readers_hold_up_those_who_write) {
    MintedFence reader = mint(0);
    ASSERT_TRUE(put_fence(reader.fd.get(), of({first_.get()}), DmaBufAccess::Read));
    EXPECT_TRUE(pending(of({first_.get()}), DmaBufAccess::Write));
    EXPECT_FALSE(pending(of({first_.get()}), DmaBufAccess::Read));
}

TEST_F(DmaBufFencesOfKernel, without_room_for_a_descriptor_nothing_is_left) {
    MintedFence one = mint(0);
    MintedFence other = mint(1);
    ASSERT_TRUE(put_fence(one.fd.get(), of({first_.get()}), DmaBufAccess::Write));
    ASSERT_TRUE(put_fence(other.fd.get(), of({second_.get()}), DmaBufAccess::Write));
    const std::size_t before = testing::open_descriptors();
    const unsigned failures = testing::until_it_fits([&](unsigned limit) {
        const testing::DescriptorLimit lowered(limit);
        const auto found = pending_fences(both(), DmaBufAccess::Write);
        return found.has_value() || found.error().code != -EMFILE;
    });
    EXPECT_GT(failures, 0U);
    EXPECT_EQ(testing::open_descriptors(), before);
    EXPECT_TRUE(pending(both()));
}

TEST_F(DmaBufFencesOfKernel, what_is_no_sync_file_is_not_put) {
    const auto event = sys::eventfd(0, 0);
    const auto put = put_fence(event->get(), both(), DmaBufAccess::Write);
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().code, -EINVAL);
    EXPECT_FALSE(pending(both()));
}

TEST_F(DmaBufFencesOfKernel, holders_are_counted) {
    EXPECT_EQ(count_holders(first_.get()).value_or(0), 1U);
    const auto copy = sys::dup(first_.get());
    EXPECT_EQ(count_holders(first_.get()).value_or(0), 2U);
    {
        const auto mapping = MappedMemory::create(first_.get(), page_size(), MemoryUse::ReadOnly);
        EXPECT_EQ(count_holders(first_.get()).value_or(0), mapping ? 3U : 2U);
    }
    EXPECT_EQ(count_holders(second_.get()).value_or(0), 1U);
}

}  // namespace
}  // namespace v4lfence
