// SPDX-License-Identifier: MIT
//
// The Reactor with a thread of its own, and in forked children.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/providers/user.hpp"
#include "v4lfence/fence/reactor.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;

class Action final : public Reactor::Listener, public Reactor::TimerListener {
public:
    explicit Action(std::function<void()> act) : act_(std::move(act)) {}
    void on_ready(std::uint64_t, std::uint32_t) override { act_(); }
    void on_deadline(MonotonicTime) override { act_(); }

private:
    std::function<void()> act_;
};

/// Something that happens once on another thread.
class Event {
public:
    void set() { promise_.set_value(); }
    void wait() { ASSERT_EQ(future_.wait_for(20s), std::future_status::ready); }

private:
    std::promise<void> promise_;
    std::shared_future<void> future_{promise_.get_future()};
};

class ReactorThread : public ::testing::Test {
protected:
    void SetUp() override {
        reactor_ = Reactor::create(clock_);
        ASSERT_TRUE(reactor_->start_thread());
    }

    UniqueFd ready_event() const { return std::move(*sys::eventfd(1, 0)); }

    Reactor::WatchId watch(const UniqueFd& fd, Reactor::Listener& listener) {
        const auto id = reactor_->watch(fd.get(), EPOLLIN, listener, 0);
        EXPECT_TRUE(id);
        return *id;
    }

    SystemClock clock_;
    std::unique_ptr<Reactor> reactor_;
};

// Pins: 7.3
TEST_F(ReactorThread, callbacks_run_on_a_named_thread_with_signals_blocked) {
    Event done;
    std::string name;
    bool blocked = false;
    std::thread::id where;
    Action action([&] {
        std::array<char, 16> buffer{};
        ::pthread_getname_np(::pthread_self(), buffer.data(), buffer.size());
        name = buffer.data();
        sigset_t mask;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        blocked = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGUSR1) == 1;
        where = std::this_thread::get_id();
        done.set();
    });
    const UniqueFd event = ready_event();
    const auto id = watch(event, action);
    done.wait();
    reactor_->unwatch(id);
    EXPECT_EQ(name, "v4lfence");
    EXPECT_TRUE(blocked);
    EXPECT_NE(where, std::this_thread::get_id());
}

// Pins: 5.4
TEST_F(ReactorThread, remover_waits_for_the_callback_that_runs) {
    Event entered;
    Event leave;
    std::atomic<bool> left{false};
    Action action([&] {
        entered.set();
        leave.wait();
        left = true;
    });
    const UniqueFd event = ready_event();
    const auto id = watch(event, action);
    entered.wait();
    std::atomic<bool> removing{false};
    std::thread remover([&] {
        removing = true;
        reactor_->unwatch(id);
        EXPECT_TRUE(left);
    });
    while (!removing) {
        std::this_thread::yield();
    }
    leave.set();
    remover.join();
    EXPECT_TRUE(left);
}

TEST_F(ReactorThread, remover_of_a_timer_waits_for_its_callback) {
    Event entered;
    Event leave;
    std::atomic<bool> left{false};
    Action action([&] {
        entered.set();
        leave.wait();
        left = true;
    });
    const auto id = reactor_->add_timer(action);
    ASSERT_TRUE(id);
    reactor_->set_timer(*id, clock_.now());
    entered.wait();
    std::thread opener([&] { leave.set(); });
    reactor_->remove_timer(*id);
    EXPECT_TRUE(left);
    opener.join();
}

TEST_F(ReactorThread, remover_does_not_wait_for_other_callbacks) {
    Event entered;
    Event leave;
    Action blocking([&] {
        entered.set();
        leave.wait();
    });
    Action idle([] {});
    const UniqueFd event = ready_event();
    const auto busy_id = watch(event, blocking);
    entered.wait();
    const auto other = sys::eventfd(0, 0);
    const auto other_id = watch(*other, idle);
    reactor_->unwatch(other_id);
    leave.set();
    reactor_->unwatch(busy_id);
}

// Pins: 5.4
TEST_F(ReactorThread, no_callback_after_unwatch) {
    for (int round = 0; round < 500; ++round) {
        std::atomic<bool> gone{false};
        std::atomic<bool> late{false};
        Action action([&] { late = late || gone; });
        const UniqueFd event = ready_event();
        const auto id = watch(event, action);
        if (round % 3 == 0) {
            std::this_thread::yield();
        }
        reactor_->unwatch(id);
        gone = true;
        EXPECT_FALSE(late);
    }
}

