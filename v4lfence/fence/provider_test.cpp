// SPDX-License-Identifier: MIT
//
// What holds for the fences of every provider. Those that this machine lacks are skipped.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/providers/drm.hpp"
#include "v4lfence/fence/testing/scripted_clock.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;
using testing::ScriptedClock;

/// The waiter's view of a fence that is pending.
Fence waiter(int fd) {
    auto imported = Fence::import(fd, DmaBufAccess::Write);
    EXPECT_TRUE(imported && imported->pending);
    return std::move(*imported->pending);
}

std::vector<std::string> providers_here() {
    std::vector<std::string> here;
    for (const std::string_view name : provider_names) {
        const auto probed = probe_provider(name);
        if (probed && probed->provider) {
            here.emplace_back(name);
        }
    }
    return here;
}

TEST(DrmNodes, are_listed_by_prefix_and_sorted) {
    const std::string folder = ::testing::TempDir() + "nodes-" + std::to_string(::getpid());
    ASSERT_TRUE(std::filesystem::create_directory(folder));
    for (const char* name : {"renderD129", "card0", "renderD128", "by-path"}) {
        EXPECT_TRUE(sys::open((folder + "/" + name).c_str(), O_CREAT | O_WRONLY, 0600));
    }
    EXPECT_EQ(*drm::list_nodes("renderD", folder.c_str()),
              (std::vector{folder + "/renderD128", folder + "/renderD129"}));
    EXPECT_EQ(*drm::list_nodes("card", folder.c_str()), std::vector{folder + "/card0"});
    std::filesystem::remove_all(folder);
    EXPECT_TRUE(drm::list_nodes("card", folder.c_str())->empty());
}

class EveryProvider : public ::testing::TestWithParam<std::string> {
protected:
    void SetUp() override {
        auto probed = probe_provider(GetParam());
        ASSERT_TRUE(probed && probed->provider);
        provider_ = std::move(probed->provider);
        auto context = provider_->open_context();
        ASSERT_TRUE(context);
        context_ = std::move(*context);
    }

    MintedFence mint(unsigned slot = 0) {
        auto minted = context_->mint(slot);
        EXPECT_TRUE(minted);
        return std::move(*minted);
    }

    bool ends_with_its_maker() const { return GetParam() != "eventfd"; }

    std::unique_ptr<FenceProvider> provider_;
    std::unique_ptr<FenceContext> context_;
};

INSTANTIATE_TEST_SUITE_P(Fences, EveryProvider, ::testing::ValuesIn(providers_here()),
                         [](const auto& name) { return name.param; });

// One skip for each provider that is missing, instead of one for each test of it.

// Pins: 5.7
TEST(ProbeProvider, vgem_is_here_and_bounded) {
    const auto probed = probe_provider("vgem");
    ASSERT_TRUE(probed);
    if (!probed->provider) {
        GTEST_SKIP() << probed->reason;
    }
    EXPECT_EQ(probed->provider->traits().bound, 8s);
    EXPECT_TRUE(probed->provider->traits().kernel_waitable);
    EXPECT_FALSE(probed->provider->traits().errors);
}

TEST(ProbeProvider, sw_sync_is_here) {
    const auto probed = probe_provider("sw_sync");
    ASSERT_TRUE(probed);
    if (!probed->provider) {
        GTEST_SKIP() << probed->reason;
    }
}

// Pins: 2
TEST_P(EveryProvider, fresh_fence_is_pending) {
    const MintedFence minted = mint();
    const Fence fence = waiter(minted.fd.get());
    EXPECT_EQ(fence.status().state, FenceState::Pending);
    EXPECT_EQ(fence.status().error, 0);
    EXPECT_EQ(sys::poll_now(minted.fd.get(), POLLIN), short{0});
}

// Pins: 2
TEST_P(EveryProvider, ended_fence_is_readable_and_signaled) {
    MintedFence minted = mint();
    const Fence fence = waiter(minted.fd.get());
    std::move(minted.promise).end(0);
    EXPECT_FALSE(minted.promise);
    EXPECT_EQ(fence.status().state, FenceState::Signaled);
    EXPECT_EQ(fence.status().error, 0);
    EXPECT_NE(sys::poll_now(fence.fd(), POLLIN).value_or(0) & POLLIN, 0);
    const auto late = Fence::import(minted.fd.get(), DmaBufAccess::Write);
    ASSERT_TRUE(late);
    EXPECT_EQ(late->status.state, FenceState::Signaled);
    EXPECT_FALSE(late->pending);
}

