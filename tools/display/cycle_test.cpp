// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <limits>

#include "tools/display/cycle.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {
namespace {

/// A fence that the test ends.
struct Maker {
    v4lfence_promise* promise = nullptr;

    UniqueFd mint() {
        int fd = -1;
        promise = v4lfence_promise_create("user", &fd);
        return UniqueFd(fd);
    }
    void end(int error = 0) {
        if (promise != nullptr) {
            v4lfence_promise_end(std::exchange(promise, nullptr), error);
        }
    }
};

bool is_pending(int fence) {
    v4lfence_fence_result result{};
    return v4lfence_fence_status(fence, &result) == 0 && result.state == V4LFENCE_PENDING;
}

/// A camera that finishes a frame when it is told to, and holds buffers whose in-fence is pending.
class FakeQueue final : public CaptureQueue {
public:
    FakeQueue(unsigned count, bool out_fences) : out_fences_(out_fences), buffers_(count) {}
    ~FakeQueue() override {
        for (Buffer& buffer : buffers_) {
            buffer.maker.end(-ECANCELED);
        }
    }

    unsigned count() const override { return static_cast<unsigned>(buffers_.size()); }

    Attempt<QueuedFrame> queue(unsigned index, int in_fence) override {
        Buffer& buffer = buffers_[index];
        EXPECT_FALSE(buffer.queued) << "buffer " << index << " was queued twice";
        buffer.queued = true;
        buffer.number = next_number_++;
        buffer.in_fence = in_fence < 0 ? UniqueFd() : std::move(*sys::dup(in_fence));
        line_.push_back(index);
        QueuedFrame queued;
        queued.number = buffer.number;
        queued.held = buffer.in_fence && is_pending(buffer.in_fence.get());
        if (out_fences_) {
            queued.out_fence = buffer.maker.mint();
        }
        return queued;
    }

    Attempt<> start() override {
        started = true;
        return {};
    }

    Attempt<std::optional<TakenFrame>> take() override {
        if (lost) {
            return job_failed("it is gone");
        }
        if (done_.empty()) {
            return std::optional<TakenFrame>();
        }
        TakenFrame frame = done_.front();
        done_.pop_front();
        buffers_[frame.index].queued = false;
        return std::optional(frame);
    }

    void stop() override { stopped = true; }
    int fd() const override { return 1000; }
    std::string state_text(unsigned /*index*/) const override { return "somewhere"; }

    /// The buffer that has waited longest gets a frame; returns whether the device had it.
    bool finish(bool error = false) {
        if (line_.empty()) {
            return false;
        }
        const unsigned index = line_.front();
        Buffer& buffer = buffers_[index];
        if (buffer.in_fence && is_pending(buffer.in_fence.get())) {
            return false;
        }
        line_.pop_front();
        done_.push_back({buffer.number, index, sequence_++, 1, error, 100});
        buffer.maker.end(error ? -EIO : 0);
        return true;
    }

    /// Its out-fence ends, and the device goes on: what a bound does.
    void expire() { buffers_[line_.front()].maker.end(); }

    std::size_t with_device() const {
        std::size_t count = 0;
        for (const Buffer& buffer : buffers_) {
            count +=
                buffer.queued && !(buffer.in_fence && is_pending(buffer.in_fence.get())) ? 1 : 0;
        }
        return count;
    }

    bool started = false;
    bool stopped = false;
    bool lost = false;

private:
    struct Buffer {
        bool queued = false;
        std::uint64_t number = 0;
        UniqueFd in_fence;
        Maker maker;
    };

    const bool out_fences_;
    std::vector<Buffer> buffers_;
    std::deque<unsigned> line_;
    std::deque<TakenFrame> done_;
    std::uint64_t next_number_ = 0;
    std::uint32_t sequence_ = 0;
};

/// A display that flips when it is told to, if it may.
class FakeConsumer final : public Consumer {
public:
    explicit FakeConsumer(bool out_fences) : out_fences_(out_fences) {}
    ~FakeConsumer() override { out_.end(-ECANCELED); }

    const ConsumerInfo& info() const override { return info_; }
    bool shows(std::uint32_t /*fourcc*/) const override { return true; }
    Attempt<int> import(const CameraPicture& /*picture*/) override { return 1; }
    Attempt<DisplayPicture> allocate(std::uint32_t /*fourcc*/, ImageSize /*size*/) override {
        return DisplayPicture{};
    }
    void forget(int /*picture*/) override {}

