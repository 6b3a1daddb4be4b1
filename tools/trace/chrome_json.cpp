// SPDX-License-Identifier: MIT

#include "tools/trace/chrome_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace v4lfence {

namespace {

using Json = nlohmann::ordered_json;

/// More than any process can have (PID_MAX_LIMIT), so that it is nobody else's.
constexpr int kernel_pid = 1 << 22;

double micros(std::int64_t ns) {
    return static_cast<double>(ns) / 1e3;
}

/// Collects events; those that belong to no time come first, the others in the order of time.
class EventList {
public:
    int new_lane() { return ++lanes_; }
    int new_id() { return ++ids_; }

    void name_process(int pid, const std::string& name, std::size_t place) {
        metadata_.push_back({{"ph", "M"}, {"pid", pid}, {"name", "process_name"},
                             {"args", {{"name", name}}}});
        metadata_.push_back({{"ph", "M"}, {"pid", pid}, {"name", "process_sort_index"},
                             {"args", {{"sort_index", place}}}});
    }
    void name_lane(int pid, int lane, const std::string& name) {
        metadata_.push_back({{"ph", "M"}, {"pid", pid}, {"tid", lane}, {"name", "thread_name"},
                             {"args", {{"name", name}}}});
        metadata_.push_back({{"ph", "M"}, {"pid", pid}, {"tid", lane},
                             {"name", "thread_sort_index"}, {"args", {{"sort_index", lane}}}});
    }
    /// Of the same time, what is added first stays first.
    void add(std::int64_t time_ns, Json event) {
        event["ts"] = micros(time_ns);
        events_.emplace_back(time_ns, std::move(event));
    }

    Json finish() && {
        std::stable_sort(
            events_.begin(), events_.end(),
            [](const auto& one, const auto& other) { return one.first < other.first; });
        for (auto& [time_ns, event] : events_) {
            metadata_.push_back(std::move(event));
        }
        return std::move(metadata_);
    }

private:
    int lanes_ = 0;
    int ids_ = 0;
    Json metadata_ = Json::array();
    std::vector<std::pair<std::int64_t, Json>> events_;
};

// --- what the processes showed -------------------------------------------------------------------

class ProcessEvents {
public:
    ProcessEvents(const Recording& recording, const Lanes& lanes, EventList& list)
        : recording_(recording), lanes_(lanes), list_(list) {}

    void add();

private:
    struct Place {
        int pid = 0;
        int lane = 0;
    };

    void add_group(const LaneGroup& group, std::size_t group_at);
    void add_buffer(const Lane& lane, Place place);
    void add_slice(const LaneSlice& slice, const std::string& name, Place place);
    void add_marks(const std::vector<LaneMark>& marks, Place place);
    void add_arrow(const LaneArrow& arrow);

    const Recording& recording_;
    const Lanes& lanes_;
    EventList& list_;
    std::map<std::pair<std::size_t, std::size_t>, Place> places_;  ///< Of group and lane.
};

Json slice_args(const LaneSlice& slice) {
    Json args = Json::object();
    if (slice.picture != 0) {
        args["picture"] = slice.picture;
    }
    if (slice.job != 0) {
        args["job"] = slice.job;
    }
    if (slice.sequence != 0) {
        args["sequence"] = slice.sequence;
    }
    if (slice.error != 0) {
        args["error"] = slice.error;
    }
    if (slice.begun_before) {
        args["begun_before"] = true;
    }
    if (slice.still_open) {
        args["still_open"] = true;
    }
    return args;
}

void ProcessEvents::add() {
    for (std::size_t i = 0; i < recording_.processes.size(); ++i) {
        const RecordedProcess& process = recording_.processes[i];
        list_.name_process(process.pid, process.name, i);
    }
    for (std::size_t i = 0; i < lanes_.groups.size(); ++i) {
        add_group(lanes_.groups[i], i);
    }
    for (const LaneArrow& arrow : lanes_.arrows) {
        add_arrow(arrow);
    }
}

void ProcessEvents::add_group(const LaneGroup& group, std::size_t group_at) {
    const int pid = recording_.processes[recording_.sources[group.source].process].pid;
    if (!group.marks.empty()) {
        const Place place{pid, list_.new_lane()};
        list_.name_lane(pid, place.lane, group.name);
        add_marks(group.marks, place);
    }
    for (std::size_t i = 0; i < group.lanes.size(); ++i) {
        const Lane& lane = group.lanes[i];
        const Place place{pid, list_.new_lane()};
        places_[{group_at, i}] = place;
        // Viewers cut names at their end.
        list_.name_lane(pid, place.lane, fmt::format("{} of {}", lane.name, group.name));
        if (lane.kind == LaneKind::Buffer) {
            add_buffer(lane, place);
        }
        for (const LaneSlice& slice : lane.slices) {
            if (lane.kind == LaneKind::InFences || lane.kind == LaneKind::OutFences) {
                add_slice(slice, fence_name(group, lane, slice.job), place);
            } else if (lane.kind != LaneKind::Buffer) {
                add_slice(slice, fmt::format("picture {}", slice.picture), place);
            }
        }
        add_marks(lane.marks, place);
    }
}

/// A slice for the job as a whole, and in it what became of it.
void ProcessEvents::add_buffer(const Lane& lane, Place place) {
    for (std::size_t i = 0; i < lane.slices.size();) {
        std::size_t end = i + 1;
        while (end < lane.slices.size() && lane.slices[end].job == lane.slices[i].job) {
            ++end;
        }
        LaneSlice whole = lane.slices[end - 1];
        whole.begin_ns = lane.slices[i].begin_ns;
        whole.begun_before = lane.slices[i].begun_before;
        add_slice(whole, fmt::format("#{}", whole.job), place);
        for (; i < end; ++i) {
            add_slice(lane.slices[i], slice_name(lane.slices[i].kind), place);
        }
    }
}

void ProcessEvents::add_slice(const LaneSlice& slice, const std::string& name, Place place) {
    list_.add(slice.begin_ns, {{"ph", "X"},
                               {"pid", place.pid},
                               {"tid", place.lane},
                               {"cat", slice_name(slice.kind)},
                               {"name", name},
                               {"dur", micros(slice.end_ns) - micros(slice.begin_ns)},
                               {"args", slice_args(slice)}});
}

void ProcessEvents::add_marks(const std::vector<LaneMark>& marks, Place place) {
    for (const LaneMark& mark : marks) {
        list_.add(mark.time_ns, {{"ph", "i"},
                                 {"pid", place.pid},
                                 {"tid", place.lane},
                                 {"s", "t"},
                                 {"cat", mark.bad ? "failure" : "queue"},
                                 {"name", mark.text}});
    }
}

void ProcessEvents::add_arrow(const LaneArrow& arrow) {
    const Place from = places_.at({arrow.from.group, arrow.from.lane});
    const Place to = places_.at({arrow.to.group, arrow.to.lane});
    const int id = list_.new_id();
    // A nanosecond before the end it is still within the slice that it leaves.
    list_.add(arrow.from.time_ns - 1, {{"ph", "s"}, {"pid", from.pid}, {"tid", from.lane},
                                       {"cat", "waited for"}, {"name", "fence"}, {"id", id}});
    list_.add(arrow.to.time_ns - 1,
              {{"ph", "f"}, {"bp", "e"}, {"pid", to.pid}, {"tid", to.lane},
               {"cat", "waited for"}, {"name", "fence"}, {"id", id}});
}

// --- what the kernel told ------------------------------------------------------------------------

Json kernel_args(const KernelEvent& event) {
    Json args = {{"task", fmt::format("{}-{}", event.task, event.pid)}, {"cpu", event.cpu}};
    for (const KernelField& field : event.fields) {
        args[field.name] = field.value;
    }
    return args;
}

class KernelEvents {
public:
    explicit KernelEvents(EventList& list) : list_(list) {}

