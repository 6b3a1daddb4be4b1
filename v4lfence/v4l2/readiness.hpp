// SPDX-License-Identifier: MIT
//
// Readiness: what poll(), select(), epoll and io_uring say of a virtual V4L2 file.
//
// The program's descriptor is one end of an AF_UNIX stream pair, so the kernel itself answers every
// kind of poll, in every process that has a copy of it, and nothing has to be wrapped for it:
//
//   POLLIN   a byte that we sent waits there: a capture buffer can be dequeued
//   POLLPRI  an out-of-band byte waits there: an event can be dequeued
//   POLLOUT  little of what the program's end "sent" waits at ours: an output buffer can be
//   dequeued POLLHUP  our end is closed: the device is gone
//
// Each frame_done() and each event_pending() wakes an edge-triggered waiter, as a video device
// does, also when earlier ones have not been fetched.
//
// What it cannot show:
//  - POLLERR of a queue that does not stream or holds no buffer. A program that polls before
//    STREAMON waits where a device would have told it at once.
//  - POLLPRI without POLLIN: an event that waits alone shows both. It costs the program one
//    DQBUF that finds nothing.
//  - Frames and events apart, to a poll of io_uring that has to wait: it ends with what the wake
//  may
//    mean, so a frame shows POLLPRI too if that was asked for, and it is not woken at all if
//    POLLPRI was asked for without POLLIN. One that is ready at once is exact.
//  - Events, on a kernel without MSG_OOB for AF_UNIX; see self_test().
//  - The access mode of open(): F_GETFL says O_RDWR.
//
// Taking a byte back takes a recv() on the program's own end, for we keep no copy of it: its last
// close would go unseen. So the calls on behalf of the program are given the number by which the
// program called. They compare the socket's cookie before they touch it: a number that has become
// another file since is left alone (Reach::Stale), and the next call that comes with a right one
// does what was left undone. A close and reuse of the number by another thread between the two
// system calls is not seen: it is a race that the program has with its own call.
//
// Costs, in system calls: frame_done() one; frame_taken() none, or about three when it leaves none.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

struct NewReadiness;

/// One for each open file. The caller serializes all calls on one object but the static ones; in
/// vb2's terms they belong under the queue's lock, with the list that they tell of. No call waits
/// or allocates. In a forked child, destroy it: the parent serves the file.
class Readiness {
public:
    enum class Direction { Capture, Output };

    /// What a file has: a codec has both.
    enum class Directions { Capture, Output, Both };

    /// Whether the number given was the program's end. Stale: what should have gone still shows,
    /// until settle() or another call comes with a number that is.
    enum class [[nodiscard]] Reach{Reached, Stale};

    /// So many finished buffers of one direction, or events, wake an edge-triggered waiter once
    /// each although none has been fetched. More are shown, but may share a wake.
    static constexpr std::size_t edges_min = 16;

    /// Shows nothing yet. The program's end comes with the lowest free number, blocking and
    /// close-on-exec; ours with a high one. Errors: EMFILE, ENFILE, ENOMEM, ENOBUFS.
    static Result<NewReadiness> create(Directions directions);

    /// A buffer became dequeuable that was not handed to a waiting DQBUF. Any thread's: it touches
    /// our end alone. Ignored for a direction that the file lacks, as are the calls below.
    void frame_done(Direction direction) noexcept;

    /// DQBUF took a buffer and `frames_left` remain.
    Reach frame_taken(Direction direction, std::size_t frames_left, int program_fd) noexcept;

    /// Nothing can be dequeued any more: STREAMOFF, REQBUFS.
    Reach frames_gone(Direction direction, int program_fd) noexcept {
        return frame_taken(direction, 0, program_fd);
    }

    /// An event was queued. Any thread's, as frame_done().
    void event_pending() noexcept;

    /// DQEVENT took the last event, or its subscription went.
    Reach events_gone(int program_fd) noexcept;

    /// Does what Stale calls left undone; nothing where nothing was.
    Reach settle(int program_fd) noexcept;

    /// The device is unplugged: POLLHUP, POLLERR and POLLPRI for good, as a device's, and beside
    /// them POLLIN and POLLOUT. Calls do nothing afterwards.
    void hang_up() noexcept;

    /// No descriptor of the program's end is open any more, in any process. False after hang_up().
    bool abandoned() const noexcept;

    /// To wait for abandoned(): POLLHUP then. Ask for no other event, output files have bytes
    /// parked here. Borrowed until hang_up(); -1 after it.
    int watch_fd() const noexcept { return our_end_.get(); }

    /// The kernel's number of the program's end, whatever descriptor it goes by.
    std::uint64_t cookie() const noexcept { return cookie_; }

    bool is_program_end(int fd) const noexcept;

    struct Identity {
        std::uint64_t cookie = 0;
        pid_t maker = 0;  ///< The process that called create(), as it calls itself.
    };
    /// Whose program's end `fd` is: how a copy by dup(), fork() or SCM_RIGHTS is recognised, also
    /// after hang_up(). The cookie is the kernel's: whoever forges the rest of it can claim his own
    /// socket only, and finds no Readiness with that cookie. Errors: ENODEV (a socket of somebody
    /// else), ENOTSOCK, EBADF.
    static Result<Identity> identify(int fd);

    /// Whether this kernel can show events. False: AF_UNIX came without MSG_OOB (before 5.15, or
    /// CONFIG_AF_UNIX_OOB off), or a sandbox forbids it; event_pending() then shows nothing.
    /// Errors: EMFILE, ENFILE.
    static Result<bool> self_test();

private:
    Readiness() noexcept = default;

    void send_frame_byte() noexcept;
    void send_event_byte() noexcept;
    void take_event_byte(int program_fd) noexcept;
    void drain(int program_fd) noexcept;
    bool in_is_settled() const noexcept;
    void settle_in(int program_fd) noexcept;
    std::size_t bytes_to_park() const noexcept;
    void park(int program_fd, std::size_t bytes) noexcept;
    Result<> prepare_out(int program_fd, bool output);

    UniqueFd our_end_;
    std::uint64_t cookie_ = 0;

    // What is to be shown.
    bool captures_ = false;
    bool frames_ = false;
    bool events_ = false;
    bool spaces_ = false;

    // What lies at the program's end: socket buffers that we sent, of them such whose out-of-band
    // byte has been taken (they stay in front of what follows), and whether one has not.
    std::size_t bytes_ = 0;
    std::size_t taken_event_bytes_ = 0;
    bool event_byte_ = false;

    // What lies at ours: bytes in a socket buffer each. POLLOUT is off from parked_max_ on; 0 on a
    // file without output.
    std::size_t parked_ = 0;
    std::size_t parked_max_ = 0;
};

struct NewReadiness {
    Readiness readiness;
    UniqueFd program_end;
};

}  // namespace v4lfence