TEST_P(EveryProvider, second_end_changes_nothing) {
    MintedFence minted = mint();
    const Fence fence = waiter(minted.fd.get());
    std::move(minted.promise).end(0);
    std::move(minted.promise).end(-EIO);
    EXPECT_EQ(fence.status().state, FenceState::Signaled);
}

TEST_P(EveryProvider, errors_are_told_where_the_traits_say_so) {
    for (const int error : {-EIO, -ECANCELED, -ETIME, -ENODEV, -EPERM, -511}) {
        MintedFence minted = mint();
        const Fence fence = waiter(minted.fd.get());
        std::move(minted.promise).end(error);
        const FenceStatus status = fence.status();
        EXPECT_TRUE(status.ended());
        if (provider_->traits().errors) {
            EXPECT_EQ(status.state, FenceState::Failed);
            EXPECT_EQ(status.error, error);
            EXPECT_EQ(Fence::import(minted.fd.get(), DmaBufAccess::Read)->status.error, error);
        }
    }
}

TEST_P(EveryProvider, dropped_promise_ends_the_fence_canceled) {
    UniqueFd fd;
    {
        MintedFence minted = mint();
        fd = std::move(minted.fd);
    }
    const auto seen = Fence::import(fd.get(), DmaBufAccess::Write);
    ASSERT_TRUE(seen);
    EXPECT_TRUE(seen->status.ended());
    if (provider_->traits().errors) {
        EXPECT_EQ(seen->status.error, -ECANCELED);
    }
}

TEST_P(EveryProvider, moved_promise_is_ended_by_its_new_owner) {
    MintedFence first = mint(0);
    MintedFence second = mint(1);
    const Fence first_fence = waiter(first.fd.get());
    const Fence second_fence = waiter(second.fd.get());
    FencePromise owner(std::move(first.promise));
    EXPECT_EQ(first_fence.status().state, FenceState::Pending);
    owner = std::move(second.promise);
    EXPECT_TRUE(first_fence.status().ended()) << "what was overwritten must end";
    EXPECT_EQ(second_fence.status().state, FenceState::Pending);
    std::move(owner).end(0);
    EXPECT_EQ(second_fence.status().state, FenceState::Signaled);
}

TEST_P(EveryProvider, wait_of_a_pending_fence_times_out) {
    MintedFence minted = mint();
    const Fence fence = waiter(minted.fd.get());
    const SystemClock clock;
    EXPECT_EQ(fence.wait(clock.now() - 1s, clock).error().code, -ETIME);
    EXPECT_EQ(fence.wait(clock.now() + 2ms, clock).error().code, -ETIME);
    std::move(minted.promise).end(0);
    EXPECT_EQ(fence.wait(clock.now() - 1s, clock)->state, FenceState::Signaled);
    EXPECT_EQ(fence.wait(std::nullopt, clock)->state, FenceState::Signaled);
}

// Pins: 7.2
TEST_P(EveryProvider, what_was_written_before_the_end_is_seen_after_it) {
    constexpr int rounds = 50;
    const SystemClock clock;
    for (int round = 1; round <= rounds; ++round) {
        MintedFence minted = mint();
        const Fence fence = waiter(minted.fd.get());
        int plain = 0;
        std::thread maker([&plain, round, promise = std::move(minted.promise)]() mutable {
            plain = round;
            std::move(promise).end(0);
        });
        if (round % 2 == 0) {
            EXPECT_TRUE(fence.wait(std::nullopt, clock));
        } else {
            while (!fence.status().ended()) {}
        }
        EXPECT_EQ(plain, round);
        maker.join();
    }
}

TEST_P(EveryProvider, holder_that_reads_cannot_take_the_end_back) {
    MintedFence minted = mint();
    const Fence fence = waiter(minted.fd.get());
    std::move(minted.promise).end(0);
    for (int i = 0; i < 5; ++i) {
        std::array<std::byte, 8> buffer;
        static_cast<void>(sys::read(minted.fd.get(), buffer));
    }
    EXPECT_EQ(fence.status().state, FenceState::Signaled);
    EXPECT_NE(sys::poll_now(minted.fd.get(), POLLIN).value_or(0), 0);
}

// Pins: 7.5
TEST_P(EveryProvider, program_gets_the_lowest_number_close_on_exec) {
    const int lowest = sys::eventfd(0, 0)->get();
    const std::size_t before = testing::open_descriptors();
    {
        const MintedFence minted = mint();
        EXPECT_EQ(minted.fd.get(), lowest);
        EXPECT_NE(::fcntl(minted.fd.get(), F_GETFD) & FD_CLOEXEC, 0);
        // Whatever the maker keeps is not in the program's way.
        EXPECT_EQ(sys::eventfd(0, 0)->get(), lowest + 1);
    }
    // vgem keeps the object of a slot.
    const MintedFence again = mint();
    EXPECT_LE(testing::open_descriptors(), before + 2);
}

