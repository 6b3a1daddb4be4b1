// SPDX-License-Identifier: MIT

#include "tools/trace/lane_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "v4lfence/kms/display_trace.hpp"
#include "v4lfence/sync/queue_trace.hpp"

namespace v4lfence {

namespace {

std::string error_text(std::int64_t error) {
    return std::strerror(static_cast<int>(-error));
}

// --- queues --------------------------------------------------------------------------------------

class QueueLanes final : public LaneBuilder {
public:
    explicit QueueLanes(std::int64_t earliest_ns) : earliest_ns_(earliest_ns) {}

    void add(const TraceEvent& event) override;
    void finish(LaneGroup& group, std::int64_t end_ns) override;

private:
    OpenLane& lane(LaneKind kind, unsigned index);
    void move(const TraceEvent& event, SliceKind from, SliceKind to, std::int32_t error);
    void add_to_buffer(const TraceEvent& event);
    void add_to_fences(const TraceEvent& event);
    void add_to_queue(const TraceEvent& event);
    /// What the device had is held again.
    void take_back(std::int64_t time_ns);

    std::int64_t earliest_ns_;
    /// In the order in which they are shown.
    std::map<std::pair<unsigned, LaneKind>, OpenLane> lanes_;
    std::vector<LaneMark> marks_;
};

std::string lane_name(LaneKind kind, unsigned index) {
    switch (kind) {
    case LaneKind::InFences:
        return fmt::format("in-fence {}", index);
    case LaneKind::OutFences:
        return fmt::format("out-fence {}", index);
    default:
        return fmt::format("buffer {}", index);
    }
}

OpenLane& QueueLanes::lane(LaneKind kind, unsigned index) {
    return lanes_
        .try_emplace({index, kind},
                     Lane{.kind = kind, .index = index, .name = lane_name(kind, index),
                          .slices = {}, .marks = {}})
        .first->second;
}

void QueueLanes::add(const TraceEvent& event) {
    switch (static_cast<QueueEvent>(event.kind)) {
    case QueueEvent::Queued:
    case QueueEvent::Given:
    case QueueEvent::Done:
    case QueueEvent::Dequeued:
    case QueueEvent::Failed:
    case QueueEvent::Expired:
        add_to_buffer(event);
        break;
    case QueueEvent::InFenceEnded:
    case QueueEvent::OutFenceMinted:
    case QueueEvent::OutFenceEnded:
        add_to_fences(event);
        break;
    case QueueEvent::StreamOn:
    case QueueEvent::StreamOff:
    case QueueEvent::QueueFailed:
    case QueueEvent::StartFailed:
        add_to_queue(event);
        break;
    }
}

/// The buffer was `from`, whether that was seen or not, and is `to`.
void QueueLanes::move(const TraceEvent& event, SliceKind from, SliceKind to, std::int32_t error) {
    OpenLane& buffer = lane(LaneKind::Buffer, event.index);
    if (!buffer.open()) {
        buffer.end(from, event.job, event.time_ns, 0, earliest_ns_);
    }
    buffer.begin({.kind = to, .begin_ns = event.time_ns, .job = event.job,
                  .sequence = event.detail, .error = error});
}

void QueueLanes::add_to_buffer(const TraceEvent& event) {
    OpenLane& buffer = lane(LaneKind::Buffer, event.index);
    const auto value = static_cast<std::int32_t>(event.value);
    switch (static_cast<QueueEvent>(event.kind)) {
    case QueueEvent::Queued:
        buffer.begin({.kind = SliceKind::Held, .begin_ns = event.time_ns, .job = event.job});
        if (event.value != 0) {
            lane(LaneKind::InFences, event.index)
                .begin({.kind = SliceKind::InFence, .begin_ns = event.time_ns, .job = event.job});
        }
        break;
    case QueueEvent::Given:
        move(event, SliceKind::Held, SliceKind::Given, 0);
        break;
    case QueueEvent::Done:
        move(event, SliceKind::Given, SliceKind::Done, value);
        break;
    case QueueEvent::Failed:
        move(event, SliceKind::Held, SliceKind::Done, value);
        break;
    case QueueEvent::Dequeued:
        buffer.end(SliceKind::Done, event.job, event.time_ns, 0, earliest_ns_);
        break;
    default:
        buffer.mark({event.time_ns, value != 0 ? "given up: bound" : "given up: deadline", true});
        break;
    }
}

void QueueLanes::add_to_fences(const TraceEvent& event) {
    const auto value = static_cast<std::int32_t>(event.value);
    switch (static_cast<QueueEvent>(event.kind)) {
    case QueueEvent::InFenceEnded:
        lane(LaneKind::InFences, event.index)
            .end(SliceKind::InFence, event.job, event.time_ns, value, earliest_ns_);
        break;
    case QueueEvent::OutFenceMinted:
        lane(LaneKind::OutFences, event.index)
            .begin({.kind = SliceKind::OutFence, .begin_ns = event.time_ns, .job = event.job});
        break;
    default:
        lane(LaneKind::OutFences, event.index)
            .end(SliceKind::OutFence, event.job, event.time_ns, value, earliest_ns_);
        break;
    }
}

void QueueLanes::add_to_queue(const TraceEvent& event) {
    switch (static_cast<QueueEvent>(event.kind)) {
    case QueueEvent::StreamOn:
        marks_.push_back({event.time_ns, "STREAMON", false});
        break;
    case QueueEvent::StreamOff:
        marks_.push_back({event.time_ns, "STREAMOFF", false});
        for (auto& [key, each] : lanes_) {
            each.end_any(event.time_ns, static_cast<std::int32_t>(event.value));
        }
        break;
    case QueueEvent::StartFailed:
        marks_.push_back({event.time_ns, "start failed: " + error_text(event.value), true});
        take_back(event.time_ns);
        break;
    default:
        marks_.push_back({event.time_ns, "queue failed: " + error_text(event.value), true});
        break;
    }
}

void QueueLanes::take_back(std::int64_t time_ns) {
    for (auto& [key, each] : lanes_) {
        if (each.open() && each.open()->kind == SliceKind::Given) {
            each.begin({.kind = SliceKind::Held, .begin_ns = time_ns, .job = each.open()->job});
        }
    }
}

void QueueLanes::finish(LaneGroup& group, std::int64_t end_ns) {
    group.marks = std::move(marks_);
    for (auto& [key, each] : lanes_) {
        group.lanes.push_back(std::move(each).finish(end_ns));
    }
}

// --- displays ------------------------------------------------------------------------------------

class DisplayLanes final : public LaneBuilder {
public:
    explicit DisplayLanes(std::int64_t earliest_ns) : earliest_ns_(earliest_ns) {}

