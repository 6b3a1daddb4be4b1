// SPDX-License-Identifier: MIT
//
// Implicit synchronization of a queue: the fences in the dma-bufs of its buffers. Needs fences of
// the kernel; skipped where the machine has none.

#include <gtest/gtest.h>
#include <linux/dma-buf.h>
#include <poll.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/providers/dma_buf_source.hpp"
#include "v4lfence/fence/providers/vgem.hpp"
#include "v4lfence/sync/implicit.hpp"
#include "v4lfence/vb2/testing/pending_fence.hpp"
#include "v4lfence/vb2/testing/rig.hpp"

namespace v4lfence {
namespace {

using testing::none;
using testing::PendingFence;
using testing::Rig;

constexpr std::size_t plane_size = 4096;
constexpr unsigned planes = 2;

class QueueImplicit : public ::testing::Test {
protected:
    void SetUp() override {
        const auto probed = probe_provider("vgem");
        ASSERT_TRUE(probed);
        if (!probed->provider) {
            GTEST_SKIP() << probed->reason;
        }
        rig_ = std::make_unique<Rig>();
        rig_->driver.shape = BufferShape{planes, {plane_size, plane_size}};
        ASSERT_EQ(rig_->request(count, MemoryKind::Dmabuf), int{count});
        for (auto& buffer : memory_) {
            for (UniqueFd& plane : buffer) {
                plane = make();
                ASSERT_TRUE(plane);
            }
        }
        use(implicit_in | implicit_out);
    }

    static UniqueFd make() {
        const std::string card = find_vgem_nodes().card;
        constexpr std::array order{BufferSource::VgemCard, BufferSource::Udmabuf,
                                   BufferSource::SystemHeap};
        const FoundBufferSource found = find_buffer_source(order, card);
        return found.source ? std::move(*allocate_dma_buf(*found.source, card, plane_size))
                            : UniqueFd();
    }

    void use(unsigned flags) { rig_->options.implicit.store(flags); }

    BufferSettings settings(unsigned index) const {
        BufferSettings settings;
        settings.memory = MemoryKind::Dmabuf;
        settings.plane_count = planes;
        for (unsigned plane = 0; plane < planes; ++plane) {
            settings.planes[plane].fd = memory_[index][plane].get();
            settings.planes[plane].length = plane_size;
        }
        return settings;
    }

    int queue(unsigned index, const BufferFences& fences = {}) {
        auto queued = rig_->queue->queue(index, settings(index), fences, rig_->options);
        if (queued) {
            rig_->out[index] = std::move(queued->out_fence);
        }
        return testing::code(queued);
    }

    bool readable(unsigned index, unsigned plane = 0) const {
        return (*sys::poll_now(memory_[index][plane].get(), POLLIN) & POLLIN) != 0;
    }

    /// A consumer's own, from EXPORT_SYNC_FILE.
    UniqueFd consumers_fence(unsigned index, unsigned plane) const {
        return std::move(*export_sync_file(memory_[index][plane].get(), DmaBufAccess::Read));
    }

