// SPDX-License-Identifier: MIT
//
// What only vgem's kernel fences show: they are sync_files. Needs the module; skipped where it is
// missing.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/providers/private_buffer.hpp"
#include "v4lfence/fence/providers/vgem.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view lacking = "lacking";

/// A card whose driver has no memory for one more file.
int open_but_lacking(const char* path, int flags, ...) {
    if (std::string_view(path).ends_with(lacking)) {
        errno = ENOMEM;
        return -1;
    }
    return ::open(path, flags);
}

/// As DRM_IOCTL_VERSION has it, up to the name.
struct DrmVersion {
    std::int32_t numbers[3];
    std::size_t name_size;
    char* name;
};

int call_it_vgem(int /*fd*/, unsigned long request, ...) {
    std::va_list arguments;
    va_start(arguments, request);
    auto* const version = va_arg(arguments, DrmVersion*);
    va_end(arguments);
    std::snprintf(version->name, version->name_size, "vgem");
    return 0;
}

/// A folder of nodes, each of them of vgem but those that are lacking.
class VgemNodesFound : public ::testing::Test {
protected:
    VgemNodesFound() {
        std::filesystem::create_directory(folder_);
        libc.open = open_but_lacking;
        libc.ioctl = call_it_vgem;
    }
    ~VgemNodesFound() override {
        libc = real_;
        std::filesystem::remove_all(folder_);
    }

    VgemNodes found(const std::vector<std::string>& names) {
        for (const std::string& name : names) {
            std::ofstream(folder_ + "/" + name).put(' ');
        }
        return find_vgem_nodes(folder_.c_str());
    }

private:
    const LibcCalls real_ = libc;
    const std::string folder_ = ::testing::TempDir() + "vgem-" + std::to_string(::getpid());
};

TEST_F(VgemNodesFound, shortage_of_another_card_is_no_concern_of_vgems) {
    const VgemNodes nodes =
        found({"card0-lacking", "card1", "renderD128-lacking", "renderD129", "renderD130-lacking"});
    EXPECT_TRUE(nodes.card.ends_with("card1"));
    EXPECT_TRUE(nodes.render.ends_with("renderD129"));
    EXPECT_EQ(nodes.shortage, 0);
}

TEST_F(VgemNodesFound, shortage_counts_where_vgem_may_be_behind_it) {
    EXPECT_EQ(found({"card0", "renderD128-lacking"}).shortage, -ENOMEM);
}

TEST_F(VgemNodesFound, shortage_counts_where_its_card_may_be_behind_it) {
    EXPECT_EQ(found({"card0-lacking", "renderD128"}).shortage, -ENOMEM);
}

TEST_F(VgemNodesFound, machine_without_vgem_lacks_nothing_else) {
    EXPECT_EQ(found({}).shortage, 0);
}

class Vgem : public ::testing::Test {
protected:
    void SetUp() override {
        auto probed = probe_provider("vgem");
        ASSERT_TRUE(probed);
        if (!probed->provider) {
            GTEST_SKIP() << probed->reason;
        }
        provider_ = std::move(probed->provider);
        context_ = std::move(*provider_->open_context());
    }

    MintedFence mint(unsigned slot = 0) {
        auto minted = context_->mint(slot);
        EXPECT_TRUE(minted);
        return std::move(*minted);
    }

    static FenceStatus status_of(int fd) {
        const auto status = query_sync_file(fd);
        EXPECT_TRUE(status);
        return status.value_or(FenceStatus{});
    }

    static std::uint32_t fence_count(int fd) {
        sync_file_info info{};
        EXPECT_TRUE(sys::ioctl(fd, SYNC_IOC_FILE_INFO, &info));
        return info.num_fences;
    }

    std::unique_ptr<FenceProvider> provider_;
    std::unique_ptr<FenceContext> context_;
    SystemClock clock_;
};

// Pins: 5.6
TEST_F(Vgem, sync_file_tells_names_and_time) {
    MintedFence minted = mint();
    auto imported = Fence::import(minted.fd.get(), DmaBufAccess::Write);
    ASSERT_TRUE(imported && imported->pending);
    const Fence fence = std::move(*imported->pending);
    EXPECT_EQ(fence.kind(), FenceKind::SyncFile);
    EXPECT_STREQ(fence.names().driver.data(), "vgem");
    const MonotonicTime before = clock_.now();
    std::move(minted.promise).end(0);
    const FenceStatus status = fence.status();
    ASSERT_TRUE(status.ended_at);
    EXPECT_GE(*status.ended_at, before);
    EXPECT_LE(*status.ended_at, clock_.now());
    EXPECT_EQ(Fence::import(minted.fd.get(), DmaBufAccess::Read)->status.ended_at, status.ended_at);
}

