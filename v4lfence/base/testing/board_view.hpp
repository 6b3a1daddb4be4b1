// SPDX-License-Identifier: MIT
//
// For tests: what a board of this process shows.

#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "v4lfence/base/trace_board.hpp"

namespace v4lfence::testing {

/// Sources are counted as they lie on the board.
class BoardView {
public:
    explicit BoardView(const TraceBoard& board) : board_(board.shown()) {}
    explicit BoardView(const TraceBoardLayout& layout) : board_(layout) {}

    const TraceSourceLayout& source(unsigned number) const { return board_.sources[number]; }

    std::string name(unsigned number) const {
        std::string name;
        for (const auto& letter : source(number).name) {
            if (letter.load() == '\0') {
                break;
            }
            name += letter.load();
        }
        return name;
    }

    template <class T>
    T head(unsigned number) const {
        return read<T>(source(number).head);
    }
    template <class T>
    T cell(unsigned number, unsigned index) const {
        return read<T>(source(number).cell[index]);
    }

    /// Those that were written since the last time.
    std::vector<TraceEvent> new_events() {
        std::vector<TraceEvent> events;
        for (; seen_ < board_.written.load(); ++seen_) {
            const auto event = try_read(board_.records[seen_ % trace_records_max], seen_ + 1);
            EXPECT_TRUE(event);
            events.push_back(event.value_or(TraceEvent()));
        }
        return events;
    }

private:
    template <class T>
    static T read(const TraceCell& cell) {
        const auto words = try_read(cell);
        EXPECT_TRUE(words);
        return from_words<T>(words.value_or(TraceWords()));
    }

    const TraceBoardLayout& board_;
    std::uint64_t seen_ = 0;
};

}  // namespace v4lfence::testing
