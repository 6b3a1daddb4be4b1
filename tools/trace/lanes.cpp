// SPDX-License-Identifier: MIT

#include "tools/trace/lanes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "tools/trace/lane_builder.hpp"
#include "v4lfence/kms/display_trace.hpp"
#include "v4lfence/sync/queue_trace.hpp"

namespace v4lfence {

namespace {

/// Who ends a fence tells it afterwards; who waits for it may be quicker, by as long as a thread
/// may be kept from running.
constexpr std::int64_t telling_ns_max = 20'000'000;

/// One job of one source. The index is a buffer's; 0 for a display.
struct JobOf {
    std::size_t source = 0;
    unsigned index = 0;
    std::uint64_t job = 0;
};

/// `waiter` had the fence of `maker` as its in-fence.
struct Wait {
    JobOf maker;
    JobOf waiter;
};

/// Who waits for whose fence: by the numbers of descriptors, which a process uses again and again,
/// so that the latest fence of a number is the one that is meant.
class FenceBook {
public:
    void add(const Recording& recording, const RecordedEvent& each) {
        const RecordedSource& source = recording.sources[each.source];
        const TraceEvent& event = each.event;
        if (source.kind == queue_trace_kind) {
            const JobOf job{each.source, event.index, event.job};
            if (event.kind == static_cast<std::uint32_t>(QueueEvent::OutFenceMinted)) {
                mint(source.process, event.value, job);
            } else if (event.kind == static_cast<std::uint32_t>(QueueEvent::Queued)) {
                wait(source.process, static_cast<std::int64_t>(event.detail) - 1, job);
            }
        } else if (source.kind == display_trace_kind &&
                   event.kind == static_cast<std::uint32_t>(DisplayEvent::Commit)) {
            const JobOf job{each.source, 0, event.job};
            wait(source.process, static_cast<std::int64_t>(event.detail & 0xffffffffU) - 1, job);
            mint(source.process, static_cast<std::int64_t>(event.detail >> 32) - 1, job);
        }
    }

    const std::vector<Wait>& waits() const { return waits_; }

private:
    void mint(std::size_t process, std::int64_t fd, JobOf job) {
        if (fd >= 0) {
            minted_[{process, fd}] = job;
        }
    }
    void wait(std::size_t process, std::int64_t fd, JobOf waiter) {
        const auto found = minted_.find({process, fd});
        if (fd >= 0 && found != minted_.end()) {
            waits_.push_back({found->second, waiter});
        }
    }

    std::map<std::pair<std::size_t, std::int64_t>, JobOf> minted_;
    std::vector<Wait> waits_;
};

/// Where slices end or begin, so that arrows find them.
class SliceIndex {
public:
    explicit SliceIndex(const Lanes& lanes) {
        for (std::size_t group = 0; group < lanes.groups.size(); ++group) {
            for (std::size_t lane = 0; lane < lanes.groups[group].lanes.size(); ++lane) {
                add(lanes.groups[group], group, lane);
            }
        }
    }

    std::optional<LanePoint> fence_end(const JobOf& job) const { return find(ends_, job); }
    std::optional<LanePoint> wait_begin(const JobOf& job) const { return find(begins_, job); }
    std::optional<LanePoint> wait_end(const JobOf& job) const { return find(waits_, job); }

private:
    using Key = std::tuple<std::size_t, unsigned, std::uint64_t>;
    using Points = std::map<Key, LanePoint>;

    void add(const LaneGroup& group, std::size_t group_at, std::size_t lane_at) {
        const Lane& lane = group.lanes[lane_at];
        for (const LaneSlice& slice : lane.slices) {
            const Key key{group.source, lane.index, slice.job};
            const LanePoint at_end{group_at, lane_at, slice.job, slice.end_ns};
            const LanePoint at_begin{group_at, lane_at, slice.job, slice.begin_ns};
            if (slice.kind == SliceKind::OutFence && !slice.still_open) {
                ends_[key] = at_end;
            } else if (slice.kind == SliceKind::OnScreen && !slice.begun_before) {
                ends_[key] = at_begin;
            } else if ((slice.kind == SliceKind::InFence || slice.kind == SliceKind::Commit) &&
                       !slice.still_open) {
                begins_[key] = at_begin;
                waits_[key] = at_end;
            }
        }
    }
    static std::optional<LanePoint> find(const Points& points, const JobOf& job) {
        const auto found = points.find({job.source, job.index, job.job});
        return found == points.end() ? std::nullopt : std::optional(found->second);
    }

