// SPDX-License-Identifier: MIT
//
// What a fenced file shows on the board of its process.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdarg>
#include <future>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/base/testing/board_view.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/file.hpp"
#include "v4lfence/bridge/testing/new_context.hpp"
#include "v4lfence/bridge/testing/pipe_node.hpp"

namespace v4lfence {
namespace {

using testing::BoardView;

constexpr std::uint32_t capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;

class ShownFileTest : public ::testing::Test {
protected:
    void SetUp() override {
        fd_ = UniqueFd(node_.open());
        file_ = std::make_unique<BridgeFile>(context_, fd_.get(), dev_t{1});
    }
    void TearDown() override { file_->close(); }

    int ioctl(std::uint32_t request, void* argument) {
        const auto answer = file_->ioctl(fd_.get(), request, argument, Look());
        return answer ? static_cast<int>(answer->value) : answer.error().code;
    }
    int stream(bool on) {
        std::uint32_t type = capture;
        return ioctl(on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type);
    }
    static v4l2_buffer buffer(unsigned index, std::uint32_t flags = 0) {
        v4l2_buffer made{};
        made.type = capture;
        made.memory = V4L2_MEMORY_MMAP;
        made.index = index;
        made.flags = flags;
        return made;
    }
    int queue(v4l2_buffer& buffer) { return ioctl(VIDIOC_QBUF, &buffer); }
    int dequeue() {
        v4l2_buffer taken = buffer(0);
        return ioctl(VIDIOC_DQBUF, &taken);
    }
    TraceBoard* board() { return context_.core().board(); }
    static std::vector<QueueEvent> kinds(BoardView& view) {
        std::vector<QueueEvent> kinds;
        for (const TraceEvent& event : view.new_events()) {
            kinds.push_back(static_cast<QueueEvent>(event.kind));
        }
        return kinds;
    }

