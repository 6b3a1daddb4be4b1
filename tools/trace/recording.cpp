// SPDX-License-Identifier: MIT

#include "tools/trace/recording.hpp"

#include <algorithm>
#include <map>

#include "v4lfence/kms/display_trace.hpp"
#include "v4lfence/sync/queue_trace.hpp"

namespace v4lfence {

namespace {

bool is_frame(const RecordedSource& source, const TraceEvent& event) {
    return (source.kind == queue_trace_kind &&
            event.kind == static_cast<std::uint32_t>(QueueEvent::Dequeued)) ||
           (source.kind == display_trace_kind &&
            event.kind == static_cast<std::uint32_t>(DisplayEvent::Flip));
}

/// The times of the frames of the source that has the most, in the order of its events.
std::vector<std::int64_t> frames_of_busiest(const Recording& recording) {
    std::map<std::size_t, std::vector<std::int64_t>> frames;
    for (const RecordedEvent& each : recording.events) {
        if (each.event.time_ns >= recording.begin_ns &&
            is_frame(recording.sources[each.source], each.event)) {
            frames[each.source].push_back(each.event.time_ns);
        }
    }
    const auto busiest =
        std::max_element(frames.begin(), frames.end(), [](const auto& one, const auto& other) {
            return one.second.size() < other.second.size();
        });
    return busiest == frames.end() ? std::vector<std::int64_t>() : busiest->second;
}

}  // namespace

void sort_by_time(Recording& recording) {
    std::stable_sort(recording.events.begin(), recording.events.end(),
                     [](const RecordedEvent& one, const RecordedEvent& other) {
                         return one.event.time_ns < other.event.time_ns;
                     });
    std::stable_sort(recording.kernel_events.begin(), recording.kernel_events.end(),
                     [](const KernelEvent& one, const KernelEvent& other) {
                         return one.time_ns < other.time_ns;
                     });
}

void keep_last_frames(Recording& recording, std::size_t frames) {
    std::vector<std::int64_t> times = frames_of_busiest(recording);
    if (frames == 0 || times.size() <= frames) {
        return;
    }
    std::sort(times.begin(), times.end());
    // The frame before the first that is kept has just ended.
    recording.begin_ns = times[times.size() - frames - 1] + 1;
    std::erase_if(recording.kernel_events, [&recording](const KernelEvent& event) {
        return event.time_ns < recording.begin_ns;
    });
}

std::size_t count_frames(const Recording& recording) {
    return frames_of_busiest(recording).size();
}

}  // namespace v4lfence
