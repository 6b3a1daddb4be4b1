// SPDX-License-Identifier: MIT
//
// BoardReader: reads the trace boards (v4lfence/base/trace_board.hpp) of another process, running,
// hanging or stopped, through /proc. It never writes and never waits for that process. What it has
// mapped stays readable when the process has ended.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tools/failure.hpp"
#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/trace_board.hpp"

namespace v4lfence {

/// A source as it is at one moment, each cell whole.
struct BoardSource {
    std::uint64_t serial = 0;
    std::uint32_t kind = 0;
    std::string name;
    TraceWords head{};
    std::vector<TraceWords> cells;
    bool torn = false;  ///< The process stopped in the middle of a change: a cell may be mixed.
};

/// Events of the ring, in their order.
struct BoardEvents {
    std::vector<TraceEvent> events;
    std::uint64_t next = 1;  ///< Number to go on from.
    std::uint64_t lost = 0;  ///< Overwritten before they could be read, or never finished.
};

/// What to do with a record that a thread has begun and not finished.
enum class UnfinishedRecord : std::uint8_t {
    Await,  ///< The events end before it: the next look begins there.
    Skip,   ///< It counts as lost: the process has ended, or is stopped.
};

/// Which memory it is, so that a board that two processes show is read once.
struct BoardIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;

    auto operator<=>(const BoardIdentity&) const = default;
};

/// One board of one process.
class BoardReader {
public:
    /// Every board of the process. Fails with a sentence: no such process, no permission, it does
    /// not use v4lfence (or has no fenced file yet), a board of another version.
    static Attempt<std::vector<BoardReader>> open(pid_t pid);
    /// As open(), but that there is none so far is no failure.
    static Attempt<std::vector<BoardReader>> find(pid_t pid);

    std::vector<BoardSource> sources() const;
    /// From the record `first` on, as far as the ring still has them.
    BoardEvents events(std::uint64_t first,
                       UnfinishedRecord unfinished = UnfinishedRecord::Skip) const;

    BoardIdentity identity() const { return identity_; }

private:
    BoardReader(MappedMemory memory, BoardIdentity identity)
        : memory_(std::move(memory)), identity_(identity) {}
    static Attempt<BoardReader> map(pid_t pid, const std::string& path);
    const TraceBoardLayout& layout() const;

    MappedMemory memory_;
    BoardIdentity identity_;
};

/// Processes that have a board and may be looked at, in the order of their numbers.
std::vector<pid_t> processes_with_boards();

}  // namespace v4lfence