TEST_F(Vgem, slot_with_a_pending_fence_is_busy) {
    MintedFence first = mint(3);
    EXPECT_EQ(context_->mint(3).error().code, -EBUSY);
    std::move(first.promise).end(0);
    EXPECT_TRUE(context_->mint(3));
}

TEST_F(Vgem, file_closed_ends_everything_at_once) {
    const MintedFence minted = mint();
    context_->abandon();
    EXPECT_EQ(status_of(minted.fd.get()).state, FenceState::Signaled);
}

// Pins: 4.7
TEST_F(Vgem, merge_ends_with_the_later_and_lists_both) {
    MintedFence first = mint(0);
    MintedFence second = mint(1);
    auto merged = merge_sync_files("a name of more than thirty-one characters", first.fd.get(),
                                   second.fd.get());
    ASSERT_TRUE(merged);
    EXPECT_EQ(fence_count(merged->get()), 2U);
    std::move(second.promise).end(0);
    EXPECT_FALSE(status_of(merged->get()).ended());
    first.fd.reset();
    std::move(first.promise).end(0);
    const FenceStatus status = status_of(merged->get());
    EXPECT_EQ(status.state, FenceState::Signaled);
    EXPECT_TRUE(status.ended_at);
}

TEST_F(Vgem, merge_drops_what_has_ended_and_what_is_twice) {
    MintedFence first = mint(0);
    MintedFence second = mint(1);
    auto same = merge_sync_files("same", first.fd.get(), first.fd.get());
    ASSERT_TRUE(same);
    EXPECT_EQ(fence_count(same->get()), 1U);
    std::move(second.promise).end(0);
    auto with_ended = merge_sync_files("ended", first.fd.get(), second.fd.get());
    ASSERT_TRUE(with_ended);
    EXPECT_EQ(fence_count(with_ended->get()), 1U);
    EXPECT_FALSE(status_of(with_ended->get()).ended());
    std::move(first.promise).end(0);
    EXPECT_TRUE(status_of(with_ended->get()).ended());
    EXPECT_TRUE(status_of(same->get()).ended());
}

