// SPDX-License-Identifier: MIT
//
// FrameMaker stepped by hand, so that a buffer may come at any moment of a step.

#include <gtest/gtest.h>

#include "v4lfence/drivers/camera/frame_maker.hpp"
#include "v4lfence/vb2/queue.hpp"

namespace v4lfence {
namespace {

const MonotonicTime start = from_ns(1'000'000'000);
constexpr Nanoseconds tick{1'000};

class HeldClock final : public Clock {
public:
    MonotonicTime now() const override { return time; }

    MonotonicTime time = start;
};

class FrameMakerSteps : public ::testing::Test, private Driver, private ReadyListener {
protected:
    FrameMakerSteps() {
        QueueTraits traits;
        traits.memory_kinds = memory_bit(MemoryKind::Mmap);
        queue = std::move(*Queue::create(traits, *this, core_, makers_, *this));
        EXPECT_TRUE(queue->request_buffers(MemoryKind::Mmap, 4));
    }

    ~FrameMakerSteps() override {
        queue->stream_off();
        queue.reset();
    }

    void set(const FrameSettings& wanted) {
        auto painter = FramePainter::create(format_, PictureSettings());
        ASSERT_TRUE(painter);
        maker.change(wanted, std::make_unique<FramePainter>(std::move(*painter)));
    }

    void enqueue(unsigned index) {
        const FileOptions options;
        EXPECT_TRUE(queue->queue(index, BufferSettings(), {}, options));
    }

    HeldClock clock;
    CameraFaults faults;
    FrameMaker maker{faults, clock};
    std::unique_ptr<Queue> queue;
    FrameSettings settings{{1, 30}};
    bool woken = false;
    bool start_fails = false;
    unsigned given = 0;

private:
    Result<BufferShape> queue_setup(unsigned& /*count*/, const BufferShape* /*wanted*/) override {
        BufferShape shape;
        shape.sizes[0] = format_.shown.planes[0].sizeimage;
        return shape;
    }
    void buf_queue(ActiveBuffer buffer) override {
        ++given;
        woken = maker.queue(std::move(buffer));
    }
    Result<> start_streaming(unsigned /*count*/) override {
        if (start_fails) {
            maker.drop_all();
            return fail(-EINVAL, "told to fail");
        }
        maker.begin(clock.now());
        return {};
    }
    void stop_streaming() override { maker.drop_all(); }
    void ready_changed() override {}

    const FrameFormat format_ = *frame_format(V4L2_PIX_FMT_GREY, {64, 64});
    Core core_;
    MemoryMakers makers_{MmapSource::Memfd};
};

TEST_F(FrameMakerSteps, free_running_thread_sleeps_only_when_the_next_buffer_wakes_it) {
    settings.free_running = true;
    set(settings);
    enqueue(0);
    ASSERT_TRUE(queue->stream_on());
    ASSERT_EQ(maker.step(clock.now()), start);
    // The time is read, then a buffer comes, then the step looks for one.
    const MonotonicTime read = clock.now();
    clock.time += tick;
    enqueue(1);
    EXPECT_FALSE(woken);
    ASSERT_TRUE(maker.step(read));
    ASSERT_TRUE(maker.step(clock.now()));
    EXPECT_EQ(maker.counts().exposed, 2U);
    EXPECT_FALSE(maker.step(clock.now()));
    enqueue(2);
    EXPECT_TRUE(woken);
}

TEST_F(FrameMakerSteps, frozen_free_running_thread_sleeps_beside_a_buffer) {
    settings.free_running = true;
    settings.freeze = true;
    set(settings);
    enqueue(0);
    ASSERT_TRUE(queue->stream_on());
    EXPECT_FALSE(maker.step(clock.now()));
}

TEST_F(FrameMakerSteps, frozen_maker_lets_its_buffers_go) {
    settings.freeze = true;
    set(settings);
    for (unsigned streams = 0; streams < 2; ++streams) {
        enqueue(0);
        enqueue(1);
        ASSERT_TRUE(queue->stream_on());
        maker.step(clock.now());
        queue->stream_off();
    }
    settings.freeze = false;
    set(settings);
    enqueue(3);
    ASSERT_TRUE(queue->stream_on());
    maker.step(clock.now());
    clock.time += std::chrono::milliseconds(40);
    maker.step(clock.now());
    const auto report = queue->dequeue();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->index, 3U);
    EXPECT_FALSE(report->error);
    EXPECT_EQ(maker.counts().exposed, 1U);
}

TEST_F(FrameMakerSteps, failed_start_of_a_frozen_maker_lets_its_buffers_go) {
    settings.freeze = true;
    set(settings);
    enqueue(1);
    ASSERT_TRUE(queue->stream_on());
    maker.step(clock.now());
    queue->stream_off();
    start_fails = true;
    given = 0;
    enqueue(0);
    EXPECT_FALSE(queue->stream_on());
    start_fails = false;
    settings.freeze = false;
    set(settings);
    ASSERT_TRUE(queue->stream_on());
    maker.step(clock.now());
    maker.step(clock.now() + std::chrono::milliseconds(40));
    EXPECT_EQ(given, 2U);
    EXPECT_EQ(maker.counts().exposed, 1U);
    const auto report = queue->dequeue();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->index, 0U);
    EXPECT_FALSE(report->error);
}

TEST(FixedRing, one_too_many_stays_with_the_caller) {
    FixedRing<std::unique_ptr<int>, 2> ring;
    for (int number = 0; number < 2; ++number) {
        ring.push(std::make_unique<int>(number));
    }
    auto extra = std::make_unique<int>(2);
    ring.push(std::move(extra));
    ASSERT_TRUE(extra);
    EXPECT_EQ(*ring.pop(), 0);
    ring.push(std::move(extra));
    EXPECT_EQ(*ring.pop(), 1);
    EXPECT_EQ(*ring.pop(), 2);
    EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace v4lfence
