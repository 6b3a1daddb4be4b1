// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/board_view.hpp"
#include "v4lfence/sync/queue_trace.hpp"
#include "v4lfence/sync/testing/rig.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;
using testing::BoardView;
using testing::Rig;

constexpr std::int64_t ms = 1'000'000;
constexpr QueueOwner camera{"camera", 1, 81, 5};

/// A queue on a board, and the clock's beginning as time 0.
class Watched {
public:
    explicit Watched(SyncOptions options = {}) : rig(options), start_(to_ns(rig.clock.now())) {
        rig.sync.resize(4);
        rig.sync.show_on(*board, camera);
    }

    int qbuf(unsigned index, bool in, const testing::With& with = {}) {
        Submission submission;
        submission.index = index;
        submission.by.fd = 3;
        submission.by.in_fence_fd = in ? 17 : -1;
        submission.deadline = with.deadline;
        submission.bound = with.bound;
        submission.in_error = with.in_error;
        if (in && with.in_error == 0) {
            submission.in = Fence::adopt(*sys::dup(0), FenceKind::Stream);
            in_fd = submission.in->fd();
        }
        if (with.out) {
            auto minted = rig.context->mint(index);
            submission.by.out_fence_fd = minted->fd.get();
            submission.by.provider = "user";
            rig.fence_fds.push_back(std::move(minted->fd));
            submission.out = std::move(minted->promise);
            out_end_fd = submission.out.end_fd();
            out_id = submission.out.id();
        }
        return Rig::code(rig.sync.queue(std::move(submission)));
    }

    QueueHead head() const { return view.head<QueueHead>(0); }
    QueueCell cell(unsigned index) const { return view.cell<QueueCell>(0, index); }
    /// The records since the last time as "what index#job value@ms".
    std::vector<std::string> story() {
        std::vector<std::string> told;
        for (const TraceEvent& event : view.new_events()) {
            static constexpr const char* names[] = {
                "none",     "queued", "in ended", "given", "done", "minted", "out ended",
                "dequeued", "failed", "expired",  "on",    "off",  "broken", "no start"};
            std::string line = names[event.kind];
            if (event.job != 0) {
                line += " " + std::to_string(event.index) + "#" + std::to_string(event.job);
            }
            line += " " + std::to_string(event.value) + " @" +
                    std::to_string((event.time_ns - start_) / ms);
            told.push_back(line);
            details.push_back(event.detail);
        }
        return told;
    }
    /// A time of a cell in milliseconds; -1: never.
    std::int64_t at(std::int64_t ns) const { return ns == 0 ? -1 : (ns - start_) / ms; }

    std::unique_ptr<TraceBoard> board = std::move(*TraceBoard::create());
    BoardView view{*board};
    Rig rig;
    int in_fd = -1;
    int out_end_fd = -1;
    std::uint64_t out_id = 0;
    std::vector<std::uint64_t> details;

private:
    const std::int64_t start_;
};

using Story = std::vector<std::string>;

TEST(QueueTrace, hidden_queue_shows_nothing) {
    const auto board = std::move(*TraceBoard::create());
    Rig rig;
    EXPECT_EQ(rig.qbuf(0), 0);
    EXPECT_EQ(board->shown().written.load(), 0U);
    EXPECT_EQ(board->shown().sources[0].serial.load(), 0U);
}

TEST(QueueTrace, says_whose_queue_it_is) {
    const Watched at;
    EXPECT_EQ(at.view.name(0), "camera");
    EXPECT_EQ(at.view.source(0).kind.load(), queue_trace_kind);
    EXPECT_EQ(at.view.source(0).cells.load(), 4U);
    EXPECT_EQ(at.head().type, 1U);
    EXPECT_EQ(at.head().device_major, 81U);
    EXPECT_EQ(at.head().device_minor, 5U);
    EXPECT_EQ(at.head().minimum, 0U) << "the taker starts by itself: it is not known";
}

