// SPDX-License-Identifier: MIT

#include "tools/trace/summary.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "v4lfence/kms/display_trace.hpp"
#include "v4lfence/sync/queue_trace.hpp"

namespace v4lfence {

namespace {

using Json = nlohmann::ordered_json;

std::optional<LatencySummary> times_of(const LaneGroup& group, SliceKind kind) {
    LatencySamples samples(0);
    for (const Lane& lane : group.lanes) {
        for (const LaneSlice& slice : lane.slices) {
            if (slice.kind == kind && !slice.begun_before && !slice.still_open) {
                samples.add(slice.end_ns - slice.begin_ns);
            }
        }
    }
    return samples.summary();
}

std::size_t count_errors(const LaneGroup& group) {
    std::size_t errors = 0;
    for (const Lane& lane : group.lanes) {
        if (lane.kind == LaneKind::Buffer) {
            errors += static_cast<std::size_t>(
                std::count_if(lane.slices.begin(), lane.slices.end(), [](const LaneSlice& slice) {
                    return slice.kind == SliceKind::Done && slice.error != 0;
                }));
        }
    }
    return errors;
}

std::size_t count_events(const Recording& recording, std::size_t source, std::uint32_t kind) {
    return static_cast<std::size_t>(
        std::count_if(recording.events.begin(), recording.events.end(),
                      [&](const RecordedEvent& each) {
                          return each.source == source && each.event.kind == kind &&
                                 each.event.time_ns >= recording.begin_ns;
                      }));
}

SourceSummary summarize(const Recording& recording, const LaneGroup& group) {
    const RecordedSource& source = recording.sources[group.source];
    SourceSummary told{.process = source.process, .name = group.name, .is_display = false,
                       .frames = 0, .errors = 0, .expired = 0, .held = {}, .given = {},
                       .done = {}, .commit_to_flip = {}, .on_screen = {}};
    if (source.kind == display_trace_kind) {
        told.is_display = true;
        told.frames = count_events(recording, group.source,
                                   static_cast<std::uint32_t>(DisplayEvent::Flip));
        told.errors = count_events(recording, group.source,
                                   static_cast<std::uint32_t>(DisplayEvent::Refused));
        told.commit_to_flip = times_of(group, SliceKind::Commit);
        told.on_screen = times_of(group, SliceKind::OnScreen);
        return told;
    }
    told.frames =
        count_events(recording, group.source, static_cast<std::uint32_t>(QueueEvent::Dequeued));
    told.expired =
        count_events(recording, group.source, static_cast<std::uint32_t>(QueueEvent::Expired));
    told.errors = count_errors(group);
    told.held = times_of(group, SliceKind::Held);
    told.given = times_of(group, SliceKind::Given);
    told.done = times_of(group, SliceKind::Done);
    return told;
}

double millis(std::int64_t ns) {
    return static_cast<double>(ns) / 1e6;
}

std::string time_cell(const std::optional<LatencySummary>& times) {
    return times ? fmt::format("{:>10.2f}{:>10.2f}", millis(times->p50), millis(times->max))
                 : fmt::format("{:>20}", "-");
}

std::string source_text(const SourceSummary& source) {
    std::string row = fmt::format("  {:<30}{:>8}", source.name, source.frames);
    if (source.is_display) {
        row += time_cell(source.commit_to_flip) + time_cell(source.on_screen);
    } else {
        row += time_cell(source.held) + time_cell(source.given) + time_cell(source.done);
    }
    row += "\n";
    if (source.errors != 0) {
        row += fmt::format("    {} {}\n", source.errors,
                           source.is_display ? "commits refused" : "buffers with an error");
    }
    if (source.expired != 0) {
        row += fmt::format("    {} given up at a deadline or bound\n", source.expired);
    }
    return row;
}

/// Queues have three times, displays two: a table each.
std::string table_text(const TraceSummary& summary, std::size_t process, bool of_displays) {
    std::string rows;
    for (const SourceSummary& source : summary.sources) {
        if (source.process == process && source.is_display == of_displays) {
            rows += source_text(source);
        }
    }
    if (rows.empty()) {
        return {};
    }
    const auto heading = [](const char* name) {
        return fmt::format("{:>20}", fmt::format("{} p50, max", name));
    };
    return fmt::format("  {:<30}{:>8}", of_displays ? "display, times in ms" : "queue, times in ms",
                       of_displays ? "flips" : "frames") +
           (of_displays ? heading("to flip") + heading("shown")
                        : heading("held") + heading("given") + heading("done")) +
           "\n" + rows;
}

std::string kernel_text(const TraceSummary& summary) {
    if (!summary.kernel_missing.empty()) {
        return {};
    }
    std::string told;
    for (const auto& [system, events] : summary.kernel) {
        told += fmt::format("{}{} {}", told.empty() ? "" : ", ", system, events);
    }
    return fmt::format("kernel      {}; {} lost\n", told.empty() ? "no events" : told,
                       summary.kernel_lost);
}

Json times_json(const std::optional<LatencySummary>& times) {
    if (!times) {
        return nullptr;
    }
    return {{"count", times->count}, {"p50", millis(times->p50)}, {"max", millis(times->max)}};
}

Json source_json(const SourceSummary& source) {
    Json told = {{"name", source.name},
                 {"kind", source.is_display ? "display" : "queue"},
                 {"frames", source.frames},
                 {"errors", source.errors}};
    if (source.is_display) {
        told["commit_to_flip_ms"] = times_json(source.commit_to_flip);
        told["on_screen_ms"] = times_json(source.on_screen);
    } else {
        told["expired"] = source.expired;
        told["held_ms"] = times_json(source.held);
        told["given_ms"] = times_json(source.given);
        told["done_ms"] = times_json(source.done);
    }
    return told;
}

}  // namespace

TraceSummary summarize(const Recording& recording, const Lanes& lanes) {
    TraceSummary summary;
    summary.duration_ns = recording.end_ns - recording.begin_ns;
    for (const RecordedProcess& process : recording.processes) {
        summary.processes.push_back({process, 0});
    }
    for (const RecordedEvent& each : recording.events) {
        if (each.event.time_ns >= recording.begin_ns) {
            ++summary.processes[recording.sources[each.source].process].events;
        }
    }
    for (const LaneGroup& group : lanes.groups) {
        summary.sources.push_back(summarize(recording, group));
    }
    for (const KernelEvent& event : recording.kernel_events) {
        ++summary.kernel[event.system.empty() ? "other" : event.system];
    }
    summary.kernel_lost = recording.kernel_lost;
    summary.kernel_missing = recording.kernel_missing;
    return summary;
}

std::string summary_text(const TraceSummary& summary) {
    std::string text = fmt::format("traced      {:.3f} s\n", millis(summary.duration_ns) / 1e3);
    for (std::size_t i = 0; i < summary.processes.size(); ++i) {
        const auto& [process, events] = summary.processes[i];
        text += fmt::format("process     {} {}: {} events, {} lost\n", process.pid, process.name,
                            events, process.lost);
        text += table_text(summary, i, false) + table_text(summary, i, true);
    }
    text += kernel_text(summary);
    for (const std::string& file : summary.files) {
        text += fmt::format("written     {}\n", file);
    }
    return text;
}

Json summary_json(const TraceSummary& summary) {
    Json processes = Json::array();
    for (std::size_t i = 0; i < summary.processes.size(); ++i) {
        const auto& [process, events] = summary.processes[i];
        Json sources = Json::array();
        for (const SourceSummary& source : summary.sources) {
            if (source.process == i) {
                sources.push_back(source_json(source));
            }
        }
        processes.push_back({{"pid", process.pid},
                             {"name", process.name},
                             {"events", events},
                             {"lost", process.lost},
                             {"sources", std::move(sources)}});
    }
    return {{"command", "trace"},
            {"seconds", millis(summary.duration_ns) / 1e3},
            {"processes", std::move(processes)},
            {"kernel",
             {{"events", summary.kernel},
              {"lost", summary.kernel_lost},
              {"missing", summary.kernel_missing.empty() ? Json(nullptr)
                                                         : Json(summary.kernel_missing)}}},
            {"files", summary.files}};
}

}  // namespace v4lfence
