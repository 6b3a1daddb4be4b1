// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/reactor.hpp"
#include "v4lfence/fence/testing/scripted_clock.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;
using testing::ScriptedClock;

/// Runs a function for each event, or records its cookie.
class Recorder final : public Reactor::Listener, public Reactor::TimerListener {
public:
    explicit Recorder(std::function<void(std::uint64_t)> act = {}) : act_(std::move(act)) {}

    void on_ready(std::uint64_t cookie, std::uint32_t events) override {
        last_events = events;
        note(cookie);
    }
    void on_deadline(MonotonicTime now) override {
        last_time = now;
        note(0);
    }

    std::vector<std::uint64_t> seen;
    std::uint32_t last_events = 0;
    MonotonicTime last_time;

private:
    void note(std::uint64_t cookie) {
        seen.push_back(cookie);
        if (act_) {
            act_(cookie);
        }
    }
    std::function<void(std::uint64_t)> act_;
};

UniqueFd ready_event() {
    return std::move(*sys::eventfd(1, 0));
}

class ReactorTest : public ::testing::Test {
protected:
    void SetUp() override { reactor_ = Reactor::create(clock_); }

    Reactor::WatchId watch(const UniqueFd& fd, Reactor::Listener& listener,
                           std::uint64_t cookie = 0) {
        const auto id = reactor_->watch(fd.get(), EPOLLIN | EPOLLET, listener, cookie);
        EXPECT_TRUE(id);
        EXPECT_NE(*id, Reactor::WatchId::None);
        return *id;
    }

    Reactor::TimerId timer(Reactor::TimerListener& listener, Deadline deadline) {
        const auto id = reactor_->add_timer(listener);
        EXPECT_TRUE(id);
        EXPECT_NE(*id, Reactor::TimerId::None);
        reactor_->set_timer(*id, deadline);
        return *id;
    }

    ScriptedClock clock_;
    std::unique_ptr<Reactor> reactor_;
};

TEST_F(ReactorTest, ready_watch_is_called_once_with_its_cookie) {
    Recorder recorder;
    const UniqueFd event = ready_event();
    const auto id = watch(event, recorder, 42);
    EXPECT_EQ(reactor_->dispatch(), 1U);
    EXPECT_EQ(recorder.seen, std::vector<std::uint64_t>{42});
    EXPECT_EQ(recorder.last_events, std::uint32_t{EPOLLIN});
    EXPECT_EQ(reactor_->dispatch(), 0U);
    reactor_->unwatch(id);
}

TEST_F(ReactorTest, fd_is_readable_while_there_is_something_to_do) {
    Recorder recorder;
    ASSERT_TRUE(reactor_->use_own_loop());
    EXPECT_EQ(sys::poll_now(reactor_->fd(), POLLIN), short{0});
    const UniqueFd event = ready_event();
    const auto id = watch(event, recorder);
    EXPECT_EQ(sys::poll_now(reactor_->fd(), POLLIN), short{POLLIN});
    reactor_->dispatch();
    EXPECT_EQ(sys::poll_now(reactor_->fd(), POLLIN), short{0});
    reactor_->unwatch(id);
}

TEST_F(ReactorTest, renewed_watch_tells_again_what_is_ready) {
    Recorder recorder;
    const UniqueFd event = ready_event();
    const auto id = watch(event, recorder, 42);
    EXPECT_EQ(reactor_->dispatch(), 1U);
    EXPECT_EQ(reactor_->dispatch(), 0U);
    ASSERT_TRUE(reactor_->renew(id, EPOLLIN));
    EXPECT_EQ(reactor_->dispatch(), 1U);
    EXPECT_EQ(recorder.seen, (std::vector<std::uint64_t>{42, 42}));
    reactor_->unwatch(id);
    EXPECT_EQ(reactor_->renew(id, EPOLLIN).error().code, -ENOENT);
}

