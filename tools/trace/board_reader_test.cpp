// SPDX-License-Identifier: MIT

#include "tools/trace/board_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "tools/trace/testing/board_child.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t some_kind = 7;

class Child : public BoardChild {
public:
    explicit Child(const Life& life) : BoardChild(some_kind, life) {}
};
using Shown = ShownBoard;

BoardReader only_board(pid_t pid) {
    auto boards = BoardReader::open(pid);
    EXPECT_TRUE(boards) << boards.error().message;
    EXPECT_EQ(boards->size(), 1U);
    return std::move(boards->front());
}

/// Of this process.
int board_descriptor() {
    int fd = 0;
    while (sys::describe_fd(fd).value_or("").find(trace_board_name) == std::string::npos) {
        ++fd;
    }
    return fd;
}

std::vector<std::uint64_t> jobs_of(const BoardEvents& read) {
    std::vector<std::uint64_t> jobs;
    for (const TraceEvent& event : read.events) {
        jobs.push_back(event.job);
    }
    return jobs;
}

void show_much(const Shown& shown) {
    shown.source.set_cells(2);
    shown.source.set_head(TraceWords{11, 12});
    shown.source.set_cell(1, TraceWords{21, 22, 23});
    shown.record(1);
    shown.record(2);
}

void expect_much(const BoardReader& board) {
    const auto sources = board.sources();
    ASSERT_EQ(sources.size(), 1U);
    EXPECT_EQ(sources[0].kind, some_kind);
    EXPECT_EQ(sources[0].name, "/dev/video7 capture");
    EXPECT_EQ(sources[0].head[1], 12U);
    ASSERT_EQ(sources[0].cells.size(), 2U);
    EXPECT_EQ(sources[0].cells[1][2], 23U);
    EXPECT_FALSE(sources[0].torn);
    const BoardEvents read = board.events(1);
    ASSERT_THAT(jobs_of(read), ElementsAre(1, 2));
    EXPECT_EQ(read.events[0].source, sources[0].serial);
    EXPECT_EQ(read.events[0].time_ns, 1001);
    EXPECT_EQ(read.events[0].index, 2U);
    EXPECT_EQ(read.next, 3U);
    EXPECT_EQ(read.lost, 0U);
    EXPECT_TRUE(board.events(read.next).events.empty());
}

TEST(BoardReader, running_process_is_read) {
    const Child child(show_much);
    expect_much(only_board(child.pid()));
}

TEST(BoardReader, stopped_process_is_found_and_read) {
    const Child child(show_much);
    child.stop();
    EXPECT_THAT(processes_with_boards(), testing::Contains(child.pid()));
    expect_much(only_board(child.pid()));
}

TEST(BoardReader, mapped_board_outlives_its_process) {
    Child child(show_much);
    const BoardReader board = only_board(child.pid());
    child.kill();
    expect_much(board);
}

TEST(BoardReader, stop_within_a_change_is_torn) {
    const Child child([](const Shown& shown) {
        show_much(shown);
        shown.memory().sources[0].cell[1].version.fetch_add(1);
    });
    const auto sources = only_board(child.pid()).sources();
    ASSERT_EQ(sources.size(), 1U);
    EXPECT_TRUE(sources[0].torn);
    EXPECT_EQ(sources[0].cells[1][2], 23U);
}

TEST(BoardReader, overwritten_events_are_counted) {
    const Child child([](const Shown& shown) {
        shown.record(1, 100);
        shown.record(2, trace_records_max);
    });
    const BoardEvents read = only_board(child.pid()).events(41);
    EXPECT_EQ(read.lost, 60U);
    EXPECT_EQ(read.events.size(), trace_records_max);
    EXPECT_EQ(read.events.front().job, 2U);
    EXPECT_EQ(read.next, trace_records_max + 101U);
}

TEST(BoardReader, unfinished_record_is_awaited_or_skipped) {
    const Child child([](const Shown& shown) {
        shown.record(1);
        shown.record(2);
        shown.record(3);
        shown.memory().records[1].number.store(0);
    });
    const BoardReader board = only_board(child.pid());
    const BoardEvents awaited = board.events(1, UnfinishedRecord::Await);
    EXPECT_THAT(jobs_of(awaited), ElementsAre(1));
    EXPECT_EQ(awaited.next, 2U);
    EXPECT_EQ(awaited.lost, 0U);
    const BoardEvents skipped = board.events(1, UnfinishedRecord::Skip);
    EXPECT_THAT(jobs_of(skipped), ElementsAre(1, 3));
    EXPECT_EQ(skipped.lost, 1U);
}

TEST(BoardReader, source_that_has_ended_is_gone) {
    const Child child([](const Shown& shown) {
        auto other = shown.board.add_source(some_kind, "other");
        shown.source = TraceBoard::Source();
        other.forget();
    });
    const auto sources = only_board(child.pid()).sources();
    ASSERT_EQ(sources.size(), 1U);
    EXPECT_EQ(sources[0].name, "other");
}

TEST(BoardReader, several_boards_are_read_and_each_once) {
    const Child child([](const Shown& shown) {
        static auto again = sys::dup(board_descriptor());
        static auto other = TraceBoard::create();
        shown.record(1);
    });
    auto boards = BoardReader::open(child.pid());
    ASSERT_TRUE(boards);
    ASSERT_EQ(boards->size(), 2U);
    EXPECT_NE(boards->at(0).identity(), boards->at(1).identity());
}

TEST(BoardReader, process_without_a_board_fails_with_a_sentence) {
    const auto boards = BoardReader::open(::getpid());
    ASSERT_FALSE(boards);
    EXPECT_EQ(boards.error().status, ExitStatus::JobFailed);
    EXPECT_THAT(boards.error().message, HasSubstr("does not use v4lfence"));
    EXPECT_THAT(processes_with_boards(), testing::Not(testing::Contains(::getpid())));
}

TEST(BoardReader, no_process_fails_with_a_sentence) {
    pid_t gone = 0;
    {
        const Child child(show_much);
        gone = child.pid();
    }
    const auto boards = BoardReader::open(gone);
    ASSERT_FALSE(boards);
    EXPECT_EQ(boards.error().status, ExitStatus::JobFailed);
    EXPECT_THAT(boards.error().message, HasSubstr("there is none"));
}

TEST(BoardReader, other_version_fails_with_a_sentence) {
    const Child child([](const Shown& shown) { shown.memory().version = 99; });
    const auto boards = BoardReader::open(child.pid());
    ASSERT_FALSE(boards);
    EXPECT_THAT(boards.error().message, HasSubstr("version 99"));
}

TEST(BoardReader, foreign_process_needs_permission) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "needs root, to be another user";
    }
    const Child owner(show_much);
    const pid_t stranger = ::fork();
    if (stranger == 0) {
        constexpr uid_t nobody = 65534;
        const bool changed = ::setresuid(nobody, nobody, nobody) == 0;
        const auto boards = BoardReader::open(owner.pid());
        ::_exit(changed && !boards && boards.error().status == ExitStatus::MachineLacks ? 0 : 1);
    }
    int status = -1;
    ::waitpid(stranger, &status, 0);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace v4lfence
