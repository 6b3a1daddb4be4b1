// SPDX-License-Identifier: MIT
//
// TraceBoard: what a process shows of itself to whoever may read its memory: sources (queues,
// displays), what each of them is in now (cells), and what happened lately (records, in a ring).
// It lies in a memfd, so it is found in /proc/PID/fd by its name and can be read while the process
// hangs, is stopped, or is traced; it needs no thread and no system call to write.
//
// What the words of a cell and the numbers of a record mean is said by who writes them:
// sync/queue_trace.hpp for queues, kms/display_trace.hpp for displays.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// As the link in /proc/PID/fd shows it, behind "/memfd:".
inline constexpr char trace_board_name[] = "v4lfence-board";

// The layout, which a reader of another version or bitness must be able to refuse: integers of
// fixed width, no pointer, the same in 32 and 64 bits.

inline constexpr std::uint32_t trace_magic = 0x76346266;  // "fb4v"
inline constexpr std::uint32_t trace_version = 1;
inline constexpr unsigned trace_sources_max = 64;
inline constexpr unsigned trace_cells_max = 64;  ///< Of one source; what is beyond is not shown.
inline constexpr unsigned trace_records_max = 1U << 14;  ///< A power of two.
inline constexpr unsigned trace_words = 15;

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// Some words that belong together. A reader that sees `version` odd, or changed, reads again.
struct alignas(8) TraceCell {
    std::atomic<std::uint64_t> version;
    std::array<std::atomic<std::uint64_t>, trace_words> words;
};
static_assert(sizeof(TraceCell) == 128);

/// What a reader gets of a cell, and a writer puts into it.
using TraceWords = std::array<std::uint64_t, trace_words>;

/// A struct as the words of a cell; zeros behind it.
template <class T>
TraceWords to_words(const T& value) noexcept {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(TraceWords));
    TraceWords words{};
    std::memcpy(words.data(), &value, sizeof value);
    return words;
}

/// The words as the struct that their writer put into them.
template <class T>
T from_words(const TraceWords& words) noexcept {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(TraceWords));
    T value;
    std::memcpy(static_cast<void*>(&value), words.data(), sizeof value);
    return value;
}

struct TraceSourceLayout {
    std::atomic<std::uint64_t> serial;        ///< 0: free. Each source has another one.
    std::atomic<std::uint32_t> kind;          ///< Whose words they are.
    std::atomic<std::uint32_t> cells;         ///< How many of them mean something.
    std::array<std::atomic<char>, 112> name;  ///< For a person; NUL-terminated.
    TraceCell head;                           ///< What holds for the source as a whole.
    std::array<TraceCell, trace_cells_max> cell;
};

/// One event as a reader gets it, and a writer tells it. All words mean what `kind` says.
struct TraceEvent {
    std::int64_t time_ns = 0;  ///< CLOCK_MONOTONIC
    std::uint64_t source = 0;  ///< Serial of its source; 0: none.
    std::uint32_t kind = 0;
    std::uint32_t index = 0;
    std::uint64_t job = 0;
    std::int64_t value = 0;
    std::uint64_t detail = 0;
};

/// One event in the ring. `number` counts from 1 and is written last; 0 while the rest changes. The
/// record `number` lies at index (number - 1) % trace_records_max.
struct TraceRecordLayout {
    std::atomic<std::uint64_t> number;
    /// A TraceEvent's members in their order.
    std::array<std::atomic<std::uint64_t>, 7> words;
};
static_assert(sizeof(TraceRecordLayout) == 64);

struct TraceBoardLayout {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint64_t size;                          ///< Of the whole.
    std::atomic<std::uint64_t> written;          ///< Records so far: the ring has the last of them.
    std::atomic<std::uint64_t> sources_refused;  ///< For want of room.
    std::array<TraceSourceLayout, trace_sources_max> sources;
    std::array<TraceRecordLayout, trace_records_max> records;
};
static_assert(offsetof(TraceSourceLayout, name) == 16);
static_assert(offsetof(TraceSourceLayout, head) == 128);
static_assert(sizeof(TraceSourceLayout) == 256 + trace_cells_max * 128);
static_assert(offsetof(TraceBoardLayout, sources) == 32);
static_assert(sizeof(TraceBoardLayout) ==
              32 + trace_sources_max * sizeof(TraceSourceLayout) + trace_records_max * 64);