    Points ends_;
    Points begins_;
    Points waits_;
};

void cut(std::vector<LaneMark>& marks, std::int64_t begin_ns, std::int64_t end_ns) {
    std::erase_if(marks, [=](const LaneMark& mark) {
        return mark.time_ns < begin_ns || mark.time_ns > end_ns;
    });
}

void cut(Lane& lane, std::int64_t begin_ns, std::int64_t end_ns) {
    std::erase_if(lane.slices, [=](const LaneSlice& slice) {
        return slice.end_ns <= begin_ns || slice.begin_ns >= end_ns;
    });
    for (LaneSlice& slice : lane.slices) {
        slice.begun_before = slice.begun_before || slice.begin_ns < begin_ns;
        slice.still_open = slice.still_open || slice.end_ns > end_ns;
        slice.begin_ns = std::max(slice.begin_ns, begin_ns);
        slice.end_ns = std::min(slice.end_ns, end_ns);
    }
    cut(lane.marks, begin_ns, end_ns);
}

/// Leaves out what did not happen in the time of the trace.
void cut(LaneGroup& group, std::int64_t begin_ns, std::int64_t end_ns) {
    for (Lane& lane : group.lanes) {
        cut(lane, begin_ns, end_ns);
    }
    std::erase_if(group.lanes, [](const Lane& lane) {
        return lane.slices.empty() && lane.marks.empty();
    });
    cut(group.marks, begin_ns, end_ns);
}

std::vector<LaneArrow> arrows_of(const FenceBook& book, const Lanes& lanes) {
    const SliceIndex index(lanes);
    std::vector<LaneArrow> arrows;
    for (const Wait& wait : book.waits()) {
        auto from = index.fence_end(wait.maker);
        const auto begun = index.wait_begin(wait.waiter);
        const auto to = index.wait_end(wait.waiter);
        // A fence that had ended before it was handed over was not waited for, or the number was
        // that of another fence, which was not seen to be made.
        if (from && to && begun->time_ns <= from->time_ns &&
            from->time_ns <= to->time_ns + telling_ns_max) {
            from->time_ns = std::min(from->time_ns, to->time_ns);
            arrows.push_back({*from, *to});
        }
    }
    return arrows;
}

}  // namespace

const char* slice_name(SliceKind kind) {
    switch (kind) {
    case SliceKind::Held:
        return "held";
    case SliceKind::Given:
        return "given";
    case SliceKind::Done:
        return "done";
    case SliceKind::InFence:
        return "in-fence";
    case SliceKind::OutFence:
        return "out-fence";
    case SliceKind::Commit:
        return "commit";
    case SliceKind::OnScreen:
        return "on screen";
    }
    return "";
}

std::string fence_name(const LaneGroup& group, const Lane& lane, std::uint64_t job) {
    return fmt::format("{} {} #{}", group.name, lane.index, job);
}

Lanes make_lanes(const Recording& recording) {
    const std::int64_t earliest_ns =
        recording.events.empty()
            ? recording.begin_ns
            : std::min(recording.begin_ns, recording.events.front().event.time_ns);
    std::vector<std::unique_ptr<LaneBuilder>> builders;
    for (const RecordedSource& source : recording.sources) {
        builders.push_back(LaneBuilder::create(source.kind, earliest_ns));
    }
    FenceBook book;
    for (const RecordedEvent& each : recording.events) {
        if (builders[each.source]) {
            builders[each.source]->add(each.event);
            book.add(recording, each);
        }
    }
    Lanes lanes{recording.begin_ns, recording.end_ns, {}, {}};
    for (std::size_t source = 0; source < builders.size(); ++source) {
        if (!builders[source]) {
            continue;
        }
        LaneGroup group{.source = source, .name = recording.sources[source].name,
                        .lanes = {}, .marks = {}};
        builders[source]->finish(group, recording.end_ns);
        cut(group, recording.begin_ns, recording.end_ns);
        if (!group.lanes.empty()) {
            lanes.groups.push_back(std::move(group));
        }
    }
    std::stable_sort(lanes.groups.begin(), lanes.groups.end(),
                     [&recording](const LaneGroup& one, const LaneGroup& other) {
                         return recording.sources[one.source].process <
                                recording.sources[other.source].process;
                     });
    lanes.arrows = arrows_of(book, lanes);
    return lanes;
}

}  // namespace v4lfence