TEST(QueueTrace, held_buffer_shows_its_fences) {
    Watched at;
    at.rig.clock.advance(5ms);
    ASSERT_EQ(at.qbuf(2, true, {.deadline = 100ms, .bound = 200ms}), 0);
    EXPECT_EQ(at.story(),
              (Story{"queued 2#1 1 @5",
                     "minted 2#1 " + std::to_string(at.rig.fence_fds[0].get()) + " @5"}));
    EXPECT_EQ(at.details, (std::vector<std::uint64_t>{18, at.out_id}));
    const QueueCell cell = at.cell(2);
    EXPECT_EQ(cell.state, SlotState::Held);
    EXPECT_EQ(cell.position, 1U);
    EXPECT_EQ(cell.in_pending, 1);
    EXPECT_EQ(cell.in_kind, static_cast<std::uint8_t>(FenceKind::Stream));
    EXPECT_EQ(cell.in_fence_fd, at.in_fd);
    EXPECT_EQ(cell.out_pending, 1);
    EXPECT_EQ(cell.out_end_fd, at.out_end_fd);
    EXPECT_EQ(cell.out_fence_fd, at.rig.fence_fds[0].get());
    EXPECT_EQ(cell.out_id, at.out_id);
    EXPECT_EQ(at.at(cell.queued_at_ns), 5);
    EXPECT_EQ(at.at(cell.deadline_ns), 105);
    EXPECT_EQ(at.at(cell.bound_ns), 205);
    EXPECT_EQ(at.at(cell.given_at_ns), -1);
    const QueueHead head = at.head();
    EXPECT_EQ(head.held, 1U);
    EXPECT_EQ(head.given, 0U);
    EXPECT_EQ(head.fd, 3);
    EXPECT_STREQ(head.provider, "user");
    EXPECT_EQ(head.ordered, 1);
    EXPECT_EQ(head.streaming, 0);
}

TEST(QueueTrace, life_of_a_buffer_is_told_step_by_step) {
    Watched at;
    ASSERT_EQ(at.rig.stream_on(), 0);
    ASSERT_EQ(at.qbuf(0, true), 0);
    at.story();

    at.rig.clock.advance(3ms);
    at.rig.end_in_fence(0);
    EXPECT_EQ(at.story(), (Story{"in ended 0#1 0 @3", "given 0#1 0 @3"}));
    EXPECT_EQ(at.cell(0).state, SlotState::Given);
    EXPECT_EQ(at.cell(0).in_pending, 0);
    EXPECT_EQ(at.cell(0).in_fence_fd, -1);
    EXPECT_EQ(at.cell(0).out_pending, 1);
    EXPECT_EQ(at.at(at.cell(0).given_at_ns), 3);
    EXPECT_EQ(at.head().given, 1U);
    EXPECT_EQ(at.head().held, 0U);
    EXPECT_EQ(at.head().started, 1);

    at.rig.clock.advance(4ms);
    at.details.clear();
    at.rig.sync.finish(at.rig.sync.view(0).job, 0, 42);
    EXPECT_EQ(at.story(), (Story{"done 0#1 0 @7", "out ended 0#1 0 @7"}));
    EXPECT_EQ(at.details.front(), 42U);
    EXPECT_EQ(at.cell(0).state, SlotState::Done);
    EXPECT_EQ(at.cell(0).out_pending, 0);
    EXPECT_EQ(at.cell(0).out_end_fd, -1);
    EXPECT_EQ(at.cell(0).sequence, 42U);
    EXPECT_EQ(at.at(at.cell(0).done_at_ns), 7);
    EXPECT_EQ(at.head().done, 1U);
    EXPECT_EQ(at.at(at.head().last_done_at_ns), 7);

    at.rig.clock.advance(1ms);
    at.rig.sync.dequeue(0);
    EXPECT_EQ(at.story(), (Story{"dequeued 0#1 0 @8"}));
    EXPECT_EQ(at.cell(0).state, SlotState::Dequeued);
    EXPECT_EQ(at.cell(0).position, 1U) << "the last job's";
    EXPECT_EQ(at.cell(0).sequence, 42U);
    EXPECT_EQ(at.head().done, 0U);
    EXPECT_EQ(at.at(at.head().last_dequeued_at_ns), 8);

    ASSERT_EQ(at.qbuf(0, false, {.out = false}), 0);
    EXPECT_EQ(at.story(), (Story{"queued 0#2 0 @8", "given 0#2 0 @8"}));
    EXPECT_EQ(at.cell(0).position, 2U);
    EXPECT_EQ(at.cell(0).sequence, 0U);
    EXPECT_EQ(at.cell(0).out_id, 0U);
}