    Result<UniqueFd> show(int picture, int in_fence) override {
        if (next != 0) {
            return fail(-EBUSY, "show");
        }
        if (in_fence >= 0 && !takes_fences) {
            return fail(-EINVAL, "show");
        }
        next = picture;
        in_fence_ = in_fence < 0 ? UniqueFd() : std::move(*sys::dup(in_fence));
        had_fence.push_back(in_fence >= 0);
        return out_fences_ ? out_.mint() : UniqueFd();
    }

    bool waits_for(int /*fence*/) const override { return takes_fences; }
    int fd() const override { return 2000; }

    Result<std::optional<Flip>> next_flip() override {
        if (flips_.empty()) {
            return std::optional<Flip>();
        }
        const Flip flip = flips_.front();
        flips_.pop_front();
        return std::optional(flip);
    }

    std::string why() const override { return "the display says no."; }

    /// Returns whether there was a commit whose fence had ended.
    bool flip() {
        if (next == 0 || (in_fence_ && is_pending(in_fence_.get()))) {
            return false;
        }
        Flip flip;
        flip.picture = next;
        flip.previous = std::exchange(shown, std::exchange(next, 0));
        flip.time_ns = flip_time_ns;
        flips_.push_back(flip);
        out_.end();
        return true;
    }

    int next = 0;
    int shown = 0;
    bool takes_fences = true;
    std::int64_t flip_time_ns = 1;
    std::vector<bool> had_fence;

private:
    const bool out_fences_;
    ConsumerInfo info_;
    UniqueFd in_fence_;
    Maker out_;
    std::deque<Flip> flips_;
};

class Told final : public CycleListener {
public:
    void taken(const TakenFrame& frame) override { taken_frames.push_back(frame); }
    void shown(const ShownFrame& shown) override { shown_frames.push_back(shown); }
    void queued_again(bool on_screen) override {
        ++again;
        early += on_screen ? 1 : 0;
    }

    std::vector<TakenFrame> taken_frames;
    std::vector<ShownFrame> shown_frames;
    int again = 0;
    int early = 0;
};

constexpr CycleRules both_ways{true, false, true, 0};
constexpr CycleRules cpu_waits{false, false, true, 0};
constexpr CycleRules no_fences{false, false, false, 0};

struct Rig {
    explicit Rig(unsigned buffers, const CycleRules& rules, bool camera_fences = true)
        : queue(buffers, camera_fences), consumer(rules.release_fences),
          cycle(queue, consumer, std::span(pictures).first(buffers), rules, told) {}

    /// Does one thing that can happen, and the program's answer to it.
    void flip() {
        EXPECT_TRUE(consumer.flip());
        EXPECT_TRUE(cycle.step());
    }
    void finish(bool error = false) { EXPECT_TRUE(queue.finish(error)); }
    /// ... that the program waited for.
    void finish_and_step(bool error = false) {
        finish(error);
        EXPECT_TRUE(cycle.step());
    }

