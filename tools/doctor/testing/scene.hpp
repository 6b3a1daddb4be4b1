// SPDX-License-Identifier: MIT
//
// Scene: a Snapshot made by hand, for tests of what is concluded from it. It is ten seconds past
// the start of time; what is there has been so for five.

#pragma once

#include <cerrno>
#include <string>
#include <utility>

#include "tools/doctor/rules.hpp"

namespace v4lfence::testing {

inline constexpr std::int64_t second_ns = 1'000'000'000;
inline constexpr std::int64_t past_ns = 5 * second_ns;

struct Scene {
    Snapshot snapshot;

    Scene() { snapshot.now_ns = 10 * second_ns; }

    void process(pid_t pid, std::string name, char state = 'S') {
        SeenProcess& made = snapshot.processes[snapshot.place_of(pid)];
        made.name = std::move(name);
        made.state = state;
    }

    /// A queue that streams, with so many buffers that are the program's.
    std::size_t queue(pid_t pid, std::string device, unsigned buffers) {
        SeenQueue made;
        made.pid = made.program = pid;
        made.device = std::move(device);
        made.name = made.device + " capture";
        made.head.streaming = made.head.started = 1;
        made.head.stream_on_at_ns = past_ns - second_ns;
        made.buffers.resize(buffers);
        snapshot.queues.push_back(std::move(made));
        return snapshot.queues.size() - 1;
    }

    QueueCell& buffer(std::size_t queue, unsigned index, SlotState state) {
        SeenQueue& of = snapshot.queues[queue];
        QueueCell& cell = of.buffers[index].cell;
        cell.state = state;
        cell.position = ++positions_;
        cell.queued_at_ns = past_ns;
        of.head.held += state == SlotState::Held ? 1 : 0;
        of.head.given += state == SlotState::Given ? 1 : 0;
        of.head.done += state == SlotState::Done ? 1 : 0;
        cell.given_at_ns = state == SlotState::Given || state == SlotState::Done ? past_ns : 0;
        cell.done_at_ns = state == SlotState::Done ? past_ns : 0;
        return cell;
    }

    /// A buffer that waits for a fence.
    void held(std::size_t queue, unsigned index, std::size_t fence) {
        buffer(queue, index, SlotState::Held).in_pending = 1;
        snapshot.queues[queue].buffers[index].in_fence = fence;
    }

    std::size_t fence(FenceShape shape, std::string name, std::vector<FenceEnd> ends = {}) {
        SeenFence made;
        made.shape = shape;
        made.name = std::move(name);
        made.ends = std::move(ends);
        snapshot.fences.push_back(std::move(made));
        return snapshot.fences.size() - 1;
    }

    std::size_t out_fence(std::size_t queue, unsigned index) {
        const std::size_t made = fence(FenceShape::Pipe, "pipe:[100]");
        snapshot.fences[made].buffer = BufferPlace{queue, index};
        return made;
    }

    std::size_t kernel_fence(std::string driver, std::string timeline) {
        const std::size_t made = fence(FenceShape::SyncFile, "sync_file " + driver);
        snapshot.fences[made].kernel.push_back({std::move(driver), std::move(timeline)});
        return made;
    }

    std::size_t display(pid_t pid, std::string name) {
        SeenDisplay made;
        made.pid = pid;
        made.name = std::move(name);
        made.head.crtc_id = 51;
        made.active = true;
        snapshot.displays.push_back(std::move(made));
        return snapshot.displays.size() - 1;
    }

    std::vector<Finding> findings(std::int64_t older_than_ns = second_ns) const {
        return find_faults(snapshot, WaitGraph::build(snapshot), older_than_ns);
    }

    /// The rules of the findings, from the worst.
    std::vector<std::string> rules(std::int64_t older_than_ns = second_ns) const {
        std::vector<std::string> names;
        for (const Finding& finding : findings(older_than_ns)) {
            names.push_back(finding.rule);
        }
        return names;
    }

private:
    std::uint64_t positions_ = 0;
};

}  // namespace v4lfence::testing
