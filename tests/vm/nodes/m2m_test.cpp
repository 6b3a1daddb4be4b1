// SPDX-License-Identifier: MIT
//
// Both queues of one file, of vim2m: a job takes a buffer of each.

#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "tests/vm/nodes/node.hpp"

namespace v4lfence::nodes {
namespace {

class MemoryToMemory : public NodeTest {
protected:
    void set_up() override {
        const auto found = find("vim2m", V4L2_CAP_VIDEO_M2M);
        if (found.empty()) {
            GTEST_SKIP() << "needs vim2m";
        }
        file_ = open(found.front());
        ASSERT_GE(in_.request(3), 3);
        ASSERT_GE(out_.request(3), 3);
    }

    void start() {
        ASSERT_EQ(in_.stream(true), 0);
        ASSERT_EQ(out_.stream(true), 0);
    }

    api::File file_;
    Queue in_{file_, V4L2_BUF_TYPE_VIDEO_OUTPUT};
    Queue out_{file_, V4L2_BUF_TYPE_VIDEO_CAPTURE};
};

// Pins: 1.1
TEST_F(MemoryToMemory, job_waits_for_the_fences_of_both_sides) {
    for (const bool source_first : {true, false}) {
        Gate filled;
        Gate free;
        api::Fence source_done;
        api::Fence target_done;
        ASSERT_EQ(in_.queue(0, &filled.fence(), &source_done), 0);
        ASSERT_EQ(out_.queue(0, &free.fence(), &target_done), 0);
        start();
        EXPECT_EQ(in_.readiness(), 0);
        (source_first ? filled : free).end(0);
        EXPECT_EQ(out_.readiness(100), 0) << "one side is not enough";
        EXPECT_EQ(ended(source_done), std::nullopt);
        EXPECT_EQ(ended(target_done), std::nullopt);
        (source_first ? free : filled).end(0);
        EXPECT_EQ(wait(source_done), 0);
        EXPECT_EQ(wait(target_done), 0);
        EXPECT_EQ(in_.take().status, 0);
        EXPECT_EQ(out_.take().status, 0);
        EXPECT_EQ(in_.stream(false), 0);
        EXPECT_EQ(out_.stream(false), 0);
    }
}

/// Between jobs the kernel has no buffer of either side, and its poll() says POLLERR: that is no
/// error of the device.
// Pins: 1.1
TEST_F(MemoryToMemory, goes_on_after_all_buffers_were_taken) {
    constexpr unsigned jobs = 8;
    start();
    for (unsigned job = 0; job < jobs; ++job) {
        api::Fence source_done;
        api::Fence target_done;
        ASSERT_EQ(in_.queue(job % 3, nullptr, &source_done), 0) << job;
        ASSERT_EQ(out_.queue(job % 3, nullptr, &target_done), 0) << job;
        EXPECT_EQ(wait(source_done), 0) << job;
        EXPECT_EQ(wait(target_done), 0) << job;
        const Queue::Taken source = in_.take();
        const Queue::Taken target = out_.take();
        EXPECT_EQ(source.status, 0) << job;
        EXPECT_EQ(target.status, 0) << job;
        EXPECT_EQ(target.index, job % 3);
        EXPECT_FALSE(target.flags & V4L2_BUF_FLAG_ERROR);
    }
}

// Pins: 1.1
TEST_F(MemoryToMemory, one_side_may_have_fences_alone) {
    for (const bool source : {true, false}) {
        api::Fence done;
        ASSERT_EQ(in_.queue(0, nullptr, source ? &done : nullptr), 0);
        ASSERT_EQ(out_.queue(0, nullptr, source ? nullptr : &done), 0);
        start();
        EXPECT_EQ(wait(done), 0);
        EXPECT_EQ(in_.take().status, 0);
        EXPECT_EQ(out_.take().status, 0);
        EXPECT_EQ(in_.stream(false), 0);
        EXPECT_EQ(out_.stream(false), 0);
    }
}

// Pins: 1.1
TEST_F(MemoryToMemory, result_of_one_job_is_waited_for_by_the_next) {
    std::vector<api::Fence> done(3);
    std::vector<api::Fence> read(3);
    for (unsigned job = 0; job < 3; ++job) {
        ASSERT_EQ(in_.queue(job, job > 0 ? &done[job - 1] : nullptr, &read[job]), 0);
        ASSERT_EQ(out_.queue(job, nullptr, &done[job]), 0);
    }
    start();
    for (unsigned job = 0; job < 3; ++job) {
        EXPECT_EQ(wait(done[job]), 0) << job;
        EXPECT_EQ(out_.take().index, job);
        EXPECT_EQ(in_.take().index, job);
    }
}

// Pins: 1.1
TEST_F(MemoryToMemory, stopping_one_side_ends_its_fences_alone) {
    Gate filled;
    api::Fence source_done;
    api::Fence target_done;
    ASSERT_EQ(in_.queue(0, &filled.fence(), &source_done), 0);
    ASSERT_EQ(out_.queue(0, nullptr, &target_done), 0);
    start();
    EXPECT_EQ(out_.stream(false), 0);
    EXPECT_EQ(ended(target_done), -ECANCELED);
    EXPECT_EQ(ended(source_done), std::nullopt);
    EXPECT_EQ(in_.stream(false), 0);
    EXPECT_EQ(ended(source_done), -ECANCELED);
}

}  // namespace
}  // namespace v4lfence::nodes
