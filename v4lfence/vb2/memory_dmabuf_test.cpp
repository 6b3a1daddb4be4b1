// SPDX-License-Identifier: MIT
//
// DMABUF memory of every exporter that the machine has, a V4L2 driver of the kernel among them.

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/vivid_dma_buf.hpp"
#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/providers/dma_buf_source.hpp"
#include "v4lfence/fence/providers/vgem.hpp"
#include "v4lfence/vb2/memory_dmabuf.hpp"
#include "v4lfence/vb2/testing/pending_fence.hpp"

namespace v4lfence {
namespace {

using testing::DescriptorLimit;
using testing::open_descriptors;

int error_of(int fd, std::size_t length, DeviceAccess access) {
    const auto attached = DmabufMemory::attach(fd, length, access);
    return attached ? 0 : attached.error().code;
}

/// A source of our own, or vivid.
using Exporter = std::optional<BufferSource>;
constexpr std::optional<BufferSource> vivid = std::nullopt;

Result<UniqueFd> make_from(const Exporter& exporter) {
    if (exporter) {
        return allocate_dma_buf(*exporter, find_vgem_nodes().card, 4 * page_size());
    }
    return testing::vivid_dma_buf(O_RDWR);
}

class Dmabuf : public ::testing::TestWithParam<Exporter> {
protected:
    void SetUp() override {
        auto made = make_from(GetParam());
        ASSERT_TRUE(made) << made.error().where;
        buffer_ = std::move(*made);
        const auto info = sys::fstat(buffer_.get());
        size_ = static_cast<std::size_t>(info->st_size);
        ASSERT_GE(size_, 4 * page_size());
        seen_ = *MappedMemory::create(buffer_.get(), size_, MemoryUse::ReadWrite);
        before_ = open_descriptors();
    }

    std::unique_ptr<PlaneMemory> attach(std::size_t length, DeviceAccess access) const {
        auto attached = DmabufMemory::attach(buffer_.get(), length, access);
        EXPECT_TRUE(attached) << (attached ? "" : attached.error().where);
        return std::move(*attached);
    }