    std::array<int, 4> pictures = {11, 12, 13, 14};
    Told told;
    FakeQueue queue;
    FakeConsumer consumer;
    DisplayCycle cycle;
};

TEST(DisplayCycle, the_first_picture_is_handed_over_before_its_frame) {
    Rig rig(3, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    EXPECT_TRUE(rig.queue.started);
    EXPECT_EQ(rig.consumer.next, 11);
    EXPECT_EQ(rig.cycle.awaited(), rig.consumer.fd());
    EXPECT_FALSE(rig.consumer.flip()) << "its frame is not there";
    rig.finish();
    EXPECT_TRUE(rig.consumer.flip());
}

TEST(DisplayCycle, a_flip_hands_over_the_next_and_sends_the_old_one_back_with_its_fence) {
    Rig rig(3, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish();
    rig.flip();
    EXPECT_EQ(rig.consumer.next, 12);
    // 11 is on screen: it is queued, and held until 12 is there.
    EXPECT_EQ(rig.told.shown_frames.size(), 1U);
    EXPECT_EQ(rig.cycle.counters().fences_to_camera, 1U);
    EXPECT_EQ(rig.cycle.counters().held_at_qbuf, 1U);
    EXPECT_EQ(rig.queue.with_device(), 2U);
    rig.finish();
    rig.flip();
    EXPECT_EQ(rig.queue.with_device(), 2U) << "11 is back, 12 is held";
    EXPECT_EQ(rig.told.early, 0);
}

TEST(DisplayCycle, two_buffers_go_round) {
    Rig rig(2, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    for (unsigned frame = 0; frame < 20; ++frame) {
        rig.finish();
        EXPECT_TRUE(frame == 0 || !rig.queue.finish()) << "the other one is on screen, and held";
        rig.flip();
        EXPECT_EQ(rig.told.shown_frames.size(), frame + 1);
        EXPECT_EQ(rig.told.shown_frames.back().frame.sequence, frame);
    }
    EXPECT_EQ(rig.cycle.counters().early_commits, rig.cycle.counters().commits);
    EXPECT_EQ(rig.told.early, 0);
}

TEST(DisplayCycle, frames_ahead_of_the_display_stay_in_order) {
    Rig rig(4, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish();
    rig.finish();
    rig.finish();
    for (unsigned frame = 0; frame < 3; ++frame) {
        rig.flip();
    }
    ASSERT_EQ(rig.told.shown_frames.size(), 3U);
    for (std::uint32_t frame = 0; frame < 3; ++frame) {
        EXPECT_EQ(rig.told.shown_frames[frame].frame.sequence, frame);
        EXPECT_EQ(rig.told.shown_frames[frame].flip.picture, rig.pictures[frame]);
    }
}

TEST(DisplayCycle, a_bad_frame_that_the_display_had_already_is_shown_and_told) {
    Rig rig(3, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish(true);
    rig.flip();
    ASSERT_EQ(rig.told.shown_frames.size(), 1U);
    EXPECT_TRUE(rig.told.shown_frames[0].frame.error);
    EXPECT_EQ(rig.cycle.counters().skipped, 0U);
}

TEST(DisplayCycle, a_bad_frame_that_the_cpu_waited_for_is_not_shown) {
    Rig rig(3, cpu_waits);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish_and_step(true);
    EXPECT_EQ(rig.consumer.next, 0);
    EXPECT_EQ(rig.cycle.counters().skipped, 1U);
    rig.finish_and_step();
    EXPECT_EQ(rig.consumer.next, 12);
}

TEST(DisplayCycle, without_early_shows_it_waits_for_the_frames_fence) {
    Rig rig(3, cpu_waits);
    ASSERT_TRUE(rig.cycle.start());
    EXPECT_EQ(rig.consumer.next, 0);
    const auto awaited = rig.cycle.awaited();
    ASSERT_TRUE(awaited);
    EXPECT_TRUE(is_pending(*awaited));
    rig.finish();
    EXPECT_FALSE(is_pending(*awaited));
    ASSERT_TRUE(rig.cycle.step());
    EXPECT_EQ(rig.consumer.next, 11);
    EXPECT_EQ(rig.consumer.had_fence, std::vector<bool>{false});
    EXPECT_EQ(rig.cycle.awaited(), rig.consumer.fd());
}

TEST(DisplayCycle, the_displays_fences_go_back_even_where_the_cpu_waits_for_frames) {
    Rig rig(3, cpu_waits);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish_and_step();
    rig.flip();
    EXPECT_EQ(rig.told.again, 0) << "nothing replaces 11 yet";
    rig.finish_and_step();
    EXPECT_EQ(rig.told.again, 1);
    EXPECT_EQ(rig.cycle.counters().held_at_qbuf, 1U);
    rig.flip();
    rig.finish_and_step();
    rig.flip();
    EXPECT_EQ(rig.told.early, 0);
    EXPECT_EQ(rig.told.shown_frames.size(), 3U);
}

TEST(DisplayCycle, without_fences_a_buffer_goes_back_after_the_flip_that_replaces_it) {
    Rig rig(2, no_fences, false);
    ASSERT_TRUE(rig.cycle.start());
    EXPECT_EQ(rig.cycle.awaited(), rig.queue.fd());
    for (unsigned frame = 0; frame < 10; ++frame) {
        rig.finish_and_step();
        EXPECT_EQ(rig.told.again, static_cast<int>(frame == 0 ? 0 : frame - 1));
        rig.flip();
        EXPECT_EQ(rig.told.again, static_cast<int>(frame));
    }
    EXPECT_EQ(rig.told.early, 0);
    EXPECT_EQ(rig.cycle.counters().fences_to_camera, 0U);
}

// Pins: 5.7
TEST(DisplayCycle, fences_that_the_display_no_longer_takes_make_the_cpu_wait) {
    Rig rig(3, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish();
    rig.consumer.takes_fences = false;
    rig.flip();
    EXPECT_EQ(rig.consumer.next, 0) << "it was refused, and nothing else happened";
    EXPECT_FALSE(rig.cycle.rules().early);
    rig.finish_and_step();
    EXPECT_EQ(rig.consumer.next, 12);
    rig.flip();
    EXPECT_EQ(rig.told.shown_frames.size(), 2U);
    EXPECT_EQ(rig.told.early, 0);
}

TEST(DisplayCycle, a_picture_whose_fence_was_ended_by_its_bound_is_told_when_its_frame_comes) {
    Rig rig(2, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    rig.queue.expire();
    rig.flip();
    EXPECT_EQ(rig.told.shown_frames.size(), 0U) << "the device has the buffer";
    EXPECT_EQ(rig.told.again, 0);
    rig.finish();
    rig.finish();
    rig.flip();
    EXPECT_EQ(rig.told.shown_frames.size(), 2U);
    EXPECT_EQ(rig.told.early, 0);
    rig.finish();
    rig.flip();
    EXPECT_EQ(rig.told.shown_frames.size(), 3U);
}

TEST(DisplayCycle, a_fence_that_ended_without_a_frame_is_not_waited_for_again) {
    Rig rig(2, cpu_waits);
    ASSERT_TRUE(rig.cycle.start());
    rig.queue.expire();
    ASSERT_TRUE(rig.cycle.step());
    EXPECT_EQ(rig.cycle.awaited(), rig.queue.fd());
    rig.finish_and_step();
    EXPECT_EQ(rig.consumer.next, 11);
}

TEST(DisplayCycle, shows_as_many_as_it_may_and_keeps_the_last_one) {
    CycleRules rules = both_ways;
    rules.commits_max = 2;
    Rig rig(3, rules);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish();
    rig.flip();
    rig.finish();
    rig.flip();
    EXPECT_EQ(rig.cycle.shown(), 2U);
    EXPECT_EQ(rig.consumer.next, 0);
    EXPECT_EQ(rig.cycle.awaited(), std::nullopt);
    EXPECT_EQ(rig.cycle.on_screen(), 1U);
    EXPECT_EQ(rig.told.again, 1) << "what is on screen stays out of the queue";
}

TEST(DisplayCycle, the_last_frame_is_waited_for_if_its_fence_ended_before_it) {
    CycleRules rules = both_ways;
    rules.commits_max = 1;
    Rig rig(2, rules);
    ASSERT_TRUE(rig.cycle.start());
    rig.queue.expire();
    rig.flip();
    EXPECT_EQ(rig.cycle.shown(), 1U);
    EXPECT_EQ(rig.cycle.told(), 0U);
    EXPECT_EQ(rig.cycle.awaited(), rig.queue.fd());
    rig.finish_and_step();
    EXPECT_EQ(rig.cycle.told(), 1U);
    EXPECT_EQ(rig.cycle.awaited(), std::nullopt);
}

TEST(DisplayCycle, a_flip_cannot_have_been_before_its_commit) {
    Rig rig(2, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish();
    rig.flip();
    ASSERT_EQ(rig.told.shown_frames.size(), 1U);
    EXPECT_EQ(rig.told.shown_frames[0].flip.time_ns, rig.told.shown_frames[0].seen_ns);
    rig.finish();
    rig.consumer.flip_time_ns = std::numeric_limits<std::int64_t>::max();
    rig.flip();
    EXPECT_EQ(rig.told.shown_frames[1].flip.time_ns, rig.consumer.flip_time_ns);
}

TEST(DisplayCycle, what_is_on_its_way_when_it_stops_does_not_count) {
    Rig rig(2, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    rig.cycle.stop();
    EXPECT_TRUE(rig.queue.stopped);
    EXPECT_GT(rig.cycle.fences_pending(), 0U) << "this camera leaves its fences pending";
    rig.queue.finish();
    rig.flip();
    EXPECT_FALSE(rig.cycle.commit_under_way());
    EXPECT_EQ(rig.cycle.shown(), 0U);
    EXPECT_TRUE(rig.told.shown_frames.empty());
}

TEST(DisplayCycle, a_camera_that_fails_ends_it_with_its_sentence) {
    Rig rig(2, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish();
    rig.queue.lost = true;
    ASSERT_TRUE(rig.consumer.flip());
    const auto stepped = rig.cycle.step();
    ASSERT_FALSE(stepped);
    EXPECT_EQ(stepped.error().message, "it is gone");
}

TEST(DisplayCycle, diagnosis_says_where_each_buffer_is) {
    Rig rig(2, both_ways);
    ASSERT_TRUE(rig.cycle.start());
    rig.finish();
    rig.flip();
    const std::string text = rig.cycle.diagnosis();
    EXPECT_NE(text.find("buffer 0: on screen, somewhere; its out-fence is pending"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("buffer 1: on its way to the screen"), std::string::npos) << text;
}

}  // namespace
}  // namespace v4lfence