// Pins: 2.1
TEST_P(EveryProvider, mint_without_descriptors_leaves_nothing_behind) {
    { const MintedFence warm = mint(); }
    for (const unsigned slot : {0U, 7U}) {
        bool fits = false;
        const unsigned failures = testing::until_it_fits([&](unsigned limit) {
            const std::size_t before = testing::open_descriptors();
            auto minted = [&] {
                const testing::DescriptorLimit lowered(limit);
                return context_->mint(slot);
            }();
            fits = minted.has_value();
            if (!fits) {
                EXPECT_EQ(minted.error().code, -EMFILE);
                EXPECT_LE(testing::open_descriptors(), before + (slot == 7U ? 1 : 0));
            }
            return fits;
        });
        EXPECT_GT(failures, 0U);
    }
}

// Pins: 2, 2.1
TEST_P(EveryProvider, import_without_descriptors_leaves_nothing_behind) {
    const MintedFence minted = mint();
    const unsigned failures = testing::until_it_fits([&](unsigned limit) {
        const std::size_t before = testing::open_descriptors();
        const auto imported = [&] {
            const testing::DescriptorLimit lowered(limit);
            return Fence::import(minted.fd.get(), DmaBufAccess::Write);
        }();
        if (!imported) {
            EXPECT_EQ(imported.error().code, -EMFILE);
            EXPECT_EQ(testing::open_descriptors(), before);
        }
        return imported.has_value();
    });
    EXPECT_GT(failures, 0U);
}

TEST_P(EveryProvider, readylives_its_first_descriptor) {
    MintedFence minted = mint();
    const Fence fence = waiter(minted.fd.get());
    minted.fd.reset();
    EXPECT_EQ(fence.status().state, FenceState::Pending);
    std::move(minted.promise).end(0);
    EXPECT_EQ(fence.status().state, FenceState::Signaled);
}

TEST_P(EveryProvider, end_without_any_holder_is_harmless) {
    MintedFence minted = mint();
    minted.fd.reset();
    std::move(minted.promise).end(0);
    MintedFence next = mint();
    std::move(next.promise).end(-EIO);
}

TEST_P(EveryProvider, fence_passes_through_a_socket) {
    MintedFence minted = mint();
    const auto sockets = sys::socketpair(0);
    ASSERT_TRUE(sockets);
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int sent = minted.fd.get();
    std::memcpy(CMSG_DATA(header), &sent, sizeof(sent));
    ASSERT_EQ(::sendmsg(sockets->first.get(), &message, 0), 1);
    minted.fd.reset();
    message.msg_controllen = control.size();
    ASSERT_EQ(::recvmsg(sockets->second.get(), &message, MSG_CMSG_CLOEXEC), 1);
    int received = -1;
    std::memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(received));
    const UniqueFd owner(received);
    const Fence fence = waiter(received);
    std::move(minted.promise).end(0);
    EXPECT_EQ(fence.status().state, FenceState::Signaled);
}

TEST_P(EveryProvider, fences_of_many_slots_end_in_any_order) {
    constexpr unsigned count = 64;
    ASSERT_TRUE(context_->begin_generation(false));
    std::vector<MintedFence> minted;
    std::vector<Fence> fences;
    for (unsigned slot = 0; slot < count; ++slot) {
        minted.push_back(mint(slot));
        fences.push_back(waiter(minted.back().fd.get()));
    }
    for (unsigned i = 0; i < count; ++i) {
        const unsigned slot = (i * 29) % count;
        EXPECT_EQ(fences[slot].status().state, FenceState::Pending);
        std::move(minted[slot].promise).end(0);
        EXPECT_EQ(fences[slot].status().state, FenceState::Signaled);
    }
}

// Pins: 4.7
TEST_P(EveryProvider, ordered_generation_never_ends_a_fence_too_early) {
    constexpr unsigned count = 8;
    ASSERT_TRUE(context_->begin_generation(true));
    std::vector<MintedFence> minted;
    std::vector<Fence> fences;
    for (unsigned slot = 0; slot < count; ++slot) {
        minted.push_back(mint(slot));
        fences.push_back(waiter(minted.back().fd.get()));
    }
    for (unsigned slot = count; slot-- > 0;) {
        std::move(minted[slot].promise).end(0);
        for (unsigned earlier = 0; earlier < slot; ++earlier) {
            EXPECT_EQ(fences[earlier].status().state, FenceState::Pending);
        }
        if (provider_->traits().timeline && slot > 0) {
            EXPECT_EQ(fences[slot].status().state, FenceState::Pending);
        }
    }
    for (const Fence& fence : fences) {
        EXPECT_EQ(fence.status().state, FenceState::Signaled);
    }
}