TEST_F(ReactorTest, hung_up_descriptor_does_not_spin) {
    Recorder recorder;
    auto pipe = sys::pipe(O_NONBLOCK);
    // Even if the caller forgets EPOLLET.
    const auto id = reactor_->watch(pipe->read_end.get(), EPOLLIN, recorder, 1);
    ASSERT_TRUE(id);
    pipe->write_end.reset();
    EXPECT_EQ(reactor_->dispatch(), 1U);
    EXPECT_EQ(reactor_->dispatch(), 0U);
    EXPECT_EQ(sys::poll_now(reactor_->fd(), POLLIN), short{0});
    reactor_->unwatch(*id);
}

TEST_F(ReactorTest, descriptor_closed_too_early_does_not_spin) {
    Recorder recorder;
    UniqueFd event = ready_event();
    const auto kept_alive = sys::dup(event.get());
    const auto id = watch(event, recorder);
    event.reset();
    reactor_->unwatch(id);
    EXPECT_EQ(reactor_->dispatch(), 0U);
    EXPECT_EQ(sys::poll_now(reactor_->fd(), POLLIN), short{0});
    EXPECT_TRUE(recorder.seen.empty());
}

TEST_F(ReactorTest, wrong_descriptors_are_refused) {
    Recorder recorder;
    const auto file = sys::open("/proc/self/exe", O_RDONLY);
    EXPECT_EQ(reactor_->watch(file->get(), EPOLLIN, recorder, 0).error().code, -EPERM);
    EXPECT_EQ(reactor_->watch(-1, EPOLLIN, recorder, 0).error().code, -EBADF);
    const UniqueFd event = ready_event();
    const auto id = watch(event, recorder);
    EXPECT_EQ(reactor_->watch(event.get(), EPOLLIN, recorder, 0).error().code, -EEXIST);
    reactor_->unwatch(id);
    EXPECT_EQ(reactor_->change(id, EPOLLIN).error().code, -ENOENT);
    EXPECT_EQ(reactor_->change(Reactor::WatchId::None, EPOLLIN).error().code, -ENOENT);
}

TEST_F(ReactorTest, change_looks_again) {
    Recorder recorder;
    const UniqueFd event = ready_event();
    const auto id = reactor_->watch(event.get(), 0, recorder, 3);
    ASSERT_TRUE(id);
    EXPECT_EQ(reactor_->dispatch(), 0U);
    ASSERT_TRUE(reactor_->change(*id, EPOLLIN));
    EXPECT_EQ(reactor_->dispatch(), 1U);
    reactor_->unwatch(*id);
}

TEST_F(ReactorTest, many_watches_are_each_called_once) {
    constexpr unsigned count = 400;
    Recorder recorder;
    std::vector<UniqueFd> events;
    std::vector<Reactor::WatchId> ids;
    for (unsigned i = 0; i < count; ++i) {
        events.push_back(ready_event());
        ids.push_back(watch(events.back(), recorder, i));
    }
    std::size_t ran = 0;
    while (const std::size_t now = reactor_->dispatch()) {
        EXPECT_LE(now, 64U);
        ran += now;
    }
    EXPECT_EQ(ran, count);
    std::vector<bool> called(count);
    for (const std::uint64_t cookie : recorder.seen) {
        EXPECT_FALSE(called[cookie]);
        called[cookie] = true;
    }
    for (const auto id : ids) {
        reactor_->unwatch(id);
    }
}

TEST_F(ReactorTest, place_of_a_removed_watch_is_used_again_under_a_new_id) {
    Recorder recorder;
    const UniqueFd event = ready_event();
    const auto first = watch(event, recorder, 1);
    reactor_->unwatch(first);
    const auto second = watch(event, recorder, 2);
    EXPECT_NE(first, second);
    reactor_->unwatch(first);
    EXPECT_EQ(reactor_->dispatch(), 1U);
    EXPECT_EQ(recorder.seen, std::vector<std::uint64_t>{2});
    reactor_->unwatch(second);
}

