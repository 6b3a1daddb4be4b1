// SPDX-License-Identifier: MIT

#include "tools/trace/board_reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// A writer is done after some stores, unless it was stopped between them.
constexpr int attempts_max = 1000;

std::string board_link() {
    return fmt::format("/memfd:{} (deleted)", trace_board_name);
}

std::string folder_of(pid_t pid) {
    return fmt::format("/proc/{}/fd", pid);
}

struct BoardPaths {
    std::vector<std::string> paths;
    std::error_code error;
};

/// The descriptors of a process that are boards.
BoardPaths board_paths(pid_t pid) {
    static const std::string wanted = board_link();
    BoardPaths found;
    std::filesystem::directory_iterator at(folder_of(pid), found.error);
    const std::filesystem::directory_iterator end;
    while (!found.error && at != end) {
        std::error_code gone;  // closed since
        if (std::filesystem::read_symlink(at->path(), gone).native() == wanted) {
            found.paths.push_back(at->path().native());
        }
        at.increment(found.error);
    }
    std::sort(found.paths.begin(), found.paths.end());
    return found;
}

struct CellRead {
    TraceWords words{};
    bool whole = false;
};

CellRead read_cell(const TraceCell& cell) {
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        if (const auto words = try_read(cell)) {
            return {*words, true};
        }
    }
    return {read_torn(cell), false};
}

std::string read_name(const TraceSourceLayout& place) {
    std::string name;
    for (const auto& character : place.name) {
        const char read = character.load(std::memory_order_relaxed);
        if (read == '\0') {
            break;
        }
        name.push_back(read);
    }
    return name;
}

/// Empty: the place is free, or changes hands.
std::optional<BoardSource> read_source(const TraceSourceLayout& place) {
    BoardSource source;
    source.serial = place.serial.load(std::memory_order_acquire);
    if (source.serial == 0) {
        return std::nullopt;
    }
    source.kind = place.kind.load(std::memory_order_relaxed);
    source.name = read_name(place);
    const CellRead head = read_cell(place.head);
    source.head = head.words;
    source.torn = !head.whole;
    const unsigned cells =
        std::min<unsigned>(place.cells.load(std::memory_order_relaxed), trace_cells_max);
    source.cells.reserve(cells);
    for (unsigned i = 0; i < cells; ++i) {
        const CellRead cell = read_cell(place.cell[i]);
        source.cells.push_back(cell.words);
        source.torn = source.torn || !cell.whole;
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (place.serial.load(std::memory_order_relaxed) != source.serial) {
        return std::nullopt;
    }
    return source;
}

enum class RecordState : std::uint8_t { Whole, Unfinished, Overwritten };

struct RecordRead {
    RecordState state = RecordState::Unfinished;
    TraceEvent event;
};

/// `record` is where the one with `number` was or will be.
RecordRead read_record(const TraceRecordLayout& record, std::uint64_t number) {
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        if (const auto event = try_read(record, number)) {
            return {RecordState::Whole, *event};
        }
        if (record.number.load(std::memory_order_acquire) > number) {
            return {RecordState::Overwritten, {}};
        }
    }
    return {};
}

Failure cannot_look(pid_t pid, const std::error_code& error) {
    std::error_code ignored;
    if (!std::filesystem::exists(fmt::format("/proc/{}", pid), ignored)) {
        return {ExitStatus::JobFailed, fmt::format("process {}: there is none.", pid)};
    }
    if (error == std::errc::permission_denied) {
        return {ExitStatus::MachineLacks,
                fmt::format("process {}: it may not be looked at by this user (as for a debugger: "
                            "the same user, or root).",
                            pid)};
    }
    return {ExitStatus::JobFailed, fmt::format("process {}: {}.", pid, error.message())};
}

}  // namespace

