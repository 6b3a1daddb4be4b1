// SPDX-License-Identifier: MIT
//
// MMAP memory of every source that the machine has; MmapSources says which it lacks, and why.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/providers/dma_buf_source.hpp"
#include "v4lfence/fence/providers/vgem.hpp"
#include "v4lfence/vb2/memory_makers.hpp"
#include "v4lfence/vb2/memory_mmap.hpp"
#include "v4lfence/vb2/testing/pending_fence.hpp"

namespace v4lfence {
namespace {

using testing::DescriptorLimit;
using testing::open_descriptors;

constexpr std::size_t length = 10000;

/// Why a machine cannot export memory of a source; empty where it can.
std::string lacking(MmapSource source) {
    if (source == MmapSource::Memfd) {
        return {};
    }
    const std::array order{source == MmapSource::Udmabuf      ? BufferSource::Udmabuf
                           : source == MmapSource::SystemHeap ? BufferSource::SystemHeap
                                                              : BufferSource::VgemCard};
    const std::string card = find_vgem_nodes().card;
    if (source == MmapSource::VgemCard && card.empty()) {
        return "needs a card node of vgem";
    }
    const auto found = find_buffer_source(order, card);
    return found.source ? std::string() : "needs a source of dma-bufs: " + found.tried;
}

bool is_close_on_exec(int fd) {
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

Result<MappedMemory> map(int fd, std::size_t size = length) {
    return MappedMemory::create(fd, size, MemoryUse::ReadWrite);
}

class AnyMmap : public ::testing::TestWithParam<MmapSource> {
protected:
    std::unique_ptr<PlaneMemory> make(DeviceAccess access = DeviceAccess::Write) {
        auto made = makers_.make(length, access);
        EXPECT_TRUE(made) << (made ? "" : made.error().where);
        return std::move(*made);
    }

    MemoryMakers makers_{GetParam()};
};

class ExportedMmap : public AnyMmap {};

TEST_P(AnyMmap, is_zeroed_and_as_long_as_asked_for) {
    for (const auto access : {DeviceAccess::Write, DeviceAccess::Read}) {
        const auto memory = make(access);
        ASSERT_EQ(memory->bytes().size(), length);
        EXPECT_TRUE(
            std::ranges::all_of(memory->bytes(), [](std::byte b) { return b == std::byte{}; }));
    }
}

TEST_P(AnyMmap, program_maps_the_same_memory_in_whole_pages) {
    const auto memory = make();
    EXPECT_EQ(memory->map_offset(), 0);
    const auto seen = map(memory->map_fd(), round_up_to_pages(length));
    ASSERT_TRUE(seen);
    memory->bytes().back() = std::byte{3};
    EXPECT_EQ(seen->bytes()[length - 1], std::byte{3});
    seen->bytes().front() = std::byte{4};
    EXPECT_EQ(memory->bytes().front(), std::byte{4});
    seen->bytes().back() = std::byte{5};
    EXPECT_EQ(seen->bytes().back(), std::byte{5});
}

TEST_P(AnyMmap, what_the_program_mapped_outlives_it) {
    auto memory = make();
    const auto seen = map(memory->map_fd());
    ASSERT_TRUE(seen);
    memory->bytes()[7] = std::byte{9};
    memory.reset();
    EXPECT_EQ(seen->bytes()[7], std::byte{9});
}

TEST_P(AnyMmap, whoever_maps_it_cannot_change_it_for_others) {
    const auto memory = make();
    constexpr int seal_future_write = 0x10;
    EXPECT_EQ(::ftruncate(memory->map_fd(), 0), -1);
    EXPECT_EQ(::ftruncate(memory->map_fd(), 1 << 20), -1);
    EXPECT_EQ(::fcntl(memory->map_fd(), F_ADD_SEALS, seal_future_write), -1);
    EXPECT_TRUE(map(memory->map_fd()));
}

TEST_P(AnyMmap, refuses_impossible_lengths) {
    EXPECT_EQ(makers_.make(0, DeviceAccess::Write).error().code, -EINVAL);
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    for (const std::size_t huge : {most, most - page_size(), most / 2 + 2}) {
        EXPECT_EQ(makers_.make(huge, DeviceAccess::Write).error().code, -ENOMEM);
    }
}

TEST_P(AnyMmap, is_never_a_pointer_or_dma_buf_of_the_program) {
    const auto memory = make();
    const auto address = reinterpret_cast<std::uintptr_t>(memory->bytes().data());
    EXPECT_FALSE(memory->is_userptr(address, length, nullptr));
    EXPECT_FALSE(memory->is_dmabuf(memory->map_fd(), length));
}

// Pins: 7.5
TEST_P(AnyMmap, descriptors_are_out_of_the_way_and_given_back) {
    const std::size_t before = open_descriptors();
    {
        const auto memory = make();
        EXPECT_GE(memory->map_fd(), 256);
        EXPECT_TRUE(is_close_on_exec(memory->map_fd()));
        if (GetParam() != MmapSource::Memfd) {
            EXPECT_TRUE(memory->export_dmabuf(O_CLOEXEC));
            EXPECT_TRUE(memory->export_dmabuf(O_CLOEXEC));
        }
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST_P(AnyMmap, without_descriptors_it_says_so_and_leaves_none) {
    const std::size_t before = open_descriptors();
    const bool exported = GetParam() != MmapSource::Memfd;
    // UBSan needs a descriptor to look at an object with virtual members, as the test itself is.
    MemoryMakers& makers = makers_;
    const unsigned failures = testing::until_it_fits([exported, &makers](unsigned limit) {
        const DescriptorLimit limited(limit);
        const auto made = makers.make(length, DeviceAccess::Write);
        if (!made) {
            EXPECT_EQ(made.error().code, -EMFILE) << made.error().where;
            return false;
        }
        const auto copy = exported ? (*made)->export_dmabuf(O_RDWR) : sys::dup((*made)->map_fd());
        if (!copy) {
            EXPECT_EQ(copy.error().code, -EMFILE) << copy.error().where;
        }
        return copy.has_value();
    });
    EXPECT_GT(failures, 0U);
    EXPECT_EQ(open_descriptors(), before);
}

TEST_P(AnyMmap, access_before_any_export_needs_nothing) {
    const auto memory = make();
    EXPECT_TRUE(memory->begin_access());
    memory->bytes()[0] = std::byte{1};
    memory->end_access();
}

TEST_P(ExportedMmap, export_is_the_same_memory) {
    const auto memory = make();
    const auto exported = memory->export_dmabuf(O_RDWR | O_CLOEXEC);
    ASSERT_TRUE(exported);
    const auto seen = map(exported->get(), round_up_to_pages(length));
    ASSERT_TRUE(seen);
    memory->bytes()[5000] = std::byte{1};
    seen->bytes()[5001] = std::byte{2};
    EXPECT_EQ(seen->bytes()[5000], std::byte{1});
    EXPECT_EQ(memory->bytes()[5001], std::byte{2});
}

TEST_P(ExportedMmap, each_export_is_a_new_descriptor_with_the_flags_asked_for) {
    const auto memory = make();
    const auto kept = memory->export_dmabuf(O_RDWR);
    const auto closed = memory->export_dmabuf(O_RDWR | O_CLOEXEC);
    ASSERT_TRUE(kept && closed);
    EXPECT_NE(kept->get(), closed->get());
    EXPECT_NE(closed->get(), memory->map_fd());
    EXPECT_FALSE(is_close_on_exec(kept->get()));
    EXPECT_TRUE(is_close_on_exec(closed->get()));
}

TEST_P(ExportedMmap, every_access_mode_is_accepted_and_nothing_else) {
    const auto memory = make();
    for (const int mode : {O_RDONLY, O_WRONLY, O_RDWR}) {
        EXPECT_TRUE(memory->export_dmabuf(mode)) << mode;
    }
    for (const int other : {O_NONBLOCK, O_APPEND, O_RDWR | O_CREAT, -1}) {
        const auto refused = memory->export_dmabuf(other);
        ASSERT_FALSE(refused) << other;
        EXPECT_EQ(refused.error().code, -EINVAL);
    }
}

TEST_P(ExportedMmap, export_outlives_the_memory) {
    auto memory = make();
    memory->bytes()[100] = std::byte{5};
    const auto exported = memory->export_dmabuf(O_RDWR);
    memory.reset();
    ASSERT_TRUE(exported);
    const auto seen = map(exported->get());
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->bytes()[100], std::byte{5});
}

TEST_P(ExportedMmap, access_after_the_export_begins_and_ends) {
    for (const auto access : {DeviceAccess::Write, DeviceAccess::Read}) {
        const auto memory = make(access);
        ASSERT_TRUE(memory->export_dmabuf(O_RDWR));
        for (int frame = 0; frame < 3; ++frame) {
            EXPECT_TRUE(memory->begin_access());
            memory->end_access();
        }
    }
}

TEST_P(ExportedMmap, access_waits_for_no_fence) {
    for (const auto access : {DeviceAccess::Write, DeviceAccess::Read}) {
        const auto memory = make(access);
        const auto exported = memory->export_dmabuf(O_RDWR);
        ASSERT_TRUE(exported);
        std::string reason;
        const auto fence = testing::PendingFence::on(exported->get(), reason);
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

std::string name_of(const ::testing::TestParamInfo<MmapSource>& info) {
    constexpr std::array names{"udmabuf", "system_heap", "vgem", "memfd"};
    return names.at(static_cast<std::size_t>(info.param));
}

std::vector<MmapSource> usable(std::vector<MmapSource> sources) {
    std::erase_if(sources, [](MmapSource source) { return !lacking(source).empty(); });
    return sources;
}

const std::vector exporting{MmapSource::Udmabuf, MmapSource::SystemHeap, MmapSource::VgemCard};

class MmapSources : public ::testing::TestWithParam<MmapSource> {};

TEST_P(MmapSources, machine_has_it) {
    if (const std::string reason = lacking(GetParam()); !reason.empty()) {
        GTEST_SKIP() << reason;
    }
    MemoryMakers makers(GetParam());
    const auto memory = makers.make(length, DeviceAccess::Write);
    ASSERT_TRUE(memory) << memory.error().where;
    EXPECT_TRUE((*memory)->export_dmabuf(O_RDWR));
}

// A machine may have none of them.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ExportedMmap);
INSTANTIATE_TEST_SUITE_P(Each, MmapSources, ::testing::ValuesIn(exporting), name_of);
INSTANTIATE_TEST_SUITE_P(Usable, ExportedMmap, ::testing::ValuesIn(usable(exporting)), name_of);
INSTANTIATE_TEST_SUITE_P(Usable, AnyMmap,
                         ::testing::ValuesIn(usable({MmapSource::Udmabuf, MmapSource::SystemHeap,
                                                     MmapSource::VgemCard, MmapSource::Memfd})),
                         name_of);

TEST(Udmabuf, exports_a_frame_of_4k_and_refuses_what_is_above_its_limit) {
    if (const std::string reason = lacking(MmapSource::Udmabuf); !reason.empty()) {
        GTEST_SKIP() << reason;
    }
    std::size_t limit_mb = 0;
    std::ifstream("/sys/module/udmabuf/parameters/size_limit_mb") >> limit_mb;
    ASSERT_GE(limit_mb, 32U);
    MemoryMakers makers(MmapSource::Udmabuf);
    const auto frame = makers.make(std::size_t{3840} * 2160 * 4, DeviceAccess::Write);
    ASSERT_TRUE(frame);
    EXPECT_TRUE((*frame)->export_dmabuf(O_RDWR));
    const auto larger = makers.make((limit_mb << 20) + 1, DeviceAccess::Write);
    ASSERT_TRUE(larger);
    const auto refused = (*larger)->export_dmabuf(O_RDWR);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, -EINVAL);
    EXPECT_NE(std::string(refused.error().where).find("size_limit_mb"), std::string::npos);
}

TEST(Memfd, export_is_refused_with_what_is_missing) {
    MemoryMakers makers(MmapSource::Memfd);
    const auto memory = makers.make(length, DeviceAccess::Write);
    ASSERT_TRUE(memory);
    const auto refused = (*memory)->export_dmabuf(O_RDWR);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, -EINVAL);
    EXPECT_NE(std::string(refused.error().where).find("/dev/udmabuf"), std::string::npos);
}

TEST(MemoryMakers, takes_the_first_source_that_works) {
    MmapSource expected = MmapSource::Udmabuf;
    std::string reasons;
    for (; expected != MmapSource::Memfd;
         expected = static_cast<MmapSource>(static_cast<int>(expected) + 1)) {
        const std::string reason = lacking(expected);
        if (reason.empty()) {
            break;
        }
        reasons += reason;
    }
    MemoryMakers makers;
    EXPECT_TRUE(makers.refused().empty());
    ASSERT_TRUE(makers.source());
    EXPECT_EQ(*makers.source(), expected);
    EXPECT_EQ(makers.refused().empty(), reasons.empty()) << makers.refused();
    const auto memory = makers.make(length, DeviceAccess::Write);
    ASSERT_TRUE(memory);
    EXPECT_EQ((*memory)->export_dmabuf(O_RDWR).has_value(), expected != MmapSource::Memfd);
}

TEST(MemoryMakers, lack_of_descriptors_is_no_choice) {
    const auto usual = MemoryMakers().source();
    ASSERT_TRUE(usual);
    const std::size_t before = open_descriptors();
    const unsigned failures = testing::until_it_fits([&](unsigned limit) {
        MemoryMakers makers;
        Result<MmapSource> limited = fail(-EIO, "");
        {
            const DescriptorLimit lowered(limit);
            limited = makers.source();
        }
        if (!limited) {
            EXPECT_EQ(limited.error().code, -EMFILE);
        }
        EXPECT_EQ(makers.source().value_or(MmapSource::Memfd), *usual) << limit;
        return limited.has_value();
    });
    EXPECT_GT(failures, 0U);
    EXPECT_EQ(open_descriptors(), before);
}

TEST(MemoryMakers, threads_share_one) {
    MemoryMakers makers;
    std::array<bool, 4> made{};
    std::array<std::thread, 4> threads;
    for (std::size_t i = 0; i < threads.size(); ++i) {
        threads[i] = std::thread([&, i] {
            made[i] = makers.make(length, DeviceAccess::Write).has_value() && makers.source();
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_TRUE(std::ranges::all_of(made, [](bool ok) { return ok; }));
}

}  // namespace
}  // namespace v4lfence
