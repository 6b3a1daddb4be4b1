// SPDX-License-Identifier: MIT
//
// One open() by several numbers, of which one after the other is closed. The number that a closed
// one was is put to another use at once, so that who still goes by it is caught.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdarg>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/file.hpp"
#include "v4lfence/bridge/testing/new_context.hpp"
#include "v4lfence/bridge/testing/pipe_node.hpp"
#include "v4lfence/fence/fence.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;

class RenumberTest : public ::testing::Test {
protected:
    void SetUp() override {
        first_ = UniqueFd(node_.open());
        second_ = *sys::dup(first_.get());
        file_ = std::make_unique<BridgeFile>(context_, first_.get(), dev_t{1});
    }
    void TearDown() override {
        if (file_) {
            file_->close();
        }
    }

    int ioctl(int fd, std::uint32_t request, void* argument) {
        const auto answer = file_->ioctl(fd, request, argument, Look());
        return answer ? static_cast<int>(answer->value) : answer.error().code;
    }
    int stream(int fd) {
        std::uint32_t type = capture;
        return ioctl(fd, VIDIOC_STREAMON, &type);
    }
    /// The out-fence; empty: it failed.
    UniqueFd queue(int fd, unsigned index, int in_fence = -1) {
        v4l2_buffer buffer{};
        buffer.type = capture;
        buffer.memory = V4L2_MEMORY_MMAP;
        buffer.index = index;
        buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
        if (in_fence >= 0) {
            buffer.flags |= V4L2_BUF_FLAG_IN_FENCE;
            v4l2_buffer_fence_fd(&buffer) = in_fence;
        }
        return ioctl(fd, VIDIOC_QBUF, &buffer) == 0 ? UniqueFd(v4l2_buffer_fence_fd(&buffer))
                                                    : UniqueFd();
    }
    int dequeue(int fd) {
        v4l2_buffer buffer{};
        buffer.type = capture;
        buffer.memory = V4L2_MEMORY_MMAP;
        const int status = ioctl(fd, VIDIOC_DQBUF, &buffer);
        return status == 0 ? static_cast<int>(buffer.index) : status;
    }
    /// The program's close() of the first number, which becomes another file's.
    void close_first() {
        file_->renumber(first_.get(), second_.get());
        node_.take_callers();
        auto other = *sys::eventfd(0, 0);
        ASSERT_GE(::dup2(other.get(), first_.get()), 0);
    }
    /// Nobody came by the closed number.
    void expect_called_by_the_second_alone() {
        EXPECT_EQ(node_.take_callers(), std::set<int>{second_.get()});
    }
    static FenceState wait(const UniqueFd& fence) {
        const auto imported = Fence::import(fence.get(), DmaBufAccess::Write);
        if (!imported || !imported->pending) {
            return imported ? imported->status.state : FenceState::Pending;
        }
        const SystemClock clock;
        const auto ended = imported->pending->wait(clock.now() + 20s, clock);
        return ended ? ended->state : FenceState::Pending;
    }

    testing::PipeNode node_;
    Context& context_ = testing::new_context();
    UniqueFd first_;
    UniqueFd second_;
    std::unique_ptr<BridgeFile> file_;
};

// Pins: 6.3
TEST_F(RenumberTest, completions_are_seen_by_the_number_that_is_left) {
    const UniqueFd fence = queue(first_.get(), 0);
    ASSERT_TRUE(fence);
    ASSERT_EQ(stream(first_.get()), 0);
    close_first();
    ASSERT_TRUE(node_.finish());
    EXPECT_EQ(wait(fence), FenceState::Signaled);
    EXPECT_EQ(dequeue(second_.get()), 0);
    expect_called_by_the_second_alone();
}

TEST_F(RenumberTest, held_buffer_is_given_by_the_number_that_is_left) {
    auto in_fence = *sys::pipe(0);
    ASSERT_EQ(stream(first_.get()), 0);
    const UniqueFd fence = queue(first_.get(), 1, in_fence.read_end.get());
    ASSERT_TRUE(fence);
    EXPECT_EQ(node_.given(), 0U);
    close_first();
    const std::byte end{};
    ASSERT_TRUE(sys::write(in_fence.write_end.get(), std::span(&end, 1)));
    while (node_.given() == 0) {
        std::this_thread::yield();
    }
    ASSERT_TRUE(node_.finish());
    EXPECT_EQ(wait(fence), FenceState::Signaled);
    expect_called_by_the_second_alone();
}

TEST_F(RenumberTest, stream_that_begins_afterwards_is_watched) {
    const UniqueFd fence = queue(first_.get(), 0);
    ASSERT_TRUE(fence);
    close_first();
    ASSERT_EQ(stream(second_.get()), 0);
    ASSERT_TRUE(node_.finish());
    EXPECT_EQ(wait(fence), FenceState::Signaled);
    expect_called_by_the_second_alone();
}

TEST_F(RenumberTest, other_numbers_that_go_change_nothing) {
    const UniqueFd third = *sys::dup(first_.get());
    const UniqueFd fence = queue(third.get(), 0);
    ASSERT_EQ(stream(second_.get()), 0);
    file_->renumber(third.get(), second_.get());
    EXPECT_EQ(file_->fd(), first_.get());
    ASSERT_TRUE(node_.finish());
    EXPECT_EQ(wait(fence), FenceState::Signaled);
}

TEST_F(RenumberTest, unfenced_file_goes_on) {
    ASSERT_EQ(stream(first_.get()), 0);
    close_first();
    EXPECT_FALSE(file_->fenced());
    EXPECT_EQ(file_->fd(), second_.get());
    const UniqueFd fence = queue(second_.get(), 2);
    ASSERT_TRUE(node_.finish()) << "given, as the stream is on";
    EXPECT_EQ(wait(fence), FenceState::Signaled);
    expect_called_by_the_second_alone();
}