TEST_P(EveryProvider, ends_on_another_thread_while_minting) {
    const SystemClock clock;
    for (unsigned round = 0; round < 200; ++round) {
        MintedFence minted = mint(round % 4);
        const Fence fence = waiter(minted.fd.get());
        std::thread ender(
            [promise = std::move(minted.promise)]() mutable { std::move(promise).end(0); });
        { const MintedFence beside = mint(4 + round % 4); }
        EXPECT_TRUE(fence.wait(std::nullopt, clock));
        ender.join();
    }
}

// Pins: 5.5, 7.4
TEST_P(EveryProvider, child_that_abandons_does_not_keep_fences_pending) {
    const auto ready = sys::pipe(0);
    auto lifeline = sys::pipe(0);
    const auto sockets = sys::socketpair(0);
    ASSERT_TRUE(ready && lifeline);
    MintedFence minted = mint();
    const Fence fence = waiter(minted.fd.get());
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        minted.promise.abandon();
        context_->abandon();
        provider_->abandon();
        std::array<std::byte, 1> byte{};
        static_cast<void>(sys::write(ready->write_end.get(), byte));
        lifeline->write_end.reset();
        static_cast<void>(sys::read(lifeline->read_end.get(), byte));
        ::_exit(0);
    }
    std::array<std::byte, 1> byte{};
    EXPECT_EQ(sys::read(ready->read_end.get(), byte), std::size_t{1});
    EXPECT_EQ(fence.status().state, FenceState::Pending) << "the child has ended it";
    // As the parent's death would: its last descriptors go, nothing is ended.
    minted.promise.abandon();
    context_->abandon();
    EXPECT_EQ(fence.status().ended(), ends_with_its_maker());
    lifeline->write_end.reset();
    ::waitpid(child, nullptr, 0);
}

// Pins: 5.5
TEST_P(EveryProvider, death_of_the_maker_ends_its_fences) {
    const auto sockets = sys::socketpair(0);
    ASSERT_TRUE(sockets);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        auto context = provider_->open_context();
        auto minted = (*context)->mint(0);
        // The parent takes the descriptor out of this process by its number.
        const int number = minted ? minted->fd.get() : -1;
        static_cast<void>(sys::write(sockets->second.get(), std::as_bytes(std::span(&number, 1))));
        while (true) {
            ::pause();
        }
    }
    int number = -1;
    EXPECT_EQ(sys::read(sockets->first.get(), std::as_writable_bytes(std::span(&number, 1))),
              sizeof(number));
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    const UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
    ASSERT_TRUE(fd);
    const Fence fence = waiter(fd.get());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const SystemClock clock;
    if (!ends_with_its_maker()) {
        EXPECT_FALSE(fence.status().ended());
        return;
    }
    const auto status = fence.wait(clock.now() + 5s, clock);
    ASSERT_TRUE(status) << "still pending after its maker's death";
    if (provider_->traits().errors) {
        EXPECT_EQ(status->state, FenceState::Failed);
        EXPECT_EQ(status->error, -EOWNERDEAD);
    }
}

TEST(ProbeProvider, unknown_name_is_invalid) {
    EXPECT_EQ(probe_provider("nvidia").error().code, -EINVAL);
    EXPECT_EQ(probe_provider("").error().code, -EINVAL);
}

TEST(ProbeProvider, auto_is_the_user_provider) {
    const auto probed = probe_provider("auto");
    ASSERT_TRUE(probed && probed->provider);
    EXPECT_EQ(probed->provider->traits().name, "user");
}

TEST(ProbeProvider, without_descriptors_nothing_is_said_of_the_machine) {
    for (const std::string& name : providers_here()) {
        const testing::DescriptorLimit none(1);
        const auto probed = probe_provider(name);
        EXPECT_EQ(probed ? 0 : probed.error().code, -EMFILE) << name;
    }
}

TEST(ProbeProvider, what_is_missing_has_a_reason) {
    for (const std::string_view name : provider_names) {
        const std::size_t before = testing::open_descriptors();
        {
            const auto probed = probe_provider(name);
            ASSERT_TRUE(probed);
            EXPECT_EQ(probed->provider == nullptr, !probed->reason.empty()) << name;
            if (probed->provider) {
                EXPECT_EQ(probed->provider->traits().name, name);
            }
        }
        EXPECT_EQ(testing::open_descriptors(), before) << name;
    }
}

}  // namespace
}  // namespace v4lfence
