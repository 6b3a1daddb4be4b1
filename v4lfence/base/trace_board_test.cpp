// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/board_view.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/base/trace_board.hpp"

namespace v4lfence {
namespace {

std::unique_ptr<TraceBoard> make_board() {
    auto board = TraceBoard::create();
    EXPECT_TRUE(board);
    return std::move(*board);
}

TraceWords filled(std::uint64_t value) {
    TraceWords words;
    words.fill(value);
    return words;
}

/// The numbers of descriptors that are boards.
std::vector<int> board_descriptors() {
    std::vector<int> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone) ==
            "/memfd:" + std::string(trace_board_name) + " (deleted)") {
            found.push_back(std::stoi(entry.path().filename()));
        }
    }
    return found;
}

// Pins: 7.5
TEST(TraceBoard, is_found_by_its_name_and_out_of_the_way) {
    const auto board = make_board();
    const auto found = board_descriptors();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_GE(found.front(), 512);
    EXPECT_EQ(::fcntl(found.front(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(TraceBoard, another_mapping_shows_the_same) {
    const auto board = make_board();
    auto source = board->add_source(7, "camera");
    source.set_cells(2);
    source.set_head(filled(3));
    source.set_cell(1, filled(4));
    source.record({.time_ns = 5, .kind = 6, .index = 1, .job = 8, .value = -9, .detail = 10});

    const auto path = "/proc/self/fd/" + std::to_string(board_descriptors().front());
    const auto fd = sys::open(path.c_str(), O_RDONLY);
    ASSERT_TRUE(fd);
    const auto memory =
        MappedMemory::create(fd->get(), sizeof(TraceBoardLayout), MemoryUse::ReadOnly);
    ASSERT_TRUE(memory);
    const auto& layout = *reinterpret_cast<const TraceBoardLayout*>(memory->bytes().data());
    EXPECT_EQ(layout.magic, trace_magic);
    EXPECT_EQ(layout.version, trace_version);
    EXPECT_EQ(layout.size, sizeof(TraceBoardLayout));
    const auto& place = layout.sources[0];
    EXPECT_EQ(place.serial.load(), source.serial());
    EXPECT_EQ(place.kind.load(), 7U);
    EXPECT_EQ(place.cells.load(), 2U);
    EXPECT_EQ(testing::BoardView(layout).name(0), "camera");
    EXPECT_EQ(try_read(place.head), filled(3));
    EXPECT_EQ(try_read(place.cell[0]), filled(0));
    EXPECT_EQ(try_read(place.cell[1]), filled(4));
    ASSERT_EQ(layout.written.load(), 1U);
    const auto event = try_read(layout.records[0], 1);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->time_ns, 5);
    EXPECT_EQ(event->source, source.serial());
    EXPECT_EQ(event->kind, 6U);
    EXPECT_EQ(event->index, 1U);
    EXPECT_EQ(event->job, 8U);
    EXPECT_EQ(event->value, -9);
    EXPECT_EQ(event->detail, 10U);
}

TEST(TraceBoard, takes_memory_only_for_what_is_written) {
    const auto board = make_board();
    auto source = board->add_source(1, "camera");
    source.set_head(filled(1));
    struct stat status {};
    ASSERT_EQ(::fstat(board_descriptors().front(), &status), 0);
    EXPECT_EQ(status.st_size, static_cast<off_t>(sizeof(TraceBoardLayout)));
    EXPECT_LE(status.st_blocks * 512, static_cast<blkcnt_t>(2 * page_size()));
}

// Pins: 2.1
TEST(TraceBoard, without_descriptors_leaves_nothing_behind) {
    const std::size_t before = testing::open_descriptors();
    {
        const testing::DescriptorLimit lowered(1);
        const auto board = TraceBoard::create();
        ASSERT_FALSE(board);
        EXPECT_EQ(board.error().code, -EMFILE);
    }
    EXPECT_EQ(testing::open_descriptors(), before);
}

TEST(TraceBoard, end_gives_everything_back) {
    const std::size_t before = testing::open_descriptors();
    { const auto board = make_board(); }
    EXPECT_EQ(testing::open_descriptors(), before);
}

TEST(TraceSource, long_name_is_cut) {
    const auto board = make_board();
    const auto source = board->add_source(1, std::string(200, 'x'));
    EXPECT_EQ(testing::BoardView(*board).name(0), std::string(111, 'x'));
}

TEST(TraceSource, empty_one_drops_what_it_is_told) {
    TraceBoard::Source source;
    EXPECT_FALSE(source);
    EXPECT_EQ(source.serial(), 0U);
    source.set_cells(3);
    source.set_head(filled(1));
    source.set_cell(0, filled(1));
    source.record({});
}

TEST(TraceSource, end_frees_its_place_and_the_next_finds_it_clean) {
    const auto board = make_board();
    auto first = board->add_source(1, "first");
    const std::uint64_t serial = first.serial();
    first.set_cells(3);
    first.set_head(filled(1));
    first.set_cell(2, filled(2));
    first = TraceBoard::Source();
    const auto& place = board->shown().sources[0];
    EXPECT_EQ(place.serial.load(), 0U);

    auto second = board->add_source(2, "2nd");
    EXPECT_NE(second.serial(), serial);
    EXPECT_EQ(place.serial.load(), second.serial());
    EXPECT_EQ(testing::BoardView(*board).name(0), "2nd");
    EXPECT_EQ(place.cells.load(), 0U);
    EXPECT_EQ(try_read(place.head), filled(0));
    second.set_cells(3);
    EXPECT_EQ(try_read(place.cell[2]), filled(0));
}

TEST(TraceSource, moved_one_keeps_its_place) {
    const auto board = make_board();
    auto first = board->add_source(1, "first");
    const std::uint64_t serial = first.serial();
    auto moved = std::move(first);
    EXPECT_FALSE(first);  // NOLINT: empty by contract.
    EXPECT_EQ(moved.serial(), serial);
    EXPECT_EQ(board->shown().sources[0].serial.load(), serial);
}

TEST(TraceSource, beyond_the_last_place_there_are_none) {
    const auto board = make_board();
    std::vector<TraceBoard::Source> sources;
    for (unsigned i = 0; i < trace_sources_max; ++i) {
        sources.push_back(board->add_source(1, "many"));
        EXPECT_TRUE(sources.back());
    }
    EXPECT_TRUE(board->is_full());
    EXPECT_FALSE(board->add_source(1, "one too many"));
    EXPECT_EQ(board->shown().sources_refused.load(), 1U);
    sources.pop_back();
    EXPECT_FALSE(board->is_full());
    EXPECT_TRUE(board->add_source(1, "in its place"));
}

TEST(TraceSource, cells_beyond_the_last_are_not_shown) {
    const auto board = make_board();
    auto first = board->add_source(1, "first");
    const auto second = board->add_source(1, "second");
    first.set_cells(trace_cells_max + 1);
    first.set_cell(trace_cells_max, filled(~std::uint64_t{0}));
    EXPECT_EQ(board->shown().sources[0].cells.load(), trace_cells_max);
    EXPECT_EQ(board->shown().sources[1].serial.load(), second.serial());
}

TEST(TraceCell, half_changed_one_is_not_read) {
    TraceCell cell{};
    cell.version.store(3);
    cell.words[0].store(9);
    EXPECT_FALSE(try_read(cell));
    EXPECT_EQ(read_torn(cell)[0], 9U);
    cell.version.store(4);
    EXPECT_TRUE(try_read(cell));
}

TEST(TraceCell, reader_never_sees_two_states_mixed) {
    const auto board = make_board();
    auto source = board->add_source(1, "busy");
    source.set_cells(1);
    const TraceCell& cell = board->shown().sources[0].cell[0];
    constexpr std::uint64_t rounds = 20000;
    std::thread writer([&source] {
        for (std::uint64_t round = 1; round <= rounds; ++round) {
            source.set_cell(0, filled(round));
        }
    });
    std::uint64_t seen = 0;
    while (seen < rounds) {
        if (const auto words = try_read(cell)) {
            EXPECT_EQ(*words, filled(words->front()));
            EXPECT_GE(words->front(), seen);
            seen = words->front();
        }
    }
    writer.join();
}

TEST(TraceRing, keeps_the_last_records) {
    const auto board = make_board();
    auto source = board->add_source(1, "long-lived");
    for (unsigned i = 1; i <= trace_records_max + 3; ++i) {
        source.record({.value = i});
    }
    const auto& layout = board->shown();
    EXPECT_EQ(layout.written.load(), trace_records_max + 3);
    EXPECT_FALSE(try_read(layout.records[2], 3));
    ASSERT_TRUE(try_read(layout.records[2], trace_records_max + 3));
    EXPECT_EQ(try_read(layout.records[2], trace_records_max + 3)->value, trace_records_max + 3);
    ASSERT_TRUE(try_read(layout.records[3], 4));
    EXPECT_EQ(try_read(layout.records[3], 4)->value, 4);
}

TEST(TraceRing, threads_at_once_lose_nothing) {
    const auto board = make_board();
    constexpr unsigned writers = 4;
    constexpr unsigned each = 1000;
    {
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < writers; ++i) {
            threads.emplace_back([&board, i] {
                auto source = board->add_source(1, "writer");
                for (unsigned n = 0; n < each; ++n) {
                    source.record({.index = i, .job = n, .value = n, .detail = n});
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
    }
    const auto& layout = board->shown();
    ASSERT_EQ(layout.written.load(), writers * each);
    std::set<std::pair<unsigned, std::uint64_t>> seen;
    for (unsigned number = 1; number <= writers * each; ++number) {
        const auto event = try_read(layout.records[number - 1], number);
        ASSERT_TRUE(event);
        EXPECT_EQ(event->job, event->detail);
        seen.emplace(event->index, event->job);
    }
    EXPECT_EQ(seen.size(), writers * each);
}

// Pins: 7.4
TEST(TraceBoard, forked_child_writes_nothing) {
    const auto board = make_board();
    auto source = board->add_source(1, "parent's");
    source.set_cells(1);
    const std::uint64_t serial = source.serial();
    const pid_t child = ::fork();
    if (child == 0) {
        board->abandon();
        const bool closed = board_descriptors().empty();
        source.set_head(filled(1));
        source.set_cell(0, filled(1));
        source.record({});
        const bool refused = !board->add_source(1, "child's");
        source = TraceBoard::Source();
        ::_exit(closed && refused ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    const auto& place = board->shown().sources[0];
    EXPECT_EQ(place.serial.load(), serial);
    EXPECT_EQ(try_read(place.head), filled(0));
    EXPECT_EQ(try_read(place.cell[0]), filled(0));
    EXPECT_EQ(board->shown().written.load(), 0U);
    EXPECT_FALSE(board->shown().sources[1].serial.load());
}

}  // namespace
}  // namespace v4lfence