    UniqueFd buffer_;
    std::size_t size_ = 0;
    MappedMemory seen_;
    std::size_t before_ = 0;
};

TEST_P(Dmabuf, is_the_exporters_memory) {
    const auto memory = attach(page_size() + 5, DeviceAccess::Write);
    EXPECT_EQ(memory->bytes().size(), page_size() + 5);
    ASSERT_TRUE(memory->begin_access());
    memory->bytes().back() = std::byte{21};
    memory->end_access();
    EXPECT_EQ(seen_.bytes()[page_size() + 4], std::byte{21});
    const auto output = attach(size_, DeviceAccess::Read);
    ASSERT_TRUE(output->begin_access());
    EXPECT_EQ(output->bytes()[page_size() + 4], std::byte{21});
    output->end_access();
}

TEST_P(Dmabuf, length_0_is_all_of_it_and_more_than_all_is_refused) {
    EXPECT_EQ(attach(0, DeviceAccess::Write)->bytes().size(), size_);
    EXPECT_EQ(error_of(buffer_.get(), size_ + 1, DeviceAccess::Write), -EFAULT);
    EXPECT_EQ(error_of(buffer_.get(), SIZE_MAX, DeviceAccess::Read), -EFAULT);
    EXPECT_EQ(open_descriptors(), before_);
}

TEST_P(Dmabuf, program_may_close_its_own) {
    const auto memory = attach(size_, DeviceAccess::Write);
    buffer_.reset();
    ASSERT_TRUE(memory->begin_access());
    memory->bytes()[1] = std::byte{31};
    memory->end_access();
    EXPECT_EQ(seen_.bytes()[1], std::byte{31});
}

TEST_P(Dmabuf, every_descriptor_of_it_is_the_same) {
    const auto memory = attach(size_, DeviceAccess::Write);
    const auto copy = sys::dup(buffer_.get());
    const auto other = make_from(GetParam());
    ASSERT_TRUE(copy && other);
    EXPECT_TRUE(memory->is_dmabuf(buffer_.get(), size_));
    EXPECT_TRUE(memory->is_dmabuf(copy->get(), size_));
    EXPECT_TRUE(memory->is_dmabuf(copy->get(), 0));
    EXPECT_FALSE(memory->is_dmabuf(copy->get(), size_ - 1));
    EXPECT_FALSE(memory->is_dmabuf(other->get(), size_));
    EXPECT_FALSE(memory->is_dmabuf(-1, size_));
    EXPECT_FALSE(memory->is_userptr(reinterpret_cast<std::uintptr_t>(memory->bytes().data()), size_,
                                    nullptr));
    const auto shorter = attach(page_size(), DeviceAccess::Write);
    EXPECT_FALSE(shorter->is_dmabuf(buffer_.get(), 0));
}

TEST_P(Dmabuf, access_waits_for_no_fence) {
    for (const auto access : {DeviceAccess::Write, DeviceAccess::Read}) {
        const auto memory = attach(size_, access);
        std::string reason;
        const auto fence = testing::PendingFence::on(buffer_.get(), reason);
        if (!fence) {
            GTEST_SKIP() << reason;
        }
        EXPECT_TRUE(memory->begin_access());
        EXPECT_TRUE(fence->pending());
        memory->end_access();
        fence->end();
        EXPECT_TRUE(memory->begin_access());
        memory->end_access();
    }
}

TEST_P(Dmabuf, cannot_be_exported_or_mapped_again) {
    const auto memory = attach(size_, DeviceAccess::Write);
    EXPECT_EQ(memory->map_fd(), -1);
    EXPECT_EQ(memory->export_dmabuf(O_RDWR).error().code, -EINVAL);
}

TEST_P(Dmabuf, without_descriptors_it_says_so_and_leaves_none) {
    const unsigned failures = testing::until_it_fits([&](unsigned limit) {
        const DescriptorLimit limited(limit);
        const auto attached = DmabufMemory::attach(buffer_.get(), size_, DeviceAccess::Write);
        if (!attached) {
            EXPECT_EQ(attached.error().code, -EMFILE);
        }
        return attached.has_value();
    });
    EXPECT_GT(failures, 0U);
    EXPECT_EQ(open_descriptors(), before_);
}

std::vector<Exporter> exporters() {
    return {BufferSource::Udmabuf, BufferSource::SystemHeap, BufferSource::VgemCard, vivid};
}

std::vector<Exporter> usable() {
    std::vector<Exporter> here = exporters();
    std::erase_if(here, [](const Exporter& exporter) { return !make_from(exporter); });
    return here;
}

std::string name_of(const ::testing::TestParamInfo<Exporter>& info) {
    constexpr std::array names{"vgem", "udmabuf", "system_heap"};
    return info.param ? names.at(static_cast<std::size_t>(*info.param)) : "vivid";
}

class DmabufExporters : public ::testing::TestWithParam<Exporter> {};

TEST_P(DmabufExporters, machine_has_it) {
    const auto made = make_from(GetParam());
    if (!made) {
        GTEST_SKIP() << "needs dma-bufs of it: " << made.error().where << " gives error "
                     << -made.error().code;
    }
    EXPECT_EQ(error_of(made->get(), 0, DeviceAccess::Write), 0);
}

// A machine may have none of them.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Dmabuf);
INSTANTIATE_TEST_SUITE_P(Each, DmabufExporters, ::testing::ValuesIn(exporters()), name_of);
INSTANTIATE_TEST_SUITE_P(Usable, Dmabuf, ::testing::ValuesIn(usable()), name_of);

// vivid itself takes one for capture: its CPU address is not bound to the descriptor's mode.
TEST(DmabufMode, read_only_one_serves_output_alone) {
    const auto buffer = testing::vivid_dma_buf(O_RDONLY);
    if (!buffer) {
        GTEST_SKIP() << "needs vivid: " << buffer.error().where;
    }
    EXPECT_EQ(error_of(buffer->get(), 0, DeviceAccess::Read), 0);
    EXPECT_EQ(error_of(buffer->get(), 0, DeviceAccess::Write), -EACCES);
}

TEST(DmabufKind, nothing_else_is_one) {
    const std::size_t before = open_descriptors();
    {
        const auto memory = sys::sealed_memory("test", page_size());
        const auto pipe = sys::pipe(0);
        const auto null = sys::open("/dev/null", O_RDWR);
        const auto event = sys::eventfd(0, 0);
        ASSERT_TRUE(memory && pipe && null && event);
        for (const int fd :
             {memory->get(), pipe->read_end.get(), null->get(), event->get(), -1, 1 << 30}) {
            EXPECT_EQ(error_of(fd, page_size(), DeviceAccess::Write), -EINVAL) << fd;
            EXPECT_EQ(error_of(fd, 0, DeviceAccess::Read), -EINVAL) << fd;
        }
    }
    EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace v4lfence