Attempt<BoardReader> BoardReader::map(pid_t pid, const std::string& path) {
    const auto fd = sys::open(path.c_str(), O_RDONLY);
    if (!fd) {
        return tl::unexpected<Failure>(cannot_look(
            pid, std::error_code(-fd.error().code, std::generic_category())));
    }
    const auto status = sys::fstat(fd->get());
    if (!status || static_cast<std::uint64_t>(status->st_size) < sizeof(TraceBoardLayout)) {
        return job_failed(fmt::format(
            "process {}: its trace board is too small for this version of v4lfence.", pid));
    }
    auto memory = MappedMemory::create(fd->get(), sizeof(TraceBoardLayout), MemoryUse::ReadOnly);
    if (!memory) {
        return job_failed(fmt::format("process {}: its trace board cannot be mapped: {}.", pid,
                                      std::strerror(-memory.error().code)));
    }
    BoardReader reader(std::move(*memory), {status->st_dev, status->st_ino});
    const TraceBoardLayout& layout = reader.layout();
    if (layout.magic != trace_magic || layout.version != trace_version ||
        layout.size != sizeof(TraceBoardLayout)) {
        return job_failed(fmt::format(
            "process {}: its trace board is of version {} (this v4lfence reads version {}).", pid,
            layout.version, trace_version));
    }
    return reader;
}

const TraceBoardLayout& BoardReader::layout() const {
    return *reinterpret_cast<const TraceBoardLayout*>(memory_.bytes().data());
}

Attempt<std::vector<BoardReader>> BoardReader::open(pid_t pid) {
    auto boards = find(pid);
    if (boards && boards->empty()) {
        return job_failed(fmt::format(
            "process {}: it does not use v4lfence, or has no fenced file so far.", pid));
    }
    return boards;
}

Attempt<std::vector<BoardReader>> BoardReader::find(pid_t pid) {
    const BoardPaths found = board_paths(pid);
    if (found.paths.empty() && found.error) {
        return tl::unexpected<Failure>(cannot_look(pid, found.error));
    }
    std::vector<BoardReader> boards;
    for (const std::string& path : found.paths) {
        auto board = map(pid, path);
        if (!board) {
            return tl::unexpected<Failure>(board.error());
        }
        // By another descriptor it is the same one.
        if (std::none_of(boards.begin(), boards.end(), [&board](const BoardReader& other) {
                return other.identity() == board->identity();
            })) {
            boards.push_back(std::move(*board));
        }
    }
    return boards;
}

std::vector<BoardSource> BoardReader::sources() const {
    std::vector<BoardSource> sources;
    for (const TraceSourceLayout& place : layout().sources) {
        if (auto source = read_source(place)) {
            sources.push_back(std::move(*source));
        }
    }
    return sources;
}

BoardEvents BoardReader::events(std::uint64_t first, UnfinishedRecord unfinished) const {
    const TraceBoardLayout& board = layout();
    const std::uint64_t written = board.written.load(std::memory_order_acquire);
    BoardEvents read;
    read.next = std::max<std::uint64_t>(first, 1);
    if (written > trace_records_max && read.next <= written - trace_records_max) {
        read.lost = written - trace_records_max + 1 - read.next;
        read.next += read.lost;
    }
    for (; read.next <= written; ++read.next) {
        const RecordRead record =
            read_record(board.records[(read.next - 1) % trace_records_max], read.next);
        if (record.state == RecordState::Whole) {
            read.events.push_back(record.event);
        } else if (record.state == RecordState::Unfinished &&
                   unfinished == UnfinishedRecord::Await) {
            break;
        } else {
            ++read.lost;
        }
    }
    return read;
}

std::vector<pid_t> processes_with_boards() {
    std::vector<pid_t> found;
    std::error_code error;
    std::filesystem::directory_iterator at("/proc", error);
    const std::filesystem::directory_iterator end;
    while (!error && at != end) {
        const std::string name = at->path().filename();
        pid_t pid = 0;
        const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size() &&
            !board_paths(pid).paths.empty()) {
            found.push_back(pid);
        }
        at.increment(error);
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace v4lfence