TEST_F(Vgem, merge_with_what_is_no_sync_file_changes_nothing) {
    MintedFence minted = mint();
    const auto pipe = sys::pipe(0);
    const std::size_t before = testing::open_descriptors();
    for (const int other : {-1, 100'000, pipe->read_end.get()}) {
        EXPECT_EQ(merge_sync_files("x", minted.fd.get(), other).error().code, -EINVAL);
        EXPECT_EQ(merge_sync_files("x", other, minted.fd.get()).error().code, -EINVAL);
    }
    EXPECT_EQ(testing::open_descriptors(), before);
    EXPECT_FALSE(status_of(minted.fd.get()).ended());
}

TEST_F(Vgem, merges_of_64_fences_end_with_the_last) {
    constexpr unsigned count = 64;
    std::vector<MintedFence> minted;
    UniqueFd merged;
    for (unsigned slot = 0; slot < count; ++slot) {
        minted.push_back(mint(slot));
        merged = slot == 0
                     ? std::move(*sys::dup(minted[0].fd.get()))
                     : std::move(*merge_sync_files("all", merged.get(), minted[slot].fd.get()));
    }
    EXPECT_EQ(fence_count(merged.get()), count);
    for (unsigned slot = count; slot-- > 0;) {
        EXPECT_FALSE(status_of(merged.get()).ended());
        std::move(minted[slot].promise).end(0);
    }
    EXPECT_TRUE(status_of(merged.get()).ended());
    EXPECT_TRUE(status_of(merged.get()).ended_at);
}

/// A dma-buf, and a way to put a fence on it.
class VgemDmaBuf : public Vgem {
protected:
    void SetUp() override {
        Vgem::SetUp();
        if (IsSkipped()) {
            return;
        }
        // Any card node with dumb buffers will do; vgem's is one of them.
        for (const char* const card : {"/dev/dri/card0", "/dev/dri/card1", "/dev/dri/card2"}) {
            const auto found = PrivateBuffers::find(card);
            if (found.source) {
                buffer_ = std::move(*PrivateBuffers(*found.source, card).make());
                return;
            }
        }
        GTEST_SKIP() << "no dma-buf to be had";
    }

    void attach(int sync_file, std::uint32_t flags) {
        dma_buf_import_sync_file request{flags, sync_file};
        ASSERT_TRUE(sys::ioctl(buffer_.get(), DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &request));
    }

    UniqueFd buffer_;
};

// Pins: 2
TEST_F(VgemDmaBuf, import_of_an_idle_dma_buf_is_ended) {
    const std::size_t before = testing::open_descriptors();
    for (const auto access : {DmaBufAccess::Read, DmaBufAccess::Write}) {
        const auto imported = Fence::import(buffer_.get(), access);
        ASSERT_TRUE(imported);
        EXPECT_EQ(imported->status.state, FenceState::Signaled);
        EXPECT_FALSE(imported->pending);
    }
    EXPECT_EQ(testing::open_descriptors(), before);
}

// Pins: 2
TEST_F(VgemDmaBuf, capture_waits_for_all_fences_and_output_for_the_writers) {
    MintedFence reader = mint(0);
    attach(reader.fd.get(), DMA_BUF_SYNC_READ);
    EXPECT_FALSE(Fence::import(buffer_.get(), DmaBufAccess::Read)->pending);
    const auto capture = Fence::import(buffer_.get(), DmaBufAccess::Write);
    ASSERT_TRUE(capture && capture->pending);
    EXPECT_GE(capture->pending->fd(), 256);
    MintedFence writer = mint(1);
    attach(writer.fd.get(), DMA_BUF_SYNC_WRITE);
    const auto output = Fence::import(buffer_.get(), DmaBufAccess::Read);
    ASSERT_TRUE(output && output->pending);
    std::move(reader.promise).end(0);
    EXPECT_TRUE(capture->pending->status().ended()) << "only the fences of that moment";
    EXPECT_FALSE(output->pending->status().ended());
    std::move(writer.promise).end(0);
    EXPECT_TRUE(output->pending->status().ended());
}

TEST_F(VgemDmaBuf, import_without_a_free_descriptor_says_so) {
    const std::size_t before = testing::open_descriptors();
    const auto imported = [&] {
        const testing::DescriptorLimit lowered(1);
        return Fence::import(buffer_.get(), DmaBufAccess::Write);
    }();
    ASSERT_FALSE(imported);
    EXPECT_EQ(imported.error().code, -EMFILE);
    EXPECT_EQ(testing::open_descriptors(), before);
}

TEST_F(Vgem, drm_file_is_renewed_and_closed_when_its_last_fence_has_ended) {
    const std::size_t before = testing::open_descriptors();
    const auto use_up = [this](std::uint32_t fences) {
        for (std::uint32_t i = 0; i < fences; ++i) {
            std::move(mint(0).promise).end(0);
        }
    };
    // The last of the first file: the kernel ends it 10 s after it was minted, and a slow machine
    // takes longer for all those before it.
    use_up(vgem_fences_per_file - 1);
    MintedFence old = mint(1);
    use_up(1);
    // Beside what was there: the two slots' objects, the fence, and the second file.
    EXPECT_EQ(testing::open_descriptors(), before + 4);
    EXPECT_FALSE(status_of(old.fd.get()).ended());
    EXPECT_EQ(context_->mint(1).error().code, -EBUSY) << "the object is the same in both files";
    std::move(old.promise).end(0);
    EXPECT_TRUE(status_of(old.fd.get()).ended());
    { const MintedFence again = mint(1); }
    EXPECT_EQ(testing::open_descriptors(), before + 3);
}

// Pins: 5.7
TEST_F(Vgem, kernel_ends_a_forgotten_fence_after_the_bound) {
    MintedFence minted = mint();
    const MonotonicTime start = clock_.now();
    auto imported = Fence::import(minted.fd.get(), DmaBufAccess::Write);
    ASSERT_TRUE(imported && imported->pending);
    EXPECT_EQ(imported->pending->wait(start + *provider_->traits().bound, clock_).error().code,
              -ETIME);
    const auto status = imported->pending->wait(start + 60s, clock_);
    ASSERT_TRUE(status);
    EXPECT_EQ(status->state, FenceState::Signaled);
    // Too late, and harmless.
    std::move(minted.promise).end(0);
    EXPECT_TRUE(context_->mint(0));
}

}  // namespace
}  // namespace v4lfence
