// SPDX-License-Identifier: MIT

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/doctor/testing/scene.hpp"
#include "tools/doctor/wait_graph.hpp"

namespace v4lfence {
namespace {

using testing::past_ns;
using testing::Scene;
using testing::second_ns;

constexpr pid_t app = 42;

/// The reasons along the only chain from a buffer.
std::vector<WaitReason> way_from(const Scene& scene, std::size_t queue, unsigned index) {
    const auto chains = chains_from(WaitGraph::build(scene.snapshot),
                                    {WaitNodeKind::Buffer, queue, index}, scene.snapshot.now_ns, 0);
    std::vector<WaitReason> reasons;
    EXPECT_EQ(chains.size(), 1U);
    for (const WaitEdge& edge : chains.front().edges) {
        reasons.push_back(edge.reason);
    }
    return reasons;
}

Scene with_camera(unsigned buffers) {
    Scene scene;
    scene.process(app, "app");
    scene.queue(app, "/dev/video0", buffers);
    return scene;
}

TEST(WaitGraph, buffer_behind_a_held_one_waits_for_its_turn) {
    Scene scene = with_camera(2);
    scene.held(0, 0, scene.fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}}));
    scene.buffer(0, 1, SlotState::Held);

    EXPECT_EQ(way_from(scene, 0, 1),
              (std::vector{WaitReason::Turn, WaitReason::InFence, WaitReason::End}));
}

TEST(WaitGraph, first_by_position_not_by_index_comes_first) {
    Scene scene = with_camera(3);
    const std::size_t fence = scene.fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}});
    scene.held(0, 2, fence);
    scene.held(0, 0, fence);
    scene.buffer(0, 1, SlotState::Held);

    const auto edges = WaitGraph::build(scene.snapshot).from({WaitNodeKind::Buffer, 0, 1});
    ASSERT_EQ(edges.size(), 1U);
    EXPECT_EQ(edges[0].to, (WaitNode{WaitNodeKind::Buffer, 0, 2}));
}

TEST(WaitGraph, given_buffer_waits_for_the_device_since_its_last_frame) {
    Scene scene = with_camera(1);
    scene.buffer(0, 0, SlotState::Given);
    scene.snapshot.queues[0].head.last_done_at_ns = past_ns + second_ns;

    const auto edges = WaitGraph::build(scene.snapshot).from({WaitNodeKind::Buffer, 0, 0});
    ASSERT_EQ(edges.size(), 1U);
    EXPECT_EQ(edges[0].to.kind, WaitNodeKind::Device);
    EXPECT_EQ(edges[0].since_ns, past_ns + second_ns);
}

TEST(WaitGraph, ended_fence_holds_nobody) {
    Scene scene = with_camera(1);
    const std::size_t fence = scene.fence(FenceShape::EventFd, "eventfd 3", {{app, 7}});
    scene.snapshot.fences[fence].ended = true;
    scene.held(0, 0, fence);

    EXPECT_EQ(way_from(scene, 0, 0), std::vector{WaitReason::InFence});
}

TEST(WaitGraph, served_queue_waits_for_the_program_that_uses_it) {
    Scene scene = with_camera(1);
    constexpr pid_t program = 99;
    scene.process(program, "player");
    scene.snapshot.queues[0].program = program;
    scene.buffer(0, 0, SlotState::Done);

    const auto edges = WaitGraph::build(scene.snapshot).from({WaitNodeKind::Buffer, 0, 0});
    ASSERT_EQ(edges.size(), 1U);
    EXPECT_EQ(scene.snapshot.processes[edges[0].to.place].pid, program);
    EXPECT_EQ(edges[0].reason, WaitReason::Fetch);
}

TEST(WaitGraph, fence_of_several_has_a_chain_to_each) {
    Scene scene = with_camera(1);
    scene.process(77, "other");
    scene.held(0, 0, scene.fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}, {app, 8}, {77, 5}}));

    const auto chains = chains_from(WaitGraph::build(scene.snapshot), {WaitNodeKind::Buffer, 0, 0},
                                    scene.snapshot.now_ns, 0);
    ASSERT_EQ(chains.size(), 2U);
    EXPECT_EQ(chains[0].last().place, 0U);
    EXPECT_EQ(chains[1].last().place, 1U);
}

TEST(WaitGraph, what_a_process_waits_for_counts_when_it_is_old) {
    Scene scene = with_camera(1);
    scene.held(0, 0, scene.fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}}));
    scene.snapshot.queues[0].head.waiting_since_ns = past_ns;
    const WaitGraph graph = WaitGraph::build(scene.snapshot);
    const WaitNode buffer{WaitNodeKind::Buffer, 0, 0};

    const auto young = chains_from(graph, buffer, scene.snapshot.now_ns, 5 * second_ns + 1);
    ASSERT_EQ(young.size(), 1U);
    EXPECT_FALSE(young[0].circle);

    const auto old = chains_from(graph, buffer, scene.snapshot.now_ns, 5 * second_ns);
    ASSERT_EQ(old.size(), 1U);
    EXPECT_EQ(old[0].circle, 0U);
}

TEST(WaitGraph, circle_behind_the_subject_begins_where_it_closes) {
    Scene scene = with_camera(2);
    scene.snapshot.queues[0].head.minimum = 2;
    scene.process(77, "other");
    scene.queue(77, "/dev/video9", 1);
    scene.buffer(0, 0, SlotState::Given);
    scene.held(0, 1, scene.out_fence(0, 0));
    scene.held(1, 0, scene.out_fence(0, 0));

    const auto chains = chains_from(WaitGraph::build(scene.snapshot), {WaitNodeKind::Buffer, 1, 0},
                                    scene.snapshot.now_ns, 0);
    ASSERT_EQ(chains.size(), 1U);
    ASSERT_TRUE(chains[0].circle);
    EXPECT_EQ(chains[0].edges[*chains[0].circle].from, (WaitNode{WaitNodeKind::Buffer, 0, 0}));
}

}  // namespace
}  // namespace v4lfence
