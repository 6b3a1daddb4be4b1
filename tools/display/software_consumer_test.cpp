// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <array>

#include "tools/display/software_consumer.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {
namespace {

constexpr int patience_ms = 10'000;

/// The test ends it, or nobody does.
class TestFence {
public:
    TestFence() {
        int fd = -1;
        promise_ = v4lfence_promise_create("user", &fd);
        fd_ = UniqueFd(fd);
    }
    ~TestFence() { end(); }

    int fd() const { return fd_.get(); }
    void end() {
        if (promise_ != nullptr) {
            v4lfence_promise_end(std::exchange(promise_, nullptr), 0);
        }
    }

private:
    v4lfence_promise* promise_ = nullptr;
    UniqueFd fd_;
};

class SoftwareConsumerTest : public testing::Test {
protected:
    void make(SoftwareChoices choices = {}) {
        choices.refresh_hz = 500;
        auto made = SoftwareConsumer::create(std::move(choices));
        ASSERT_TRUE(made);
        consumer_ = std::move(*made);
        for (auto& bytes : memory_) {
            CameraPicture picture;
            picture.bytes.push_back(bytes);
            numbers_.push_back(*consumer_->import(picture));
        }
    }

    std::optional<Flip> await_flip() {
        pollfd entry{consumer_->fd(), POLLIN, 0};
        const auto count = sys::poll(std::span(&entry, 1), patience_ms);
        auto flip = consumer_->next_flip();
        return count && *count == 1 && flip ? *flip : std::nullopt;
    }

    static int status_of(int fence) {
        v4lfence_fence_result result{};
        EXPECT_EQ(v4lfence_fence_status(fence, &result), 0);
        return result.state;
    }

    std::array<std::array<std::byte, 64>, 2> memory_{};
    std::vector<int> numbers_;
    std::unique_ptr<SoftwareConsumer> consumer_;
};

TEST_F(SoftwareConsumerTest, shows_what_has_no_fence) {
    make();
    const auto out = consumer_->show(numbers_[0], -1);
    ASSERT_TRUE(out);
    const auto flip = await_flip();
    ASSERT_TRUE(flip);
    EXPECT_EQ(flip->picture, numbers_[0]);
    EXPECT_EQ(flip->previous, 0);
    EXPECT_EQ(v4lfence_fence_wait(out->get(), patience_ms, nullptr), 0);
}

TEST_F(SoftwareConsumerTest, waits_for_the_fence_and_ends_its_own_then) {
    make();
    TestFence fence;
    const auto out = consumer_->show(numbers_[0], fence.fd());
    ASSERT_TRUE(out);
    EXPECT_EQ(status_of(out->get()), V4LFENCE_PENDING);
    EXPECT_FALSE(*consumer_->next_flip());
    const std::int64_t before_ns = to_ns(SystemClock().now());
    fence.end();
    const auto flip = await_flip();
    ASSERT_TRUE(flip);
    EXPECT_GT(flip->time_ns, before_ns);
    EXPECT_EQ(v4lfence_fence_wait(out->get(), patience_ms, nullptr), 0);
}

TEST_F(SoftwareConsumerTest, takes_one_commit_at_a_time) {
    make();
    TestFence fence;
    ASSERT_TRUE(consumer_->show(numbers_[0], fence.fd()));
    const auto second = consumer_->show(numbers_[1], -1);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, -EBUSY);
    fence.end();
    ASSERT_TRUE(await_flip());
    EXPECT_TRUE(consumer_->show(numbers_[1], -1));
}

TEST_F(SoftwareConsumerTest, sees_that_a_picture_was_written_on_screen) {
    make();
    ASSERT_TRUE(consumer_->show(numbers_[0], -1));
    ASSERT_TRUE(await_flip());
    ASSERT_TRUE(consumer_->show(numbers_[1], -1));
    const auto undisturbed = await_flip();
    ASSERT_TRUE(undisturbed);
    EXPECT_EQ(undisturbed->previous, numbers_[0]);
    EXPECT_EQ(undisturbed->previous_changed, false);
    memory_[1].front() = std::byte{1};
    ASSERT_TRUE(consumer_->show(numbers_[0], -1));
    const auto disturbed = await_flip();
    ASSERT_TRUE(disturbed);
    EXPECT_EQ(disturbed->previous_changed, true);
}

TEST_F(SoftwareConsumerTest, refuses_what_is_no_fence_and_nothing_has_changed) {
    make();
    const UniqueFd no_fence = std::move(*sys::open("/dev/null", 0));
    const auto shown = consumer_->show(numbers_[0], no_fence.get());
    ASSERT_FALSE(shown);
    EXPECT_EQ(shown.error().code, -EINVAL);
    EXPECT_FALSE(consumer_->waits_for(no_fence.get()));
    EXPECT_TRUE(consumer_->show(numbers_[0], -1));
}

TEST_F(SoftwareConsumerTest, a_forgotten_picture_is_none) {
    make();
    consumer_->forget(numbers_[1]);
    const auto shown = consumer_->show(numbers_[1], -1);
    ASSERT_FALSE(shown);
    EXPECT_EQ(shown.error().code, -ENOENT);
}

TEST_F(SoftwareConsumerTest, gives_no_fences_where_none_are_wanted) {
    SoftwareChoices choices;
    choices.out_fences = false;
    make(std::move(choices));
    const auto out = consumer_->show(numbers_[0], -1);
    ASSERT_TRUE(out);
    EXPECT_FALSE(*out);
    EXPECT_TRUE(await_flip());
}

TEST_F(SoftwareConsumerTest, a_commit_under_way_ends_badly_with_the_display) {
    make();
    TestFence fence;
    const auto out = consumer_->show(numbers_[0], fence.fd());
    ASSERT_TRUE(out);
    consumer_.reset();
    EXPECT_EQ(status_of(out->get()), V4LFENCE_FAILED);
}

class FullSink final : public PictureSink {
public:
    Attempt<> put(const CameraPicture& /*picture*/) override { return job_failed("it is full."); }
};

TEST_F(SoftwareConsumerTest, a_sink_that_fails_ends_the_show_with_its_sentence) {
    SoftwareChoices choices;
    choices.sink = std::make_unique<FullSink>();
    make(std::move(choices));
    ASSERT_TRUE(consumer_->show(numbers_[0], -1));
    Result<std::optional<Flip>> flip = std::optional<Flip>();
    while (flip) {
        pollfd entry{consumer_->fd(), POLLIN, 0};
        ASSERT_EQ(*sys::poll(std::span(&entry, 1), patience_ms), 1);
        flip = consumer_->next_flip();
    }
    EXPECT_EQ(consumer_->why(), "it is full.");
}

}  // namespace
}  // namespace v4lfence
