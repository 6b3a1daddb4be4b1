// SPDX-License-Identifier: MIT
//
// QueueTrace: what a queue shows of itself on the TraceBoard: the state of the whole (head), of
// each buffer (a cell per index), and each step of a buffer's life (records). Sync writes it under
// its own lock, a few plain stores a step; `v4lfence trace` and `v4lfence doctor` read it.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "v4lfence/base/time.hpp"
#include "v4lfence/base/trace_board.hpp"
#include "v4lfence/sync/line.hpp"

namespace v4lfence {

/// TraceSourceLayout.kind of a queue.
inline constexpr std::uint32_t queue_trace_kind = 1;

/// TraceEvent.kind. `index` and `job` are the buffer's and its position in line, or 0 where it is
/// about the whole queue.
enum class QueueEvent : std::uint32_t {
    Queued = 1,      ///< value: 1 with an in-fence that is pending, 0 without. detail: 1 + the
                     ///< program's descriptor of the in-fence, 0 where there is none.
    InFenceEnded,    ///< value: 0 or a negative errno.
    Given,           ///< To the driver or the kernel.
    Done,            ///< The device is finished with it. value: 0 or a negative errno. detail: the
                     ///< sequence of the frame, 0 where it is not known.
    OutFenceMinted,  ///< value: the program's descriptor, -1 where it is another process's. detail:
                     ///< the provider's number of the fence.
    OutFenceEnded,   ///< value: 0 or a negative errno.
    Dequeued,        ///< By DQBUF, or by a QBUF that failed after all.
    Failed,          ///< It will never be given. value: a negative errno.
    Expired,         ///< Given up on. value: 1 a bound, 0 a deadline.
    StreamOn,
    StreamOff,    ///< All are Dequeued. value: the errno that its fences ended with.
    QueueFailed,  ///< value: a negative errno.
    StartFailed,  ///< The buffers are held, but for one whose QBUF is told. value: the errno.
};

/// The head's words. All times are CLOCK_MONOTONIC in nanoseconds, 0: never.
struct QueueHead {
    std::uint32_t type = 0;  ///< enum v4l2_buf_type
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;
    std::int32_t fd = -1;         ///< One of the program's numbers of the file.
    std::int32_t client_pid = 0;  ///< Whose the file is, where it is served to another process.
    std::uint32_t minimum = 0;    ///< Ready buffers that the start needs; 0: none, or not known.
    std::int32_t failure = 0;     ///< Negative errno of a failed queue.
    std::uint8_t streaming = 0;
    std::uint8_t started = 0;  ///< The device runs, as far as is known.
    std::uint8_t ordered = 0;
    std::uint8_t degraded = 0;  ///< A bound has expired in this generation.
    std::uint32_t held = 0;
    std::uint32_t given = 0;
    std::uint32_t done = 0;
    std::uint32_t failed = 0;
    std::uint64_t generation = 0;
    std::int64_t stream_on_at_ns = 0;  ///< 0 too where it was on before the first fence.
    std::int64_t last_done_at_ns = 0;
    std::int64_t waiting_since_ns = 0;  ///< A thread of the program is blocked in DQBUF.
    std::int64_t last_dequeued_at_ns = 0;
    char provider[16] = {};
};
static_assert(sizeof(QueueHead) == 104, "in 32 bits as in 64");

/// A buffer's words. When it is Dequeued they are those of its last job, but that nothing is
/// pending.
struct QueueCell {
    SlotState state = SlotState::Dequeued;
    std::uint8_t in_pending = 0;   ///< Its in-fence has not ended.
    std::uint8_t out_pending = 0;  ///< Its out-fence has not ended.
    std::uint8_t in_kind = 0;      ///< enum class FenceKind
    std::int32_t error = 0;
    std::int32_t in_fence_fd = -1;   ///< In this process, ours: /proc/PID/fd knows what it is.
    std::int32_t out_end_fd = -1;    ///< By which we end its out-fence: a pipe's write end, ...
    std::int32_t out_fence_fd = -1;  ///< As QBUF returned it; the program may have closed it.
    std::uint32_t expired = 0;       ///< 1 + QueueEvent::Expired's value.
    std::uint64_t out_id = 0;        ///< The provider's number of the out-fence.
    std::uint64_t position = 0;
    std::int64_t queued_at_ns = 0;
    std::int64_t given_at_ns = 0;
    std::int64_t done_at_ns = 0;
    std::int64_t deadline_ns = 0;
    std::int64_t bound_ns = 0;
    std::uint32_t sequence = 0;  ///< Of the frame, where it is known.
    std::uint32_t reserved = 0;
    std::int64_t expired_at_ns = 0;
};
static_assert(sizeof(QueueCell) == 96, "in 32 bits as in 64");

/// Whose queue it is, for a person. It does not change while the queue is shown.
struct QueueOwner {
    std::string_view name;
    std::uint32_t type = 0;  ///< As QueueHead.
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;
};

/// Where a QBUF comes from: of interest to the board alone.
struct QueuedBy {
    int fd = -1;  ///< As QueueHead.
    int client_pid = 0;
    int in_fence_fd = -1;  ///< The program's own numbers of its fences.
    int out_fence_fd = -1;
    std::string_view provider;  ///< Of the out-fence.
};

/// The queue as a whole at one moment.
struct QueueState {
    bool streaming = false;
    bool started = false;
    bool ordered = false;
    bool degraded = false;
    int failure = 0;
    unsigned minimum = 0;
    std::uint64_t generation = 0;
};

/// The writer for one queue. Until begin() it does nothing, and keeps nothing. Thread: one at a
/// time. Nothing but begin() allocates, and nothing makes a system call.
class QueueTrace {
public:
    /// The board must outlive it, or end() comes first.
    void begin(TraceBoard& board, const QueueOwner& owner, unsigned buffers);
    void end() noexcept;
    /// In a forked child: the board is the parent's.
    void forget() noexcept;

    /// It is shown: what follows is worth its while.
    explicit operator bool() const noexcept { return shown_ != nullptr; }

    /// There are so many buffers, new ones without a past.
    void resize(unsigned buffers) noexcept;

    /// A QBUF: what of its job stays the same, and the records of it. It is in `line` already.
    void queued(Job job, const Line& line, const QueuedBy& by) noexcept;
    /// Something has happened to a job, which may have left its place in `line`.
    void record(QueueEvent event, Job job, MonotonicTime now, std::int64_t value = 0,
                std::uint64_t detail = 0) noexcept;
    /// ... or to the whole queue.
    void record(QueueEvent event, MonotonicTime now, std::int64_t value = 0) noexcept {
        record(event, Job(), now, value);
    }
    /// A thread waits in DQBUF since then; 0: none does.
    void set_waiting_since(std::int64_t ns) noexcept;

    /// What follows from that is to be seen: of one buffer, and of the whole. They come last, so
    /// that whoever looks at a queue sees it before a step or after it.
    void show(unsigned index, const Line& line) noexcept;
    void show(const QueueState& state, const Line& line) noexcept;

private:
    struct Shown {
        TraceBoard::Source source;
        unsigned buffers = 0;
        QueueHead head;
        std::array<QueueCell, trace_cells_max> cells;
    };
    QueueCell* cell(unsigned index) const noexcept;

    std::unique_ptr<Shown> shown_;
};

}  // namespace v4lfence