// For a reader, who may be another process with the board mapped read-only.

/// One look. Empty: it was being changed; if that stays so, its writer has stopped in the middle.
std::optional<TraceWords> try_read(const TraceCell& cell) noexcept;
/// As it is, whole or not.
TraceWords read_torn(const TraceCell& cell) noexcept;
/// The record `number`. Empty: it is not there any more, or not yet.
std::optional<TraceEvent> try_read(const TraceRecordLayout& record, std::uint64_t number) noexcept;

/// Thread: every member may be called from any thread; of one Source, set_cells(), set_head() and
/// set_cell() are the caller's to serialize.
class TraceBoard {
public:
    /// Its memory is taken page by page as it is written to. Errors: EMFILE, ENFILE, ENOMEM; what a
    /// sandbox says to memfd_create().
    static Result<std::unique_ptr<TraceBoard>> create();
    TraceBoard(const TraceBoard&) = delete;
    TraceBoard& operator=(const TraceBoard&) = delete;
    ~TraceBoard() = default;

    /// A place on the board, given back by its end. Without a board, or without room on it, it is
    /// empty, and everything it is told is dropped.
    class Source {
    public:
        Source() noexcept = default;
        Source(Source&& other) noexcept
            : board_(std::exchange(other.board_, nullptr)), place_(other.place_) {}
        Source& operator=(Source&& other) noexcept {
            std::swap(board_, other.board_);
            std::swap(place_, other.place_);
            return *this;
        }
        Source(const Source&) = delete;
        Source& operator=(const Source&) = delete;
        ~Source();

        explicit operator bool() const noexcept { return board_ != nullptr; }
        std::uint64_t serial() const noexcept;

        /// There are so many cells, new ones empty; those beyond trace_cells_max are not shown.
        void set_cells(unsigned count) noexcept;
        void set_head(const TraceWords& words) noexcept;
        /// Does nothing beyond trace_cells_max.
        void set_cell(unsigned index, const TraceWords& words) noexcept;
        /// Wait-free, no system call. `event.source` is set here.
        void record(TraceEvent event) noexcept;

        /// In a forked child: the place is the parent's.
        void forget() noexcept { board_ = nullptr; }

    private:
        friend class TraceBoard;
        Source(TraceBoard& board, TraceSourceLayout& place) noexcept
            : board_(&board), place_(&place) {}
        /// Somebody may still be shown something: not so in a forked child.
        bool is_shown() const noexcept;

        TraceBoard* board_ = nullptr;
        TraceSourceLayout* place_ = nullptr;
    };

    /// `name` is cut to what fits. The board must outlive it.
    Source add_source(std::uint32_t kind, std::string_view name) noexcept;
    /// add_source() would find no room at this moment. No lock.
    bool is_full() const noexcept {
        return places_taken_.load(std::memory_order_relaxed) >= trace_sources_max;
    }

    /// As a reader has it.
    const TraceBoardLayout& shown() const noexcept { return layout(); }

    /// In a forked child: the board is the parent's; its descriptor goes, nothing is written.
    void abandon() noexcept;

private:
    TraceBoard(UniqueFd fd, MappedMemory memory) noexcept
        : fd_(std::move(fd)), memory_(std::move(memory)) {}
    TraceBoardLayout& layout() const noexcept;
    void record(const TraceEvent& event) noexcept;

    UniqueFd fd_;  ///< High and close-on-exec: only there to be found.
    MappedMemory memory_;
    std::atomic<bool> abandoned_{false};
    std::mutex mutex_;  ///< Guards the places.
    std::atomic<unsigned> places_taken_{0};
    std::uint64_t serials_ = 0;
};

}  // namespace v4lfence