TEST_F(ReactorTest, watch_removed_by_an_earlier_callback_of_the_batch_is_not_called) {
    std::array<Reactor::WatchId, 2> ids{};
    Recorder recorder([&](std::uint64_t cookie) { reactor_->unwatch(ids[1 - cookie]); });
    const UniqueFd first = ready_event();
    const UniqueFd second = ready_event();
    ids[0] = watch(first, recorder, 0);
    ids[1] = watch(second, recorder, 1);
    EXPECT_EQ(reactor_->dispatch(), 1U);
    EXPECT_EQ(reactor_->dispatch(), 0U);
    EXPECT_EQ(recorder.seen.size(), 1U);
    reactor_->unwatch(ids[0]);
    reactor_->unwatch(ids[1]);
}

TEST_F(ReactorTest, callback_may_remove_itself_and_add_others) {
    Reactor::WatchId own{};
    Reactor::WatchId added{};
    const UniqueFd other = ready_event();
    Recorder late;
    Recorder recorder([&](std::uint64_t) {
        reactor_->unwatch(own);
        added = watch(other, late, 9);
    });
    const UniqueFd event = ready_event();
    own = watch(event, recorder);
    EXPECT_EQ(reactor_->dispatch(), 1U);
    EXPECT_EQ(reactor_->dispatch(), 1U);
    EXPECT_EQ(late.seen, std::vector<std::uint64_t>{9});
    reactor_->unwatch(added);
}

TEST_F(ReactorTest, dispatch_within_a_callback_does_nothing) {
    std::size_t nested = 1;
    Recorder recorder([&](std::uint64_t) { nested = reactor_->dispatch(); });
    const UniqueFd first = ready_event();
    const UniqueFd second = ready_event();
    const auto a = watch(first, recorder);
    const auto b = watch(second, recorder);
    EXPECT_EQ(reactor_->dispatch(), 2U);
    EXPECT_EQ(nested, 0U);
    reactor_->unwatch(a);
    reactor_->unwatch(b);
}

TEST_F(ReactorTest, deadlines_run_in_their_order) {
    std::vector<int> order;
    Recorder late([&](std::uint64_t) { order.push_back(3); });
    Recorder middle([&](std::uint64_t) { order.push_back(2); });
    Recorder early([&](std::uint64_t) { order.push_back(1); });
    const MonotonicTime start = clock_.now();
    const auto c = timer(late, start + 30ms);
    const auto a = timer(early, start + 10ms);
    const auto b = timer(middle, start + 20ms);
    EXPECT_EQ(reactor_->dispatch(), 0U);
    clock_.advance(10ms);
    EXPECT_EQ(reactor_->dispatch(), 1U);
    EXPECT_EQ(early.last_time, clock_.now());
    clock_.advance(1h);
    EXPECT_EQ(reactor_->dispatch(), 2U);
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
    EXPECT_EQ(reactor_->dispatch(), 0U) << "a deadline is met once";
    for (const auto id : {a, b, c}) {
        reactor_->remove_timer(id);
    }
}

TEST_F(ReactorTest, deadline_moved_or_disarmed_does_not_run_at_the_old_time) {
    Recorder recorder;
    const auto id = timer(recorder, clock_.now() + 10ms);
    reactor_->set_timer(id, clock_.now() + 1h);
    clock_.advance(1min);
    EXPECT_EQ(reactor_->dispatch(), 0U);
    clock_.advance(1h);
    EXPECT_EQ(reactor_->dispatch(), 1U);
    reactor_->set_timer(id, clock_.now() + 1ms);
    reactor_->set_timer(id, std::nullopt);
    clock_.advance(1h);
    EXPECT_EQ(reactor_->dispatch(), 0U);
    reactor_->remove_timer(id);
}