    void add(const KernelEvent& event) {
        list_.add(event.time_ns, {{"ph", "i"},
                                  {"pid", kernel_pid},
                                  {"tid", lane_of(event)},
                                  {"s", "t"},
                                  {"cat", event.system.empty() ? "other" : event.system},
                                  {"name", event.name},
                                  {"args", kernel_args(event)}});
        if (event.system == "dma_fence") {
            add_fence(event);
        }
    }

private:
    /// A fence as a slice, once its end has been seen. Fences of one timeline may overlap.
    void add_fence(const KernelEvent& event) {
        const std::string which = fmt::format("{}:{}", event.field("context"),
                                              event.field("seqno"));
        if (event.name == "dma_fence_init") {
            begun_[which] = event.time_ns;
            return;
        }
        const auto begun = begun_.find(which);
        if (event.name != "dma_fence_signaled" || begun == begun_.end()) {
            return;
        }
        // Viewers put those of one name side by side.
        Json slice = {{"ph", "b"},
                      {"pid", kernel_pid},
                      {"cat", "kernel fence"},
                      {"name", kernel_lane_name(event)},
                      {"id", list_.new_id()},
                      {"args", {{"fence", which}}}};
        list_.add(begun->second, slice);
        slice["ph"] = "e";
        list_.add(event.time_ns, std::move(slice));
        begun_.erase(begun);
    }

    int lane_of(const KernelEvent& event) {
        const std::string name = kernel_lane_name(event);
        const auto [at, is_new] = lanes_.try_emplace(name, 0);
        if (is_new) {
            at->second = list_.new_lane();
            list_.name_lane(kernel_pid, at->second, name);
        }
        return at->second;
    }

    EventList& list_;
    std::map<std::string, int> lanes_;
    std::map<std::string, std::int64_t> begun_;
};

Json other_data(const Recording& recording) {
    Json lost = Json::object();
    for (const RecordedProcess& process : recording.processes) {
        lost[fmt::format("{} {}", process.pid, process.name)] = process.lost;
    }
    return {{"program", "v4lfence trace"},
            {"version", V4LFENCE_VERSION},
            {"clock", "CLOCK_MONOTONIC"},
            {"begin_ns", recording.begin_ns},
            {"end_ns", recording.end_ns},
            {"lost_events", std::move(lost)},
            {"lost_kernel_events", recording.kernel_lost},
            {"no_kernel_events_because", recording.kernel_missing}};
}

}  // namespace

Json chrome_json(const Recording& recording, const Lanes& lanes) {
    EventList list;
    ProcessEvents(recording, lanes, list).add();
    if (!recording.kernel_events.empty()) {
        list.name_process(kernel_pid, "kernel", recording.processes.size());
        KernelEvents kernel(list);
        for (const KernelEvent& event : recording.kernel_events) {
            kernel.add(event);
        }
    }
    return {{"displayTimeUnit", "ms"},
            {"otherData", other_data(recording)},
            {"traceEvents", std::move(list).finish()}};
}

}  // namespace v4lfence