    testing::PipeNode node_;
    Context& context_ = testing::new_context();
    UniqueFd fd_;
    std::unique_ptr<BridgeFile> file_;
};

// Pins: 6.1
TEST_F(ShownFileTest, unfenced_file_has_no_board) {
    v4l2_buffer queued = buffer(0);
    ASSERT_EQ(queue(queued), 0);
    ASSERT_EQ(stream(true), 0);
    EXPECT_EQ(context_.existing_core(), nullptr);
}

// Pins: 6.1
TEST_F(ShownFileTest, query_and_buffers_without_fences_make_no_board) {
    v4l2_query_fences query{};
    query.size = sizeof query;
    query.type = capture;
    EXPECT_EQ(ioctl(VIDIOC_QUERY_FENCES, &query), 0);
    v4l2_buffer queued = buffer(0);
    ASSERT_EQ(queue(queued), 0);
    EXPECT_EQ(board(), nullptr);
}

TEST_F(ShownFileTest, board_says_what_happens_to_a_frame) {
    ASSERT_EQ(stream(true), 0);
    v4l2_buffer queued = buffer(1, V4L2_BUF_FLAG_OUT_FENCE);
    ASSERT_EQ(queue(queued), 0);
    const UniqueFd out(v4l2_buffer_fence_fd(&queued));
    ASSERT_NE(board(), nullptr);
    BoardView view(*board());
    const auto name = view.name(0);
    EXPECT_TRUE(name.starts_with("pipe:[")) << name;
    EXPECT_TRUE(name.ends_with(" capture")) << name;
    const auto head = view.head<QueueHead>(0);
    EXPECT_EQ(head.type, capture);
    EXPECT_EQ(head.fd, fd_.get());
    EXPECT_EQ(head.client_pid, 0);
    EXPECT_STREQ(head.provider, "user");
    EXPECT_EQ(head.streaming, 1);
    EXPECT_EQ(head.started, 1);
    EXPECT_EQ(head.given, 1U);
    const auto cell = view.cell<QueueCell>(0, 1);
    EXPECT_EQ(cell.state, SlotState::Given);
    EXPECT_EQ(cell.out_fence_fd, out.get());
    EXPECT_GE(cell.out_end_fd, 512);
    EXPECT_EQ(kinds(view),
              (std::vector{QueueEvent::Queued, QueueEvent::OutFenceMinted, QueueEvent::Given}));
    ASSERT_TRUE(node_.finish());
    ASSERT_EQ(dequeue(), 0);
    EXPECT_EQ(kinds(view),
              (std::vector{QueueEvent::Done, QueueEvent::OutFenceEnded, QueueEvent::Dequeued}));
    EXPECT_EQ(view.cell<QueueCell>(0, 1).state, SlotState::Dequeued);
}

TEST_F(ShownFileTest, queue_that_found_no_room_is_shown_when_there_is_some) {
    const auto other_user = context_.core().use_loop();
    ASSERT_TRUE(other_user);
    std::vector<TraceBoard::Source> others;
    while (!board()->is_full()) {
        others.push_back(board()->add_source(1, "another"));
    }
    BoardView view(*board());
    std::vector<UniqueFd> fences;
    const auto queue_out = [&](unsigned index) {
        v4l2_buffer queued = buffer(index, V4L2_BUF_FLAG_OUT_FENCE);
        ASSERT_EQ(queue(queued), 0);
        fences.emplace_back(v4l2_buffer_fence_fd(&queued));
    };
    queue_out(0);
    queue_out(1);
    EXPECT_EQ(board()->shown().sources_refused.load(), 1U) << "it is not asked for in vain";
    EXPECT_EQ(kinds(view), std::vector<QueueEvent>());
    others.erase(others.begin());
    queue_out(2);
    EXPECT_TRUE(view.name(0).ends_with(" capture")) << view.name(0);
    EXPECT_EQ(view.head<QueueHead>(0).given, 3U) << "with those that were queued before";
    EXPECT_EQ(view.cell<QueueCell>(0, 1).state, SlotState::Given);
}

TEST_F(ShownFileTest, child_of_a_fork_keeps_the_choice_of_no_board) {
    ASSERT_TRUE(context_.use_board(false));
    context_.core();
    context_.before_fork();
    context_.after_fork_in_child();  // This process plays the child.
    const auto use = context_.core().use_loop();
    ASSERT_TRUE(use);
    EXPECT_EQ(board(), nullptr);
    EXPECT_EQ(context_.use_board(true).error().code, -EBUSY);
}

TEST_F(ShownFileTest, in_fence_is_shown_by_our_own_descriptor) {
    const auto pipe = std::move(*sys::pipe(0));
    v4l2_buffer queued = buffer(0, V4L2_BUF_FLAG_IN_FENCE);
    v4l2_buffer_fence_fd(&queued) = pipe.read_end.get();
    ASSERT_EQ(queue(queued), 0);
    BoardView view(*board());
    const auto cell = view.cell<QueueCell>(0, 0);
    EXPECT_EQ(cell.state, SlotState::Held);
    EXPECT_EQ(cell.in_pending, 1);
    EXPECT_NE(cell.in_fence_fd, pipe.read_end.get());
    EXPECT_EQ(sys::describe_fd(cell.in_fence_fd).value_or(""),
              sys::describe_fd(pipe.read_end.get()).value_or("?"));
    EXPECT_EQ(view.new_events().front().detail, 1U + static_cast<unsigned>(pipe.read_end.get()));
}

TEST_F(ShownFileTest, waiter_is_shown_while_it_waits) {
    ASSERT_EQ(stream(true), 0);
    v4l2_buffer queued = buffer(0, V4L2_BUF_FLAG_OUT_FENCE);
    ASSERT_EQ(queue(queued), 0);
    const UniqueFd out(v4l2_buffer_fence_fd(&queued));
    const BoardView view(*board());
    const Awaited awaited{.what = Awaited::What::Buffer, .type = capture};
    const auto plan = file_->begin_wait(fd_.get(), awaited);
    ASSERT_TRUE(plan);
    EXPECT_GT(view.head<QueueHead>(0).waiting_since_ns, 0);
    EXPECT_TRUE(file_->end_wait(awaited, *plan));
    EXPECT_EQ(view.head<QueueHead>(0).waiting_since_ns, 0);
}

// Pins: 2.1
TEST_F(ShownFileTest, first_fence_that_fails_leaves_no_board) {
    ASSERT_TRUE(context_.core().provider("user"));  // It is tried out with descriptors of its own.
    const std::size_t before = testing::open_descriptors();
    const unsigned failures = testing::until_it_fits([&](unsigned limit) {
        v4l2_buffer queued = buffer(0, V4L2_BUF_FLAG_OUT_FENCE);
        int status = 0;
        {
            const testing::DescriptorLimit lowered(limit);
            status = queue(queued);
        }
        if (status == 0) {
            const UniqueFd out(v4l2_buffer_fence_fd(&queued));
            return true;
        }
        EXPECT_EQ(status, -EMFILE);
        EXPECT_EQ(board(), nullptr) << limit;
        EXPECT_EQ(testing::open_descriptors(), before) << limit;
        return false;
    });
    EXPECT_GE(failures, 4U);
    EXPECT_NE(board(), nullptr);
}

TEST_F(ShownFileTest, board_goes_with_the_last_fenced_file) {
    const std::size_t before = testing::open_descriptors();
    v4l2_buffer queued = buffer(0, V4L2_BUF_FLAG_OUT_FENCE);
    ASSERT_EQ(queue(queued), 0);
    UniqueFd out(v4l2_buffer_fence_fd(&queued));
    EXPECT_NE(board(), nullptr);
    file_->close();
    out.reset();
    EXPECT_EQ(board(), nullptr);
    file_ = std::make_unique<BridgeFile>(context_, fd_.get(), dev_t{1});
    EXPECT_EQ(testing::open_descriptors(), before);
}

// Pins: 7.4
TEST_F(ShownFileTest, forked_child_leaves_the_board_alone) {
    v4l2_buffer queued = buffer(0, V4L2_BUF_FLAG_OUT_FENCE);
    ASSERT_EQ(queue(queued), 0);
    const UniqueFd out(v4l2_buffer_fence_fd(&queued));
    BoardView view(*board());
    view.new_events();
    const auto cell = view.cell<QueueCell>(0, 0);
    context_.before_fork();
    const pid_t child = ::fork();
    if (child == 0) {
        context_.after_fork_in_child();
        file_->close();
        file_.reset();
        ::_exit(0);
    }
    context_.after_fork_in_parent();
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(view.new_events().empty());
    EXPECT_EQ(to_words(view.cell<QueueCell>(0, 0)), to_words(cell));
    EXPECT_NE(view.source(0).serial.load(), 0U);
}

/// A fork that is prepared while a QBUF opens the board: it waits for the queue, the reactor's
/// thread for it, and whoever ends that thread for the thread.
class ForkAmidQbuf final : private Reactor::Listener {
public:
    ForkAmidQbuf(Reactor& reactor, BridgeFile& file) : reactor_(reactor), file_(file) {
        const std::byte something{};
        EXPECT_TRUE(sys::write(pipe_.write_end.get(), std::span(&something, 1)));
        watch_ = reactor_.watch(pipe_.read_end.get(), EPOLLIN, *this, 0).value();
        only_ = this;
        before_ = std::exchange(libc.fcntl, at_the_seal);
    }
    ForkAmidQbuf(const ForkAmidQbuf&) = delete;
    ForkAmidQbuf& operator=(const ForkAmidQbuf&) = delete;
    ~ForkAmidQbuf() {
        libc.fcntl = before_;
        if (forker_.joinable()) {
            forker_.join();
        }
        reactor_.unwatch(watch_);
    }
    bool came() const { return forker_.joinable(); }

private:
    static int at_the_seal(int fd, int command, ...) {
        std::va_list arguments;
        va_start(arguments, command);
        const long argument = va_arg(arguments, long);
        va_end(arguments);
        if (command == F_ADD_SEALS && !only_->forker_.joinable()) {
            only_->begin();
        }
        return before_(fd, command, argument);
    }
    void begin() {
        std::promise<void> prepared;
        forker_ = std::thread([&] {
            reactor_.prepare_fork();
            prepared.set_value();
            file_.lock_for_fork();
            file_.unlock_after_fork();
            reactor_.resume_after_fork();
        });
        prepared.get_future().wait();
    }
    void on_ready(std::uint64_t, std::uint32_t) override {}

    static inline ForkAmidQbuf* only_ = nullptr;
    static inline decltype(LibcCalls::fcntl) before_ = nullptr;
    Reactor& reactor_;
    BridgeFile& file_;
    sys::Pipe pipe_ = std::move(*sys::pipe(0));
    Reactor::WatchId watch_ = Reactor::WatchId::None;
    std::thread forker_;
};

TEST_F(ShownFileTest, first_fence_that_fails_waits_for_no_fork) {
    ASSERT_TRUE(context_.core().provider("user"));
    unsigned met = 0;
    testing::until_it_fits([&](unsigned limit) {
        v4l2_buffer queued = buffer(0, V4L2_BUF_FLAG_OUT_FENCE);
        const ForkAmidQbuf fork(context_.core().reactor(), *file_);
        int status = 0;
        {
            const testing::DescriptorLimit lowered(limit);
            status = queue(queued);
        }
        met += fork.came() && status == -EMFILE ? 1 : 0;
        const UniqueFd out(status == 0 ? v4l2_buffer_fence_fd(&queued) : -1);
        return status == 0;
    });
    EXPECT_GE(met, 1U) << "after the loop was there";
}

}  // namespace
}  // namespace v4lfence