// Pins: 7.1
TEST_F(RenumberTest, who_waits_polls_the_number_it_came_by) {
    const UniqueFd fence = queue(first_.get(), 0);
    ASSERT_EQ(stream(first_.get()), 0);
    const Awaited awaited{Awaited::What::Buffer, capture};
    const auto plan = file_->begin_wait(second_.get(), awaited);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->kernel_fd, second_.get());
    EXPECT_TRUE(file_->end_wait(awaited, *plan));
}

TEST_F(RenumberTest, numbers_come_and_go_under_load) {
    ASSERT_EQ(stream(second_.get()), 0);
    std::atomic<unsigned> frames{0};
    std::thread program([&] {
        for (; frames.load() < 200; frames.fetch_add(1)) {
            const UniqueFd fence = queue(second_.get(), 0);
            ASSERT_TRUE(fence);
            ASSERT_TRUE(node_.finish());
            ASSERT_EQ(wait(fence), FenceState::Signaled);
            ASSERT_EQ(dequeue(second_.get()), 0);
        }
    });
    while (frames.load() < 200) {
        const UniqueFd copy = *sys::dup(second_.get());
        file_->renumber(file_->fd(), copy.get());
        file_->renumber(copy.get(), second_.get());
    }
    program.join();
    EXPECT_EQ(file_->fd(), second_.get());
}

decltype(LibcCalls::ioctl) counted_ioctl = nullptr;
unsigned ioctls = 0;

int count_ioctl(int fd, unsigned long request, ...) {
    std::va_list arguments;
    va_start(arguments, request);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    ++ioctls;
    return counted_ioctl(fd, request, argument);
}

// Pins: 5.4
TEST_F(RenumberTest, close_of_a_number_that_is_another_file_stops_nothing_there) {
    const UniqueFd fence = queue(first_.get(), 0);
    ASSERT_TRUE(fence);
    ASSERT_EQ(stream(first_.get()), 0);
    const UniqueFd other = *sys::eventfd(0, 0);
    ASSERT_GE(::dup2(other.get(), first_.get()), 0);
    counted_ioctl = std::exchange(libc.ioctl, count_ioctl);
    ioctls = 0;
    file_->close();
    file_.reset();
    libc.ioctl = counted_ioctl;
    EXPECT_EQ(ioctls, 0U);
    const auto ended = Fence::import(fence.get(), DmaBufAccess::Write);
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->status.state, FenceState::Failed);
    EXPECT_EQ(node_.given(), 1U) << "the kernel's file is not ours any more";
}

// Pins: 6.4
TEST_F(RenumberTest, epoll_registration_by_a_closed_number_is_the_programs_again) {
    const UniqueFd epoll = *sys::epoll_create();
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 1;
    auto in_fence = *sys::pipe(0);
    ASSERT_EQ(stream(first_.get()), 0);
    const UniqueFd fence = queue(first_.get(), 0, in_fence.read_end.get());
    ASSERT_TRUE(file_->epoll_ctl(first_.get(), epoll.get(), EPOLL_CTL_ADD, &event));
    event.data.u64 = 2;
    ASSERT_TRUE(file_->epoll_ctl(second_.get(), epoll.get(), EPOLL_CTL_ADD, &event));
    file_->renumber(first_.get(), second_.get());
    // The pipe is readable where the kernel's node would say POLLERR.
    const std::byte frame{};
    const UniqueFd writer =
        *sys::open(("/proc/self/fd/" + std::to_string(first_.get())).c_str(), O_WRONLY);
    ASSERT_TRUE(sys::write(writer.get(), std::span(&frame, 1)));
    std::array<epoll_event, 4> told{};
    const auto count = sys::epoll_wait(epoll.get(), told, 0);
    ASSERT_TRUE(count);
    ASSERT_EQ(*count, 1U) << "the second one is muted, the first nobody's to mute";
    const std::uint64_t cookie = told[0].data.u64;
    EXPECT_EQ(cookie, 1U);
    std::byte taken{};
    ASSERT_TRUE(sys::read(second_.get(), std::span(&taken, 1)));
}

// Pins: 1.3
TEST_F(RenumberTest, rfc_caps_of_the_defaults_show_without_fences) {
    v4l2_capability caps{};
    ASSERT_EQ(ioctl(second_.get(), VIDIOC_QUERYCAP, &caps), 0);
    EXPECT_EQ(caps.device_caps & 0x20000000, 0U);
    EXPECT_TRUE(file_->passes(VIDIOC_QUERYCAP, &caps));
    BridgeFile rfc(context_, second_.get(), dev_t{1}, FileDefaults{"user", true});
    EXPECT_FALSE(rfc.passes(VIDIOC_QUERYCAP, &caps));
    ASSERT_TRUE(rfc.ioctl(second_.get(), VIDIOC_QUERYCAP, &caps, Look()));
    EXPECT_EQ(caps.device_caps & 0x20000000, 0x20000000U);
    EXPECT_FALSE(rfc.fenced());
    rfc.close();
}

TEST_F(RenumberTest, default_provider_is_asked_when_a_fence_is) {
    BridgeFile file(context_, second_.get(), dev_t{2}, FileDefaults{"magic", false});
    v4l2_buffer buffer{};
    buffer.type = capture;
    buffer.memory = V4L2_MEMORY_MMAP;
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    const auto queued = file.ioctl(second_.get(), VIDIOC_QBUF, &buffer, Look());
    ASSERT_FALSE(queued);
    EXPECT_EQ(queued.error().code, -EINVAL);
    file.close();
}

}  // namespace
}  // namespace v4lfence