    static constexpr unsigned count = 3;
    std::unique_ptr<Rig> rig_;
    std::array<std::array<UniqueFd, planes>, count> memory_;
};

TEST_F(QueueImplicit, who_looks_at_any_dma_buf_of_it_waits_for_the_frame) {
    ASSERT_EQ(queue(0), 0);
    EXPECT_FALSE(rig_->out[0]) << "the program asked for no descriptor";
    EXPECT_TRUE(rig_->query(0).out_fence_pending);
    const UniqueFd first = consumers_fence(0, 0);
    const UniqueFd second = consumers_fence(0, 1);
    EXPECT_FALSE(readable(0, 0) || readable(0, 1));
    ASSERT_EQ(rig_->stream_on(), 0);
    EXPECT_EQ(testing::outcome(first.get()), 1);
    ASSERT_TRUE(rig_->driver.finish_one());
    EXPECT_EQ(testing::outcome(first.get()), 0);
    EXPECT_EQ(testing::outcome(second.get()), 0);
    EXPECT_TRUE(readable(0, 0) && readable(0, 1));
    EXPECT_EQ(rig_->dqbuf(), 0);
}

TEST_F(QueueImplicit, out_fence_that_is_asked_for_is_the_same_one) {
    rig_->options.provider.store("user");
    ASSERT_EQ(queue(0, {.in = std::nullopt, .out = true}), 0);
    EXPECT_TRUE(query_sync_state(rig_->out[0].get())) << "a sync_file";
    EXPECT_EQ((*rig_->queue->fence_traits(rig_->options))->name, "vgem");
    ASSERT_EQ(rig_->stream_on(), 0);
    ASSERT_TRUE(rig_->driver.finish_one());
    EXPECT_EQ(testing::outcome(rig_->out[0].get()), 0);
    EXPECT_TRUE(readable(0));
}

TEST_F(QueueImplicit, pending_reader_holds_the_next_qbuf) {
    std::string reason;
    const auto reader = PendingFence::on(memory_[0][1].get(), reason);
    ASSERT_TRUE(reader) << reason;
    ASSERT_EQ(rig_->stream_on(), 0);
    ASSERT_EQ(queue(0), 0);
    ASSERT_EQ(queue(1), 0);
    EXPECT_EQ(rig_->driver.held(), 0U);
    EXPECT_TRUE(rig_->query(0).in_fence_pending);
    reader->end();
    EXPECT_TRUE(rig_->driver.wait_until_given(2));
    ASSERT_TRUE(rig_->driver.finish_one());
    EXPECT_EQ(rig_->dqbuf(), 0);
    EXPECT_EQ(queue(0), 0) << "its own fence has ended";
    EXPECT_TRUE(rig_->driver.wait_until_given(3));
}

TEST_F(QueueImplicit, fence_of_the_program_is_waited_for_too) {
    std::string reason;
    for (const bool own_first : {true, false}) {
        const auto reader = PendingFence::on(memory_[0][0].get(), reason);
        ASSERT_TRUE(reader) << reason;
        testing::TestFence own = rig_->fence();  // No sync_file.
        ASSERT_EQ(queue(0, {.in = own.fd.get(), .out = false}), 0);
        ASSERT_EQ(rig_->stream_on(), 0);
        own_first ? own.end() : reader->end();
        EXPECT_FALSE(rig_->driver.finish_one());
        EXPECT_TRUE(rig_->query(0).in_fence_pending);
        own_first ? reader->end() : own.end();
        EXPECT_TRUE(rig_->driver.wait_until_given(own_first ? 1 : 2));
        ASSERT_TRUE(rig_->driver.finish_one());
        EXPECT_EQ(rig_->dqbuf(), 0);
        rig_->queue->stream_off();
    }
}

TEST_F(QueueImplicit, option_that_is_off_does_nothing) {
    std::string reason;
    const auto reader = PendingFence::on(memory_[0][0].get(), reason);
    ASSERT_TRUE(reader) << reason;
    use(implicit_out);
    ASSERT_EQ(rig_->stream_on(), 0);
    ASSERT_EQ(queue(0), 0);
    EXPECT_EQ(rig_->driver.held(), 1U);
    use(implicit_in);
    ASSERT_EQ(queue(1), 0);
    EXPECT_TRUE(readable(1));
    EXPECT_FALSE(rig_->query(1).out_fence_pending);
}

TEST_F(QueueImplicit, cancelled_frame_leaves_nobody_waiting) {
    ASSERT_EQ(queue(0), 0);
    const UniqueFd waited_for = consumers_fence(0, 0);
    EXPECT_EQ(testing::outcome(waited_for.get()), 1);
    rig_->queue->stream_off();
    EXPECT_EQ(testing::outcome(waited_for.get()), 0) << "vgem has no errors";
    ASSERT_EQ(queue(0), 0) << "and not itself";
    ASSERT_EQ(rig_->stream_on(), 0);
    EXPECT_TRUE(rig_->driver.finish_one());
}

TEST_F(QueueImplicit, buffer_without_dma_bufs_takes_no_part) {
    rig_->driver.shape = BufferShape{1, {plane_size}};
    ASSERT_EQ(rig_->request(2), 2);
    ASSERT_EQ(rig_->qbuf(0), 0);
    EXPECT_FALSE(rig_->query(0).out_fence_pending);
    ASSERT_EQ(rig_->stream_on(), 0);
    EXPECT_TRUE(rig_->driver.finish_one());
    EXPECT_EQ(rig_->dqbuf(), 0);
}

TEST_F(QueueImplicit, exported_memory_takes_part) {
    MemoryMakers makers;
    const auto source = makers.source();
    if (!source || *source == MmapSource::Memfd) {
        GTEST_SKIP() << "needs memory that can be exported: " << makers.refused();
    }
    testing::FakeDriver driver;
    auto queue =
        Queue::create(testing::capture_traits(), driver, rig_->core, makers, rig_->shown).value();
    ASSERT_TRUE(queue->request_buffers(MemoryKind::Mmap, 2));
    const auto exported = queue->export_plane(0, 0, 0);
    ASSERT_TRUE(exported);
    ASSERT_TRUE(queue->queue(0, BufferSettings(), {}, rig_->options));
    ASSERT_TRUE(queue->queue(1, BufferSettings(), {}, rig_->options));
    EXPECT_TRUE(queue->query(0)->out_fence_pending);
    EXPECT_FALSE(queue->query(1)->out_fence_pending) << "nobody has a dma-buf of it";
    EXPECT_EQ(*sys::poll_now(exported->get(), POLLIN), 0);
    ASSERT_TRUE(queue->stream_on());
    ASSERT_TRUE(driver.finish_one());
    EXPECT_EQ(*sys::poll_now(exported->get(), POLLIN), POLLIN);
    queue->close();
}

// Pins: 2.1
TEST_F(QueueImplicit, without_room_for_a_descriptor_nobody_waits) {
    ASSERT_EQ(queue(0), 0);  // What stays open for later fences is open from here on.
    ASSERT_EQ(queue(2), 0);
    ASSERT_EQ(rig_->stream_on(), 0);
    ASSERT_TRUE(rig_->driver.finish_one() && rig_->driver.finish_one());
    ASSERT_EQ(rig_->dqbuf(), 0);
    std::string reason;
    const auto reader = PendingFence::on(memory_[1][0].get(), reason);
    ASSERT_TRUE(reader) << reason;
    const std::size_t before = testing::open_descriptors();
    const unsigned failures = testing::until_it_fits([&](unsigned limit) {
        int error = 0;
        {
            const testing::DescriptorLimit lowered(limit);
            error = queue(1);
        }
        if (error != 0) {
            EXPECT_EQ(error, -EMFILE);
            EXPECT_EQ(testing::open_descriptors(), before);
            EXPECT_EQ(rig_->state(1), BufferReport::State::Dequeued);
            EXPECT_TRUE(readable(1, 1)) << "no fence of ours is left";
        }
        return error == 0;
    });
    EXPECT_GT(failures, 0U);
}

}  // namespace
}  // namespace v4lfence
