// SPDX-License-Identifier: MIT
//
// Readiness against a model of three counters, by poll(), select(), epoll and io_uring. Another
// walk: --gtest_random_seed=N.

#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <random>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4l2/readiness.hpp"

namespace v4lfence {
namespace {

using Direction = Readiness::Direction;
using Directions = Readiness::Directions;
using Reach = Readiness::Reach;

constexpr int steps = 200'000;
constexpr short all_events = POLLIN | POLLOUT | POLLPRI;

NewReadiness make(Directions directions) {
    auto made = Readiness::create(directions);
    EXPECT_TRUE(made);
    return std::move(*made);
}

/// As the three calls say it, in poll()'s words; empty when they disagree.
class Watchers {
public:
    explicit Watchers(int fd) : fd_(fd) {
        EXPECT_TRUE(sys::epoll_ctl(level_.get(), EPOLL_CTL_ADD, fd, all_events, 0));
        EXPECT_TRUE(sys::epoll_ctl(edge_.get(), EPOLL_CTL_ADD, fd,
                                   static_cast<std::uint32_t>(all_events) | EPOLLET, 0));
    }

    std::optional<int> level() const {
        const int polled = sys::poll_now(fd_, all_events).value_or(-1);
        if (polled != selected() || polled != of(level_)) {
            return std::nullopt;
        }
        return polled;
    }

    /// What one epoll_wait() of an edge-triggered watcher returns; 0 when there was no edge.
    int edge() const { return of(edge_); }

private:
    int selected() const {
        std::array<fd_set, 3> sets{};
        for (auto& set : sets) {
            FD_SET(fd_, &set);
        }
        timeval now{};
        EXPECT_GE(::select(fd_ + 1, &sets[0], &sets[1], &sets[2], &now), 0);
        return (FD_ISSET(fd_, &sets[0]) ? POLLIN : 0) | (FD_ISSET(fd_, &sets[1]) ? POLLOUT : 0) |
               (FD_ISSET(fd_, &sets[2]) ? POLLPRI : 0);
    }

    static int of(const UniqueFd& epoll) {
        std::array<epoll_event, 2> events{};
        const auto count = sys::epoll_wait(epoll.get(), events, 0);
        EXPECT_TRUE(count);
        return count.value_or(0) == 0 ? 0 : static_cast<int>(events[0].events);
    }

    int fd_;
    UniqueFd level_ = std::move(*sys::epoll_create());
    UniqueFd edge_ = std::move(*sys::epoll_create());
};

/// One random step after another, each applied to a file and to the counters.
class Walk {
public:
    Walk(Directions directions, unsigned seed)
        : random_(seed), captures_(directions != Directions::Output),
          outputs_(directions != Directions::Capture), file_(make(directions)),
          copy_(std::move(*sys::dup(file_.program_end.get()))),
          wrong_(std::move(*sys::socketpair(0))), watchers_(file_.program_end.get()) {
        EXPECT_TRUE(sys::send(wrong_.second.get(), std::array<std::byte, 1>{}));
    }

    void step() {
        (void)watchers_.edge();
        edge_due_ = 0;
        const int kind = pick(16);
        const auto direction = pick(2) == 0 ? Direction::Capture : Direction::Output;
        if (kind < 6) {
            frame_done(direction);
        } else if (kind < 11) {
            take_frame(direction);
        } else if (kind < 12) {
            frames_of(direction) = 0;
            note(file_.readiness.frames_gone(direction, some_end()));
        } else if (kind < 14) {
            event_pending();
        } else if (kind < 15) {
            take_event();
        } else {
            events_ = 0;
            note(file_.readiness.events_gone(some_end()));
        }
    }

    void check() {
        const int edge = watchers_.edge();
        EXPECT_EQ(edge & edge_due_, edge_due_) << "an edge is missing";
        if (stale_) {
            stale_ = false;
            EXPECT_EQ(file_.readiness.settle(copy_.get()), Reach::Reached);
        }
        EXPECT_EQ(watchers_.level(), expected());
        EXPECT_EQ(sys::poll_now(wrong_.first.get(), all_events), POLLIN | POLLOUT)
            << "a stranger's socket was touched";
    }

private:
    int pick(int below) { return std::uniform_int_distribution<>(0, below - 1)(random_); }

    std::size_t& frames_of(Direction direction) {
        return direction == Direction::Capture ? frames_ : spaces_;
    }

    /// Mostly the number by which the program called, sometimes one that is something else by now.
    int some_end() {
        const int kind = pick(32);
        return kind == 0 ? wrong_.first.get() : kind < 4 ? copy_.get() : file_.program_end.get();
    }

    void note(Reach reach) { stale_ = stale_ || reach == Reach::Stale; }

