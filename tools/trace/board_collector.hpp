// SPDX-License-Identifier: MIT
//
// BoardCollector: the events of many boards, gathered from time to time, before the rings lose
// them. A board stays mapped when its process has ended, so its last events come too.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "tools/failure.hpp"
#include "tools/trace/board_reader.hpp"
#include "tools/trace/recording.hpp"

namespace v4lfence {

class BoardCollector {
public:
    explicit BoardCollector(std::int64_t begin_ns) { recording_.begin_ns = begin_ns; }

    /// Maps those of the process's boards that are new. Fails as BoardReader::open() does, but not
    /// for want of a board: there may be one later.
    Attempt<> look_for_boards(pid_t pid);

    /// What has come since. `unfinished`: Skip at the end alone.
    void collect(UnfinishedRecord unfinished);

    bool has_boards() const { return !boards_.empty(); }
    /// So far; its events are not sorted.
    Recording& recording() { return recording_; }

private:
    struct Board {
        BoardReader reader;
        std::size_t process = 0;
        std::uint64_t next = 1;
        std::map<std::uint64_t, std::size_t> sources{};  ///< By serial.
    };

    std::size_t process_of(pid_t pid);
    void look_at_sources(Board& board);
    std::size_t source_of(Board& board, std::uint64_t serial);

    std::vector<Board> boards_;
    std::set<BoardIdentity> known_;
    Recording recording_;
};

/// A process and those that it has started, as far as they are still its descendants.
std::vector<pid_t> process_tree(pid_t root);

}  // namespace v4lfence