TEST_F(ReactorThread, deadline_wakes_it) {
    Event done;
    Action action([&] { done.set(); });
    const auto id = reactor_->add_timer(action);
    ASSERT_TRUE(id);
    const MonotonicTime due = clock_.now() + 3ms;
    reactor_->set_timer(*id, clock_.now() + 1h);
    reactor_->set_timer(*id, due);
    done.wait();
    EXPECT_GE(clock_.now(), due);
    reactor_->remove_timer(*id);
}

TEST_F(ReactorThread, each_deadline_wakes_it_in_turn) {
    Event first;
    Event second;
    Action on_first([&] { first.set(); });
    Action on_second([&] { second.set(); });
    const auto early = reactor_->add_timer(on_first);
    const auto late = reactor_->add_timer(on_second);
    const MonotonicTime start = clock_.now();
    reactor_->set_timer(*early, start + 2ms);
    reactor_->set_timer(*late, start + 5ms);
    first.wait();
    second.wait();
    EXPECT_GE(clock_.now(), start + 5ms);
    reactor_->remove_timer(*early);
    reactor_->remove_timer(*late);
}

TEST_F(ReactorThread, later_deadlines_do_not_wake_it) {
    Event done;
    Action never([] { ADD_FAILURE(); });
    Action soon([&] { done.set(); });
    const auto far = reactor_->add_timer(never);
    const auto near = reactor_->add_timer(soon);
    const std::uint64_t before = reactor_->wakeups();
    for (int i = 0; i < 1000; ++i) {
        reactor_->set_timer(*far, clock_.now() + 1h + i * 1s);
    }
    reactor_->set_timer(*near, clock_.now());
    done.wait();
    reactor_->remove_timer(*far);
    reactor_->remove_timer(*near);
    EXPECT_LE(reactor_->wakeups() - before, 3U);
}

TEST_F(ReactorThread, idle_thread_does_not_wake) {
    Event done;
    Action action([&] { done.set(); });
    auto pipe = sys::pipe(O_NONBLOCK);
    const auto id = reactor_->watch(pipe->read_end.get(), EPOLLIN, action, 0);
    ASSERT_TRUE(id);
    pipe->write_end.reset();
    done.wait();
    const std::uint64_t before = reactor_->wakeups();
    static_cast<void>(sys::poll({}, 50));
    EXPECT_LE(reactor_->wakeups() - before, 1U);
    reactor_->unwatch(*id);
}

// Pins: 7.3
TEST_F(ReactorThread, thread_stops_and_starts_again) {
    for (int round = 0; round < 20; ++round) {
        EXPECT_TRUE(reactor_->has_thread());
        ASSERT_TRUE(reactor_->start_thread());
        EXPECT_EQ(reactor_->use_own_loop().error().code, -EBUSY);
        Event done;
        Action action([&] { done.set(); });
        const UniqueFd event = ready_event();
        const auto id = watch(event, action);
        done.wait();
        reactor_->unwatch(id);
        reactor_->stop_thread();
        EXPECT_FALSE(reactor_->has_thread());
        reactor_->stop_thread();
        ASSERT_TRUE(reactor_->start_thread());
    }
    reactor_->stop_thread();
    ASSERT_TRUE(reactor_->use_own_loop());
    EXPECT_EQ(reactor_->start_thread().error().code, -EBUSY);
}

TEST_F(ReactorThread, what_becomes_ready_without_a_thread_is_handled_by_the_next) {
    reactor_->stop_thread();
    Event done;
    Action action([&] { done.set(); });
    const UniqueFd event = ready_event();
    const auto id = watch(event, action);
    ASSERT_TRUE(reactor_->start_thread());
    done.wait();
    reactor_->unwatch(id);
}

TEST_F(ReactorThread, many_threads_watch_and_unwatch) {
    std::atomic<unsigned> ran{0};
    Action action([&] { ++ran; });
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 200; ++round) {
                const UniqueFd event = ready_event();
                const auto id = watch(event, action);
                const auto deadline = reactor_->add_timer(action);
                reactor_->set_timer(*deadline, clock_.now());
                reactor_->remove_timer(*deadline);
                reactor_->unwatch(id);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_LE(ran, 1600U);
}