TEST(QueueTrace, quick_device_is_given_a_buffer_before_it_is_done) {
    Watched at;
    at.rig.taker.on_give = [&](unsigned index) {
        EXPECT_EQ(at.cell(index).state, SlotState::Giving);
        at.rig.finish(index);
        return Taker::Answer{};
    };
    ASSERT_EQ(at.qbuf(1, false), 0);
    const Story story = at.story();
    ASSERT_EQ(story.size(), 5U);
    EXPECT_EQ(story[2], "given 1#1 0 @0");
    EXPECT_EQ(story[3], "done 1#1 0 @0");
    EXPECT_EQ(story[4], "out ended 1#1 0 @0");
}

TEST(QueueTrace, failed_in_fence_fails_its_buffer) {
    Watched at;
    ASSERT_EQ(at.rig.stream_on(), 0);
    ASSERT_EQ(at.qbuf(0, true), 0);
    at.story();
    at.rig.end_in_fence(0, -EIO);
    EXPECT_EQ(at.story(), (Story{"in ended 0#1 -5 @0", "failed 0#1 -5 @0", "out ended 0#1 -5 @0"}));
    EXPECT_EQ(at.cell(0).state, SlotState::Failed);
    EXPECT_EQ(at.cell(0).error, -EIO);
    EXPECT_EQ(at.head().failed, 1U);
    at.rig.sync.dequeue(0);
    EXPECT_EQ(at.head().failed, 0U);
}

TEST(QueueTrace, deadline_is_told_before_what_follows_from_it) {
    Watched at;
    ASSERT_EQ(at.qbuf(0, true, {.deadline = 10ms}), 0);
    at.story();
    at.rig.pass(10ms);
    EXPECT_EQ(at.story(),
              (Story{"expired 0#1 0 @10", "failed 0#1 -62 @10", "out ended 0#1 -62 @10"}));
    EXPECT_EQ(at.cell(0).expired, 1U);
    EXPECT_EQ(at.at(at.cell(0).expired_at_ns), 10);
    EXPECT_EQ(at.head().degraded, 0);
}

TEST(QueueTrace, bound_ends_the_fence_of_a_buffer_that_the_device_has) {
    Watched at;
    ASSERT_EQ(at.qbuf(0, false, {.bound = 10ms}), 0);
    at.story();
    at.rig.pass(10ms);
    EXPECT_EQ(at.story(), (Story{"expired 0#1 1 @10", "out ended 0#1 -62 @10"}));
    EXPECT_EQ(at.cell(0).state, SlotState::Given);
    EXPECT_EQ(at.cell(0).expired, 2U);
    EXPECT_EQ(at.cell(0).out_pending, 0);
    EXPECT_EQ(at.head().degraded, 1);
    at.rig.finish(0);
    EXPECT_EQ(at.story(), (Story{"done 0#1 -62 @10"}));
}

TEST(QueueTrace, stream_is_told_as_it_begins_and_ends) {
    Watched at;
    ASSERT_EQ(at.qbuf(0, true), 0);
    ASSERT_EQ(at.qbuf(1, false), 0);
    at.story();
    at.rig.clock.advance(2ms);
    ASSERT_EQ(at.rig.stream_on(), 0);
    ASSERT_EQ(at.rig.stream_on(), 0);
    EXPECT_EQ(at.story(), (Story{"on 0 @2"}));
    EXPECT_EQ(at.head().streaming, 1);
    EXPECT_EQ(at.at(at.head().stream_on_at_ns), 2);
    at.rig.stop();
    EXPECT_EQ(at.story(), (Story{"out ended 0#1 -125 @2", "out ended 1#2 -125 @2", "off -125 @2"}));
    EXPECT_EQ(at.cell(0).state, SlotState::Dequeued);
    EXPECT_EQ(at.cell(0).in_pending, 0);
    EXPECT_EQ(at.cell(0).in_fence_fd, -1);
    EXPECT_EQ(at.cell(1).state, SlotState::Dequeued);
    EXPECT_EQ(at.head().streaming, 0);
    EXPECT_EQ(at.head().held, 0U);
    EXPECT_EQ(at.head().generation, 2U);
    at.rig.stop();
    EXPECT_EQ(at.story(), Story{}) << "there was nothing to end";
}