    void add(const TraceEvent& event) override;
    void finish(LaneGroup& group, std::int64_t end_ns) override;

private:
    void flip(const TraceEvent& event);

    std::int64_t earliest_ns_;
    OpenLane commits_{Lane{.kind = LaneKind::Commits, .index = 0, .name = "on its way",
                           .slices = {}, .marks = {}}};
    OpenLane screen_{Lane{.kind = LaneKind::Screen, .index = 0, .name = "on screen",
                          .slices = {}, .marks = {}}};
    std::vector<LaneMark> marks_;
};

void DisplayLanes::flip(const TraceEvent& event) {
    commits_.end(SliceKind::Commit, event.job, event.time_ns, 0, earliest_ns_);
    if (!screen_.open() && event.value > 0) {
        screen_.begin({.kind = SliceKind::OnScreen, .begin_ns = earliest_ns_, .job = 0,
                       .picture = static_cast<std::uint32_t>(event.value), .begun_before = true});
    }
    screen_.begin({.kind = SliceKind::OnScreen, .begin_ns = event.time_ns, .job = event.job,
                   .picture = event.index});
}

void DisplayLanes::add(const TraceEvent& event) {
    switch (static_cast<DisplayEvent>(event.kind)) {
    case DisplayEvent::Commit:
        commits_.begin({.kind = SliceKind::Commit, .begin_ns = event.time_ns, .job = event.job,
                        .picture = event.index});
        break;
    case DisplayEvent::Flip:
        flip(event);
        break;
    case DisplayEvent::Refused:
        commits_.mark({event.time_ns, "refused: " + error_text(event.value), true});
        break;
    case DisplayEvent::ModeSet:
        marks_.push_back({event.time_ns,
                          fmt::format("mode {}x{}", event.detail >> 32,
                                      event.detail & 0xffffffffU),
                          false});
        break;
    case DisplayEvent::Closed:
        commits_.end_any(event.time_ns, 0);
        screen_.end_any(event.time_ns, 0);
        break;
    }
}

void DisplayLanes::finish(LaneGroup& group, std::int64_t end_ns) {
    group.marks = std::move(marks_);
    group.lanes.push_back(std::move(commits_).finish(end_ns));
    group.lanes.push_back(std::move(screen_).finish(end_ns));
}

}  // namespace

// --- one lane ------------------------------------------------------------------------------------

void OpenLane::begin(const LaneSlice& slice) {
    end_any(slice.begin_ns, 0);
    open_ = slice;
}

void OpenLane::end(SliceKind kind, std::uint64_t job, std::int64_t time_ns, std::int32_t error,
                   std::int64_t earliest_ns) {
    if (!open_ && lane_.slices.empty()) {
        open_ = LaneSlice{.kind = kind, .begin_ns = earliest_ns, .job = job, .begun_before = true};
    }
    end_any(time_ns, error);
}

void OpenLane::end_any(std::int64_t time_ns, std::int32_t error) {
    if (!open_) {
        return;
    }
    // A vertical blank may be older than what was told before it.
    open_->end_ns = std::max(open_->begin_ns, time_ns);
    open_->error = error != 0 ? error : open_->error;
    lane_.slices.push_back(*open_);
    open_.reset();
}

Lane OpenLane::finish(std::int64_t end_ns) && {
    if (open_) {
        open_->still_open = true;
        end_any(end_ns, 0);
    }
    return std::move(lane_);
}

std::unique_ptr<LaneBuilder> LaneBuilder::create(std::uint32_t kind, std::int64_t earliest_ns) {
    switch (kind) {
    case queue_trace_kind:
        return std::make_unique<QueueLanes>(earliest_ns);
    case display_trace_kind:
        return std::make_unique<DisplayLanes>(earliest_ns);
    default:
        return nullptr;
    }
}

}  // namespace v4lfence
