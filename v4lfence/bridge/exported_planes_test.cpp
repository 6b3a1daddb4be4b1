// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/bridge/exported_planes.hpp"
#include "v4lfence/fence/providers/dma_buf_source.hpp"
#include "v4lfence/fence/providers/vgem.hpp"

namespace v4lfence {
namespace {

using testing::open_descriptors;

std::size_t size_of(const ExportedPlanes& exported) {
    DmaBufs all;
    exported.collect(all);
    return all.all().size();
}

int add(ExportedPlanes& to, unsigned plane, int fd) {
    const auto added = to.add(plane, fd);
    return added ? 0 : added.error().code;
}

TEST(ExportedPlanes, keep_a_number_of_their_own_out_of_the_way) {
    const std::size_t before = open_descriptors();
    {
        const auto pipe = sys::pipe(0);
        ExportedPlanes exported;
        EXPECT_EQ(add(exported, 0, pipe->read_end.get()), 0);
        DmaBufs all;
        exported.collect(all);
        ASSERT_EQ(all.all().size(), 1U);
        EXPECT_GE(all.all()[0], 256);
        exported.clear();
        EXPECT_EQ(open_descriptors(), before + 2);
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(ExportedPlanes, more_than_are_kept_of_one_plane_are_refused) {
    const auto pipe = sys::pipe(0);  // Of what is no dma-buf nobody knows who has it.
    ExportedPlanes exported;
    for (std::size_t count = 0; count < ExportedPlanes::per_plane_max; ++count) {
        ASSERT_EQ(add(exported, 0, pipe->read_end.get()), 0);
    }
    const std::size_t before = open_descriptors();
    EXPECT_EQ(add(exported, 0, pipe->read_end.get()), -EMFILE);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(add(exported, 1, pipe->read_end.get()), 0) << "another plane has room";
    exported.clear();
    EXPECT_EQ(add(exported, 0, pipe->read_end.get()), 0);
}

TEST(ExportedPlanes, without_a_descriptor_are_as_they_were) {
    const auto pipe = sys::pipe(0);
    ExportedPlanes exported;
    EXPECT_EQ(add(exported, 0, -1), -EBADF);
    const testing::DescriptorLimit none(1);
    EXPECT_EQ(add(exported, 0, pipe->read_end.get()), -EMFILE);
    EXPECT_EQ(size_of(exported), 0U);
}

TEST(ExportedPlanes, those_that_nobody_else_has_are_given_back) {
    const std::string card = find_vgem_nodes().card;
    constexpr std::array order{BufferSource::VgemCard, BufferSource::Udmabuf,
                               BufferSource::SystemHeap};
    const FoundBufferSource found = find_buffer_source(order, card);
    if (!found.source) {
        GTEST_SKIP() << "needs dma-bufs: " << found.tried;
    }
    ExportedPlanes exported;
    const auto kept = allocate_dma_buf(*found.source, card, page_size());
    ASSERT_TRUE(kept);
    ASSERT_EQ(add(exported, 0, kept->get()), 0);
    const std::size_t before = open_descriptors();
    for (std::size_t frame = 0; frame < 3 * ExportedPlanes::per_plane_max; ++frame) {
        const auto closed_soon = allocate_dma_buf(*found.source, card, page_size());
        ASSERT_TRUE(closed_soon);
        ASSERT_EQ(add(exported, 0, closed_soon->get()), 0);
    }
    EXPECT_EQ(size_of(exported), 2U) << "the one in use, and the latest";
    EXPECT_EQ(open_descriptors(), before + 1);
}

}  // namespace
}  // namespace v4lfence