TEST(QueueTrace, failed_queue_is_told) {
    Watched at;
    ASSERT_EQ(at.qbuf(0, true), 0);
    at.story();
    at.rig.sync.fail_queue(-ENODEV);
    EXPECT_EQ(at.story(), (Story{"broken -19 @0", "out ended 0#1 -19 @0"}));
    EXPECT_EQ(at.head().failure, -ENODEV);
    EXPECT_EQ(at.cell(0).in_fence_fd, -1);
    at.rig.stop();
    EXPECT_EQ(at.head().failure, 0);
}

TEST(QueueTrace, start_that_fails_leaves_buffers_held) {
    Watched at({.taker_starts = false, .minimum = 1});
    EXPECT_EQ(at.head().minimum, 1U);
    ASSERT_EQ(at.qbuf(0, false), 0);
    EXPECT_EQ(at.cell(0).state, SlotState::Held);
    at.story();
    at.rig.taker.on_start = [&](unsigned) {
        EXPECT_EQ(at.cell(0).state, SlotState::Given);
        EXPECT_EQ(at.head().started, 0);
        return Taker::Answer{Taker::Verdict::StartFailed, -ENOSPC};
    };
    EXPECT_EQ(at.rig.stream_on(), -ENOSPC);
    EXPECT_EQ(at.story(), (Story{"on 0 @0", "given 0#1 0 @0", "no start -28 @0"}));
    EXPECT_EQ(at.cell(0).state, SlotState::Held);
    EXPECT_EQ(at.head().streaming, 0);
    at.rig.taker.on_start = nullptr;
    EXPECT_EQ(at.rig.stream_on(), 0);
    EXPECT_EQ(at.head().started, 1);
}

TEST(QueueTrace, refused_qbuf_is_taken_back) {
    Watched at;
    at.rig.taker.on_give = [](unsigned) { return Taker::Answer{Taker::Verdict::Refused, -EINVAL}; };
    EXPECT_EQ(at.qbuf(0, false), -EINVAL);
    const Story story = at.story();
    ASSERT_EQ(story.size(), 4U);
    EXPECT_EQ(story[2], "out ended 0#1 -125 @0");
    EXPECT_EQ(story[3], "dequeued 0#1 0 @0");
    EXPECT_EQ(at.cell(0).state, SlotState::Dequeued);
    EXPECT_EQ(at.cell(0).out_pending, 0);
    EXPECT_EQ(at.head().held, 0U);
}

TEST(QueueTrace, unwatchable_fence_is_taken_back) {
    Watched at;
    at.rig.waits.watch_error = -ENOSPC;
    EXPECT_EQ(at.qbuf(0, true), -ENOSPC);
    EXPECT_EQ(at.cell(0).state, SlotState::Dequeued);
    EXPECT_EQ(at.cell(0).in_fence_fd, -1);
    EXPECT_EQ(at.head().held, 0U);
}

TEST(QueueTrace, shows_what_there_is_when_it_begins) {
    const auto board = std::move(*TraceBoard::create());
    const BoardView view(*board);
    Rig rig;
    rig.sync.resize(3);
    ASSERT_EQ(rig.stream_on(), 0);
    rig.sync.adopt_given(1);
    ASSERT_EQ(rig.qbuf(0, testing::in_fence), 0);
    rig.sync.show_on(*board, camera);
    EXPECT_EQ(view.cell<QueueCell>(0, 0).state, SlotState::Held);
    EXPECT_EQ(view.cell<QueueCell>(0, 0).out_pending, 1);
    EXPECT_EQ(view.cell<QueueCell>(0, 1).state, SlotState::Given);
    const auto head = view.head<QueueHead>(0);
    EXPECT_EQ(head.streaming, 1);
    EXPECT_EQ(head.stream_on_at_ns, 0);
    EXPECT_EQ(head.held, 1U);
    EXPECT_EQ(head.given, 1U);
}