TEST_F(ReactorThread, fence_that_ends_around_its_watch_is_never_missed) {
    UserProvider provider;
    const auto context = provider.open_context();
    for (int round = 0; round < 500; ++round) {
        auto minted = (*context)->mint(0);
        ASSERT_TRUE(minted);
        std::atomic<int> seen{0};
        Event done;
        Action action([&] {
            if (++seen == 1) {
                done.set();
            }
        });
        std::thread maker(
            [promise = std::move(minted->promise)]() mutable { std::move(promise).end(0); });
        const auto id = watch(minted->fd, action);
        done.wait();
        maker.join();
        reactor_->unwatch(id);
        // The byte and the hang-up may come as two edges.
        EXPECT_GE(seen, 1);
        EXPECT_LE(seen, 2);
    }
}

/// Forks as an atfork handler would, runs `child`, and returns what it exited with.
int fork_with(Reactor& reactor, const std::function<int()>& in_child) {
    reactor.prepare_fork();
    const pid_t child = ::fork();
    if (child == 0) {
        reactor.abandon_after_fork();
        ::_exit(in_child());
    }
    reactor.resume_after_fork();
    int status = -1;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Pins: 7.4
TEST_F(ReactorThread, child_has_a_dead_reactor_and_none_of_its_descriptors) {
    Action action([] {});
    const auto event = sys::eventfd(0, 0);
    const auto id = watch(*event, action);
    const std::size_t before = testing::open_descriptors();
    const int status = fork_with(*reactor_, [&] {
        const bool dead = reactor_->watch(0, EPOLLIN, action, 0).error().code == -EIO &&
                          reactor_->change(id, EPOLLIN).error().code == -EIO &&
                          reactor_->add_timer(action).error().code == -EIO &&
                          reactor_->start_thread().error().code == -EIO &&
                          reactor_->use_own_loop().error().code == -EIO;
        reactor_->unwatch(id);
        reactor_->set_timer(Reactor::TimerId::None, std::nullopt);
        reactor_->remove_timer(Reactor::TimerId::None);
        reactor_->stop_thread();
        const bool quiet =
            reactor_->dispatch() == 0 && reactor_->fd() == -1 && !reactor_->has_thread();
        const bool closed = testing::open_descriptors() == before - 3;
        reactor_.reset();
        return dead && quiet && closed ? 0 : 1;
    });
    EXPECT_EQ(status, 0);
    // The parent's watch is still there.
    Event done;
    Action late([&] { done.set(); });
    reactor_->unwatch(id);
    const UniqueFd ready = ready_event();
    const auto late_id = watch(ready, late);
    done.wait();
    reactor_->unwatch(late_id);
}

// Pins: 7.4
TEST_F(ReactorThread, fork_waits_for_the_callback_that_runs) {
    Event entered;
    Event leave;
    std::atomic<bool> inside{false};
    Action action([&] {
        inside = true;
        entered.set();
        leave.wait();
        inside = false;
    });
    const UniqueFd event = ready_event();
    const auto id = watch(event, action);
    entered.wait();
    std::thread opener([&] { leave.set(); });
    EXPECT_EQ(fork_with(*reactor_, [&] { return inside ? 1 : 0; }), 0);
    opener.join();
    reactor_->unwatch(id);
}

// Pins: 7.4
TEST_F(ReactorThread, no_callback_starts_between_prepare_and_resume) {
    std::atomic<bool> forking{false};
    std::atomic<bool> disturbed{false};
    Event done;
    Action action([&] {
        disturbed = disturbed || forking;
        done.set();
    });
    reactor_->prepare_fork();
    forking = true;
    // Registering is possible meanwhile: whoever holds a lock that the forking thread wants next
    // must get through.
    const UniqueFd event = ready_event();
    const std::uint64_t before = reactor_->wakeups();
    const auto id = watch(event, action);
    while (reactor_->wakeups() == before) {
        std::this_thread::yield();
    }
    forking = false;
    reactor_->resume_after_fork();
    done.wait();
    EXPECT_FALSE(disturbed);
    reactor_->unwatch(id);
}

// Pins: 7.4
TEST_F(ReactorThread, fork_from_within_a_callback) {
    Event done;
    int status = -1;
    Action action([&] {
        status = fork_with(*reactor_, [] { return 7; });
        done.set();
    });
    const UniqueFd event = ready_event();
    const auto id = watch(event, action);
    done.wait();
    reactor_->unwatch(id);
    EXPECT_EQ(status, 7);
}

}  // namespace
}  // namespace v4lfence
