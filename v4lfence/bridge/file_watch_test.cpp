// SPDX-License-Identifier: MIT
//
// What the eye on the kernel's descriptor makes of an error that epoll reports.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/file.hpp"
#include "v4lfence/bridge/testing/new_context.hpp"
#include "v4lfence/bridge/testing/pipe_node.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;

/// What the kernel might say, if a stop came at the wrong moment.
class LyingKernel {
public:
    LyingKernel() {
        poll_hides_errors_ = false;
        polls_ = adds_ = deaf_adds_ = 0;
        poll_ = std::exchange(libc.poll, poll);
        epoll_ctl_ = std::exchange(libc.epoll_ctl, epoll_ctl);
    }
    LyingKernel(const LyingKernel&) = delete;
    LyingKernel& operator=(const LyingKernel&) = delete;
    ~LyingKernel() {
        libc.poll = poll_;
        libc.epoll_ctl = epoll_ctl_;
    }

    /// From now on no descriptor has an error, as far as poll() tells.
    static void hide_errors() { poll_hides_errors_ = true; }
    static bool has_hidden_errors() { return polls_.load() > 0; }

    /// So many of the next registrations of `fd` are in no wait queue.
    static void make_deaf(int fd, int count) {
        fd_ = fd;
        deaf_adds_ = count;
    }
    static int adds() { return adds_.load(); }

private:
    static int poll(pollfd* entries, nfds_t count, int timeout_ms) {
        const int ready = poll_(entries, count, timeout_ms);
        if (poll_hides_errors_.load() && timeout_ms == 0) {
            for (nfds_t at = 0; at < count; ++at) {
                entries[at].revents &= ~(POLLERR | POLLHUP);
            }
            polls_.fetch_add(1);
        }
        return ready;
    }

    static int epoll_ctl(int epfd, int operation, int fd, epoll_event* event) {
        if (operation != EPOLL_CTL_ADD || fd != fd_.load()) {
            return epoll_ctl_(epfd, operation, fd, event);
        }
        adds_.fetch_add(1);
        epoll_event nothing = *event;
        nothing.events = EPOLLET;
        return epoll_ctl_(epfd, operation, fd, deaf_adds_.fetch_sub(1) > 0 ? &nothing : event);
    }

    static inline std::atomic<bool> poll_hides_errors_{false};
    static inline std::atomic<int> polls_{0};
    static inline std::atomic<int> fd_{-1};
    static inline std::atomic<int> adds_{0};
    static inline std::atomic<int> deaf_adds_{0};
    static inline decltype(LibcCalls::poll) poll_ = nullptr;
    static inline decltype(LibcCalls::epoll_ctl) epoll_ctl_ = nullptr;
};

class FileWatchTest : public ::testing::Test {
protected:
    void SetUp() override {
        fd_ = UniqueFd(node_.open());
        file_ = std::make_unique<BridgeFile>(context_, fd_.get(), dev_t{1});
    }
    void start() {
        std::uint32_t type = capture;
        ASSERT_EQ(queue(0, V4L2_BUF_FLAG_OUT_FENCE), 0);
        ASSERT_EQ(ioctl(VIDIOC_STREAMON, &type), 0);
    }
    void TearDown() override { file_->close(); }

    int ioctl(std::uint32_t request, void* argument) {
        const auto answer = file_->ioctl(fd_.get(), request, argument, Look());
        return answer ? static_cast<int>(answer->value) : answer.error().code;
    }
    int queue(unsigned index, std::uint32_t flags) {
        v4l2_buffer buffer{};
        buffer.type = capture;
        buffer.memory = V4L2_MEMORY_MMAP;
        buffer.index = index;
        buffer.flags = flags;
        const int error = ioctl(VIDIOC_QBUF, &buffer);
        if (error == 0 && (flags & V4L2_BUF_FLAG_OUT_FENCE) != 0) {
            fences_.emplace_back(v4l2_buffer_fence_fd(&buffer));
        }
        return error;
    }
    bool ended(std::size_t fence) const {
        return (*sys::poll_now(fences_[fence].get(), POLLIN) & (POLLIN | POLLHUP)) != 0;
    }
    int failure() const { return file_->owned_queue(capture)->view().failure; }
    template <typename Condition>
    static bool eventually(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (!condition() && std::chrono::steady_clock::now() < end) {
            std::this_thread::yield();
        }
        return condition();
    }

    const LyingKernel kernel_;
    testing::PipeNode node_;
    Context& context_ = testing::new_context();
    UniqueFd fd_;
    std::unique_ptr<BridgeFile> file_;
    std::vector<UniqueFd> fences_;
};

// Pins: 6.9
TEST_F(FileWatchTest, error_that_stays_fails_the_queue) {
    start();
    node_.hang_up();
    EXPECT_TRUE(eventually([this] { return failure() == -EIO; }));
    EXPECT_EQ(queue(1, V4L2_BUF_FLAG_OUT_FENCE), -EIO);
}

// Pins: 6.9
TEST_F(FileWatchTest, error_that_is_gone_when_it_is_looked_at_was_none) {
    start();
    LyingKernel::hide_errors();
    node_.hang_up();
    EXPECT_TRUE(eventually(LyingKernel::has_hidden_errors));
    EXPECT_EQ(queue(1, V4L2_BUF_FLAG_OUT_FENCE), 0);
    EXPECT_EQ(failure(), 0);
}

// Pins: 6.9
TEST_F(FileWatchTest, error_of_a_queue_that_owes_no_fence_is_none) {
    start();
    ASSERT_TRUE(node_.finish());
    v4l2_buffer taken{};
    taken.type = capture;
    taken.memory = V4L2_MEMORY_MMAP;
    ASSERT_EQ(ioctl(VIDIOC_DQBUF, &taken), 0);
    node_.hang_up();
    EXPECT_EQ(queue(1, 0), 0) << "its own error is the kernel's to tell";
    EXPECT_EQ(failure(), 0);
}

// Pins: 6.3
TEST_F(FileWatchTest, deaf_watch_is_found_out_and_made_anew) {
    LyingKernel::make_deaf(fd_.get(), 1);
    start();
    ASSERT_TRUE(node_.finish());
    EXPECT_TRUE(eventually([this] { return ended(0); }));
    EXPECT_TRUE(eventually([] { return LyingKernel::adds() == 2; }));
    ASSERT_EQ(queue(1, V4L2_BUF_FLAG_OUT_FENCE), 0);
    ASSERT_TRUE(node_.finish());
    EXPECT_TRUE(eventually([this] { return ended(1); }));
    EXPECT_EQ(LyingKernel::adds(), 2) << "the second one hears";
}

}  // namespace
}  // namespace v4lfence