TEST_F(ReactorTest, timer_may_be_armed_again_by_its_own_callback) {
    Reactor::TimerId id{};
    Recorder recorder([&](std::uint64_t) { reactor_->set_timer(id, clock_.now() + 5ms); });
    id = timer(recorder, clock_.now() + 5ms);
    for (std::size_t i = 1; i <= 3; ++i) {
        clock_.advance(5ms);
        EXPECT_EQ(reactor_->dispatch(), 1U);
        EXPECT_EQ(recorder.seen.size(), i);
    }
    reactor_->remove_timer(id);
}

TEST_F(ReactorTest, timer_armed_for_the_past_does_not_hold_the_dispatcher) {
    Reactor::TimerId id{};
    Recorder recorder([&](std::uint64_t) { reactor_->set_timer(id, clock_.now() - 1s); });
    id = timer(recorder, clock_.now() - 1s);
    EXPECT_EQ(reactor_->dispatch(), 64U);
    reactor_->remove_timer(id);
    EXPECT_EQ(reactor_->dispatch(), 0U);
}

TEST_F(ReactorTest, removed_timer_does_not_run) {
    Recorder recorder;
    const auto id = timer(recorder, clock_.now());
    reactor_->remove_timer(id);
    EXPECT_EQ(reactor_->dispatch(), 0U);
    reactor_->set_timer(id, clock_.now());
    EXPECT_EQ(reactor_->dispatch(), 0U);
}

TEST_F(ReactorTest, ready_watches_come_before_deadlines) {
    std::vector<int> order;
    Recorder deadline([&](std::uint64_t) { order.push_back(2); });
    Recorder ready([&](std::uint64_t) { order.push_back(1); });
    const auto t = timer(deadline, clock_.now());
    const UniqueFd event = ready_event();
    const auto w = watch(event, ready);
    EXPECT_EQ(reactor_->dispatch(), 2U);
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
    reactor_->remove_timer(t);
    reactor_->unwatch(w);
}

// Pins: 7.5
TEST_F(ReactorTest, own_descriptors_are_high) {
    const UniqueFd watched = ready_event();
    Recorder recorder;
    ASSERT_TRUE(reactor_->watch(watched.get(), EPOLLIN, recorder, 0));
    EXPECT_GE(reactor_->fd(), 256);
    EXPECT_EQ(sys::eventfd(0, 0)->get() < 256, true);
}

// Pins: 2.1
TEST(Reactor, first_watch_without_descriptors_leaves_nothing_behind) {
    const SystemClock clock;
    const UniqueFd ready = ready_event();
    Recorder recorder;
    const unsigned failures = testing::until_it_fits([&](unsigned limit) {
        const auto reactor = Reactor::create(clock);
        const std::size_t before = testing::open_descriptors();
        const auto watched = [&] {
            const testing::DescriptorLimit lowered(limit);
            return reactor->watch(ready.get(), EPOLLIN, recorder, 0);
        }();
        if (!watched) {
            EXPECT_EQ(watched.error().code, -EMFILE);
            EXPECT_EQ(testing::open_descriptors(), before);
            return false;
        }
        reactor->unwatch(*watched);
        return true;
    });
    EXPECT_GE(failures, 3U);
}

TEST(Reactor, idle_gives_descriptors_back) {
    const SystemClock clock;
    const UniqueFd ready = ready_event();
    Recorder recorder;
    const std::size_t before = testing::open_descriptors();
    const auto reactor = Reactor::create(clock);
    const auto watched = reactor->watch(ready.get(), EPOLLIN, recorder, 0);
    ASSERT_TRUE(watched);
    reactor->close_idle();
    EXPECT_EQ(testing::open_descriptors(), before + 3);  // It is not idle.
    reactor->unwatch(*watched);
    reactor->close_idle();
    EXPECT_EQ(testing::open_descriptors(), before);
    ASSERT_TRUE(reactor->watch(ready.get(), EPOLLIN, recorder, 0));
    EXPECT_EQ(reactor->dispatch(), 1U);
}

}  // namespace
}  // namespace v4lfence