    void frame_done(Direction direction) {
        const bool has = direction == Direction::Capture ? captures_ : outputs_;
        std::size_t& frames = frames_of(direction);
        if (!has || frames == 32) {
            return;
        }
        ++frames;
        file_.readiness.frame_done(direction);
        if (frames <= Readiness::edges_min) {
            edge_due_ = direction == Direction::Capture ? POLLIN : POLLOUT;
        }
    }

    void take_frame(Direction direction) {
        std::size_t& frames = frames_of(direction);
        if (frames > 0) {
            --frames;
            note(file_.readiness.frame_taken(direction, frames, some_end()));
        }
    }

    void event_pending() {
        if (events_ < Readiness::edges_min) {
            ++events_;
            file_.readiness.event_pending();
            edge_due_ = POLLPRI;
        }
    }

    void take_event() {
        if (events_ > 0 && --events_ == 0) {
            note(file_.readiness.events_gone(some_end()));
        }
    }

    int expected() const {
        return (frames_ > 0 || events_ > 0 ? POLLIN : 0) | (events_ > 0 ? POLLPRI : 0) |
               (spaces_ > 0 ? POLLOUT : 0);
    }

    std::mt19937 random_;
    const bool captures_;
    const bool outputs_;
    NewReadiness file_;
    const UniqueFd copy_;
    const sys::SocketPair wrong_;
    const Watchers watchers_;
    std::size_t frames_ = 0;
    std::size_t spaces_ = 0;
    std::size_t events_ = 0;
    int edge_due_ = 0;
    bool stale_ = false;
};

void walk(Directions directions) {
    if (!Readiness::self_test().value_or(false)) {
        GTEST_SKIP() << "needs AF_UNIX with MSG_OOB";
    }
    const auto seed = static_cast<unsigned>(GTEST_FLAG_GET(random_seed));
    Walk walk(directions, seed);
    for (int step = 0; step < steps; ++step) {
        walk.step();
        walk.check();
        ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << ", step " << step;
    }
}

TEST(ReadinessWalk, a_capture_file_shows_what_the_model_says) {
    walk(Directions::Capture);
}

TEST(ReadinessWalk, an_output_file_shows_what_the_model_says) {
    walk(Directions::Output);
}

TEST(ReadinessWalk, a_codec_shows_what_the_model_says) {
    walk(Directions::Both);
}

TEST(ReadinessEdge, what_the_program_takes_is_no_edge) {
    auto [readiness, end] = make(Directions::Both);
    const Watchers watchers(end.get());
    EXPECT_EQ(watchers.edge(), 0);
    for (const auto direction : {Direction::Capture, Direction::Output}) {
        readiness.frame_done(direction);
        readiness.frame_done(direction);
        EXPECT_NE(watchers.edge(), 0);
        for (const std::size_t left : {1, 0}) {
            EXPECT_EQ(readiness.frame_taken(direction, left, end.get()), Reach::Reached);
            EXPECT_EQ(watchers.edge(), 0);
        }
    }
}

TEST(ReadinessEdge, a_list_that_never_empties_keeps_its_edges) {
    if (!Readiness::self_test().value_or(false)) {
        GTEST_SKIP() << "needs AF_UNIX with MSG_OOB";
    }
    auto [readiness, end] = make(Directions::Both);
    const Watchers watchers(end.get());
    readiness.frame_done(Direction::Capture);
    readiness.frame_done(Direction::Output);
    for (int round = 0; round < 1000; ++round) {
        (void)watchers.edge();
        for (const auto direction : {Direction::Capture, Direction::Output}) {
            readiness.frame_done(direction);
            EXPECT_EQ(watchers.edge(), POLLIN | POLLOUT);
            EXPECT_EQ(readiness.frame_taken(direction, 1, end.get()), Reach::Reached);
        }
        if (round >= 500) {
            (void)watchers.edge();
            readiness.event_pending();
            EXPECT_EQ(watchers.edge(), all_events);
            EXPECT_EQ(readiness.events_gone(end.get()), Reach::Reached);
        }
        ASSERT_EQ(watchers.level(), POLLIN | POLLOUT) << "round " << round;
    }
}

/// A ring of io_uring with just what a poll request needs.
class Ring {
public:
    static std::unique_ptr<Ring> create() {
        io_uring_params params{};
        UniqueFd fd(static_cast<int>(::syscall(SYS_io_uring_setup, 4, &params)));
        if (!fd || (params.features & IORING_FEAT_SINGLE_MMAP) == 0) {
            return nullptr;
        }
        auto ring = std::unique_ptr<Ring>(new Ring(std::move(fd), params));
        return ring->rings_ == MAP_FAILED || ring->entries_ == MAP_FAILED ? nullptr
                                                                          : std::move(ring);
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring() {
        ::munmap(entries_, entries_size_);
        ::munmap(rings_, rings_size_);
    }

    bool submit_poll(int fd, short events, bool multishot = false) {
        auto& entry = static_cast<io_uring_sqe*>(entries_)[0];
        entry = {};
        entry.opcode = IORING_OP_POLL_ADD;
        entry.fd = fd;
        entry.poll32_events = static_cast<std::uint32_t>(events);
        entry.len = multishot ? IORING_POLL_ADD_MULTI : 0;
        at(params_.sq_off.array) = 0;
        std::atomic_ref(at(params_.sq_off.tail)).fetch_add(1);
        return ::syscall(SYS_io_uring_enter, fd_.get(), 1, 0, 0, nullptr, 0) == 1;
    }

    /// The events of a completed poll, if one has.
    std::optional<int> completion() {
        // An entry into the kernel runs the completions that are due.
        ::syscall(SYS_io_uring_enter, fd_.get(), 0, 0, IORING_ENTER_GETEVENTS, nullptr, 0);
        const std::uint32_t head = at(params_.cq_off.head);
        if (head == std::atomic_ref(at(params_.cq_off.tail)).load()) {
            return std::nullopt;
        }
        const auto* all = reinterpret_cast<const io_uring_cqe*>(base() + params_.cq_off.cqes);
        const int result = all[head & at(params_.cq_off.ring_mask)].res;
        std::atomic_ref(at(params_.cq_off.head)).store(head + 1);
        return result;
    }

private:
    Ring(UniqueFd fd, const io_uring_params& params)
        : fd_(std::move(fd)), params_(params),
          rings_size_(std::max(params.sq_off.array + params.sq_entries * sizeof(std::uint32_t),
                               params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe))),
          entries_size_(params.sq_entries * sizeof(io_uring_sqe)),
          rings_(map(rings_size_, IORING_OFF_SQ_RING)),
          entries_(map(entries_size_, IORING_OFF_SQES)) {}

