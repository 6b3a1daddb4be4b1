// SPDX-License-Identifier: MIT
//
// Controls and events under real threads, for the sanitizers too.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <thread>

#include "v4lfence/v4l2/controls.hpp"
#include "v4lfence/v4l2/testing/control_rig.hpp"

namespace v4lfence {
namespace {

using namespace testing;

/// Shows what poll() would: written under the queue's lock, read by its test.
class Shown final : public EventListener {
public:
    void events_changed(unsigned pending) override {
        EXPECT_EQ(inside_.fetch_add(1), 0) << "one call at a time";
        ready_ = pending != 0;
        inside_.fetch_sub(1);
    }
    bool ready() const { return ready_.load(); }

private:
    std::atomic<int> inside_{0};
    std::atomic<bool> ready_{false};
};

TEST(ControlThreads, sink_hears_of_values_in_the_order_in_which_they_are_stored) {
    ControlRig rig;
    std::atomic<int> inside{0};
    std::int64_t last = 0;
    rig.sink.on_set = [&](std::uint32_t, const ControlValue& value) -> Result<> {
        EXPECT_EQ(inside.fetch_add(1), 0) << "one at a time";
        last = value.number;
        inside.fetch_sub(1);
        return {};
    };
    std::vector<std::thread> setters;
    for (int setter = 0; setter < 3; ++setter) {
        setters.emplace_back([&rig, setter] {
            for (int round = 0; round < 2000; ++round) {
                EXPECT_EQ(rig.s_ctrl(brightness, (round * 3 + setter) % 256), 0);
            }
        });
    }
    for (std::thread& setter : setters) {
        setter.join();
    }
    EXPECT_EQ(rig.set->value(brightness), last);
}

TEST(ControlThreads, readers_and_the_driver_pass_a_slow_sink_by) {
    ControlRig rig;
    std::promise<void> entered;
    std::promise<void> leave;
    rig.sink.on_set = [&](std::uint32_t, const ControlValue&) -> Result<> {
        entered.set_value();
        leave.get_future().wait();
        return {};
    };
    std::thread setter([&rig] { EXPECT_EQ(rig.s_ctrl(brightness, 1), 0); });
    entered.get_future().wait();
    EXPECT_EQ(rig.g_ctrl(brightness).value(), 128);
    EXPECT_TRUE(rig.set->set_value(frames, 4));
    EXPECT_TRUE(rig.file.subscribe(V4L2_EVENT_CTRL, frames, V4L2_EVENT_SUB_FL_SEND_INITIAL));
    EXPECT_EQ(rig.file.queue.dequeue()->u.ctrl.value, 4);
    EXPECT_EQ(rig.set->log_status().empty(), false);
    leave.set_value();
    setter.join();
    EXPECT_EQ(rig.g_ctrl(brightness).value(), 1);
}

TEST(ControlThreads, last_event_has_the_last_value_however_late_one_subscribes) {
    ControlRig rig;
    for (int round = 0; round < 300; ++round) {
        std::thread driver([&rig, round] {
            for (int step = 1; step <= 5; ++step) {
                EXPECT_TRUE(rig.set->set_value(frames, round * 10 + step));
            }
        });
        RigFile late(rig.hub, rig.set.get());
        ASSERT_TRUE(late.subscribe(V4L2_EVENT_CTRL, frames, V4L2_EVENT_SUB_FL_SEND_INITIAL));
        driver.join();
        std::int64_t seen = -1;
        while (const Result<v4l2_event> event = late.queue.dequeue()) {
            seen = event->u.ctrl.value;
        }
        ASSERT_EQ(seen, round * 10 + 5);
    }
}

TEST(ControlThreads, listener_agrees_with_the_queue_in_the_end) {
    ControlRig rig;
    Shown shown;
    EventQueue queue(rig.hub, rig.set.get(), shown);
    const v4l2_event_subscription initial =
        RigFile::subscription(V4L2_EVENT_CTRL, frames, V4L2_EVENT_SUB_FL_SEND_INITIAL);
    ASSERT_TRUE(queue.subscribe(initial));
    std::atomic<bool> stop{false};
    std::atomic<unsigned> fetched{0};
    std::atomic<unsigned> openings{0};
    std::thread reader([&] {
        while (!stop.load()) {
            if (queue.dequeue()) {
                fetched.fetch_add(1);
            }
            std::this_thread::yield();
        }
    });
    std::thread opener([&] {
        while (!stop.load()) {
            Shown brief;
            EventQueue opened(rig.hub, rig.set.get(), brief);
            EXPECT_TRUE(opened.subscribe(initial));
            EXPECT_TRUE(brief.ready()) << "before subscribe() returns";
            openings.fetch_add(1);
        }
    });
    // At least as long as it takes the threads to be there.
    for (int frame = 1; frame <= 5000 || fetched.load() < 50 || openings.load() < 50; ++frame) {
        ASSERT_TRUE(rig.set->set_value(frames, frame));
    }
    stop = true;
    reader.join();
    opener.join();
    EXPECT_EQ(shown.ready(), queue.pending() > 0);
    ASSERT_TRUE(rig.set->set_value(frames, 0));
    EXPECT_TRUE(shown.ready());
    while (queue.dequeue()) {}
    EXPECT_FALSE(shown.ready());
}

TEST(ControlThreads, everything_at_once_is_consistent) {
    ControlRig rig;
    std::atomic<bool> stop{false};
    rig.sink.on_set = [&rig](std::uint32_t id, const ControlValue& value) -> Result<> {
        if (id == label) {
            EXPECT_EQ(value.text().size() % 2, 0U);
        }
        return rig.set->set_value(frames, value.number & 0xff);
    };
    std::atomic<unsigned> busy{0};
    const auto worker = [&stop, &busy](auto work) {
        return std::thread([&stop, &busy, work]() mutable {
            for (unsigned round = 0; !stop.load(); ++round) {
                work();
                busy.fetch_add(round == 50 ? 1 : 0);
                std::this_thread::yield();
            }
        });
    };
    std::thread workers[] = {
        worker([&rig, round = 0]() mutable {
            std::array<char, 9> text{"abcdefgh"};
            text[static_cast<std::size_t>(++round % 4 * 2 + 2)] = '\0';
            std::array<std::uint16_t, 6> grid{};
            grid.fill(static_cast<std::uint16_t>(round % 90 * 10 + 10));
            v4l2_ext_control elements[] = {number(brightness, round), pointer(label, text),
                                           pointer(matrix, grid)};
            v4l2_ext_controls head{};
            EXPECT_TRUE(rig.set->set_ext(head, elements, &rig.file.queue));
        }),
        worker([&rig] {
            std::array<char, 9> text{};
            std::array<std::uint16_t, 6> grid{};
            v4l2_ext_control elements[] = {pointer(label, text), pointer(matrix, grid)};
            v4l2_ext_controls head{};
            EXPECT_TRUE(rig.set->get_ext(head, elements));
            EXPECT_EQ(grid.front(), grid.back()) << "half a payload";
            EXPECT_TRUE(rig.set->try_ext(head, elements));
        }),
        worker([&rig, round = 0]() mutable {
            (void)rig.set->set_range(brightness, {0, ++round % 2 == 0 ? 255 : 100, 1, 50});
            (void)rig.set->set_flags(hflip, V4L2_CTRL_FLAG_GRABBED,
                                     round % 2 == 0 ? 0 : V4L2_CTRL_FLAG_GRABBED);
        }),
        worker([&rig] {
            v4l2_query_ext_ctrl query{};
            query.id = brightness;
            EXPECT_TRUE(rig.set->query(query));
            EXPECT_LE(rig.set->value(brightness), 255);
            (void)rig.set->log_status();
        }),
        worker([&rig] {
            (void)rig.other.subscribe(V4L2_EVENT_CTRL, brightness, V4L2_EVENT_SUB_FL_SEND_INITIAL);
            (void)rig.other.queue.dequeue();
            rig.other.unsubscribe(V4L2_EVENT_ALL);
        }),
    };
    for (int round = 0; round < 3000 || busy.load() < std::size(workers); ++round) {
        (void)rig.s_ctrl(hflip, round % 2);
    }
    stop = true;
    for (std::thread& one : workers) {
        one.join();
    }
    EXPECT_EQ(rig.other.queue.pending(), 0U);
}

}  // namespace
}  // namespace v4lfence