TEST(QueueTrace, wait_in_dqbuf_is_shown_while_it_lasts) {
    Watched at;
    at.rig.clock.advance(6ms);
    at.rig.sync.show_waiting(true);
    EXPECT_EQ(at.at(at.head().waiting_since_ns), 6);
    ASSERT_EQ(at.qbuf(0, false), 0);
    EXPECT_EQ(at.at(at.head().waiting_since_ns), 6);
    at.rig.sync.show_waiting(false);
    EXPECT_EQ(at.at(at.head().waiting_since_ns), -1);
}

TEST(QueueTrace, buffers_come_and_go) {
    Watched at;
    ASSERT_EQ(at.qbuf(2, false), 0);
    at.rig.stop();
    at.rig.sync.resize(0);
    EXPECT_EQ(at.view.source(0).cells.load(), 0U);
    at.rig.sync.resize(3);
    EXPECT_EQ(at.view.source(0).cells.load(), 3U);
    EXPECT_EQ(at.cell(2).position, 0U) << "another buffer than before";
}

TEST(QueueTrace, buffers_beyond_the_last_cell_are_in_the_records) {
    Watched at;
    at.rig.sync.resize(trace_cells_max + 2);
    Submission submission;
    submission.index = trace_cells_max + 1;
    ASSERT_TRUE(at.rig.sync.queue(std::move(submission)));
    EXPECT_EQ(at.story(), (Story{"queued 65#1 0 @0", "given 65#1 0 @0"}));
    EXPECT_EQ(at.head().given, 1U);
    at.rig.stop();
}

TEST(QueueTrace, hide_gives_the_place_back) {
    Watched at;
    at.rig.sync.hide();
    EXPECT_EQ(at.view.source(0).serial.load(), 0U);
    ASSERT_EQ(at.qbuf(0, false), 0);
    EXPECT_EQ(at.story(), Story{});
    at.rig.sync.show_on(*at.board, camera);
    EXPECT_EQ(at.cell(0).state, SlotState::Given);
}

// Pins: 7.4
TEST(QueueTrace, abandoned_queue_leaves_the_board_as_it_is) {
    Watched at;
    ASSERT_EQ(at.qbuf(0, true), 0);
    at.story();
    at.rig.sync.lock_for_fork();
    at.rig.sync.abandon();
    at.rig.sync.unlock_after_fork();
    at.rig.stop(-EIO);
    EXPECT_EQ(at.story(), Story{});
    EXPECT_EQ(at.cell(0).state, SlotState::Held);
    EXPECT_NE(at.view.source(0).serial.load(), 0U);
}

TEST(QueueTrace, reader_on_another_thread_sees_whole_states) {
    Watched at;
    ASSERT_EQ(at.rig.stream_on(), 0);
    std::atomic<bool> over{false};
    std::thread reader([&] {
        while (!over.load()) {
            const auto words = try_read(at.view.source(0).cell[0]);
            if (!words) {
                continue;
            }
            const auto cell = from_words<QueueCell>(*words);
            EXPECT_EQ(cell.out_pending != 0, cell.out_end_fd >= 0);
            if (cell.state == SlotState::Done) {
                EXPECT_EQ(cell.sequence, cell.position);
            }
        }
    });
    for (unsigned frame = 1; frame <= 2000; ++frame) {
        ASSERT_EQ(at.qbuf(0, true), 0);
        at.rig.end_in_fence(0);
        at.rig.sync.finish(at.rig.sync.view(0).job, 0, frame);
        at.rig.sync.dequeue(0);
        at.rig.fence_fds.clear();
    }
    over.store(true);
    reader.join();
}

}  // namespace
}  // namespace v4lfence