    void* map(std::size_t size, std::uint64_t offset) const {
        return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_.get(),
                      static_cast<off_t>(offset));
    }

    char* base() const { return static_cast<char*>(rings_); }
    std::uint32_t& at(std::uint32_t offset) const {
        return *reinterpret_cast<std::uint32_t*>(base() + offset);
    }

    UniqueFd fd_;
    io_uring_params params_;
    std::size_t rings_size_;
    std::size_t entries_size_;
    void* rings_;
    void* entries_;
};

TEST(ReadinessRing, a_poll_ends_with_the_frame_it_waits_for) {
    const auto ring = Ring::create();
    if (!ring) {
        GTEST_SKIP() << "needs io_uring";
    }
    auto [readiness, end] = make(Directions::Both);
    for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(ring->submit_poll(end.get(), POLLIN));
        EXPECT_EQ(ring->completion(), std::nullopt);
        readiness.frame_done(Direction::Capture);
        EXPECT_EQ(ring->completion(), POLLIN);
        ASSERT_TRUE(ring->submit_poll(end.get(), POLLOUT));
        EXPECT_EQ(ring->completion(), std::nullopt);
        readiness.frame_done(Direction::Output);
        EXPECT_EQ(ring->completion(), POLLOUT);
        EXPECT_EQ(readiness.frames_gone(Direction::Capture, end.get()), Reach::Reached);
        EXPECT_EQ(readiness.frames_gone(Direction::Output, end.get()), Reach::Reached);
    }
}

TEST(ReadinessRing, a_poll_for_events_that_asks_for_frames_too_ends_with_the_event) {
    const auto ring = Ring::create();
    if (!ring || !Readiness::self_test().value_or(false)) {
        GTEST_SKIP() << "needs io_uring and AF_UNIX with MSG_OOB";
    }
    auto [readiness, end] = make(Directions::Capture);
    ASSERT_TRUE(ring->submit_poll(end.get(), POLLIN | POLLPRI));
    EXPECT_EQ(ring->completion(), std::nullopt);
    readiness.event_pending();
    EXPECT_EQ(ring->completion(), POLLIN | POLLPRI);
    ASSERT_TRUE(ring->submit_poll(end.get(), POLLPRI));
    EXPECT_EQ(ring->completion(), POLLPRI) << "it did not have to wait";
}

TEST(ReadinessRing, a_multishot_poll_ends_for_each_frame) {
    const auto ring = Ring::create();
    if (!ring) {
        GTEST_SKIP() << "needs io_uring";
    }
    auto [readiness, end] = make(Directions::Capture);
    ASSERT_TRUE(ring->submit_poll(end.get(), POLLIN, true));
    for (int frame = 0; frame < 3; ++frame) {
        EXPECT_EQ(ring->completion(), std::nullopt);
        readiness.frame_done(Direction::Capture);
        EXPECT_EQ(ring->completion(), POLLIN);
    }
}

}  // namespace
}  // namespace v4lfence
