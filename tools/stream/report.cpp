// SPDX-License-Identifier: MIT

#include "tools/stream/report.hpp"

#include <fmt/format.h>

#include "tools/stream/report_parts.hpp"
#include "tools/video/names.hpp"

namespace v4lfence {

namespace {

using Json = nlohmann::ordered_json;

Json stream_settings_json(const StreamChoices& options, const StreamResult& result) {
    return {
        {"width", result.format.size.width},
        {"height", result.format.size.height},
        {"format", fourcc_text(result.format.fourcc)},
        {"planes", result.format.planes.size()},
        {"rate_asked", options.rate.per_second ? Json(*options.rate.per_second) : Json(nullptr)},
        {"free_running", options.rate.free_running},
        {"rate_driver", result.format.rate},
        {"memory", memory_name(options.memory)},
        {"buffers", result.buffers},
        {"in_fence", in_fence_name(options.in_fence.mode)},
        {"chain_depth", result.chain_depth == 0 ? Json(nullptr) : Json(result.chain_depth)},
        {"out_fence", options.out_fence},
        {"implicit", implicit_name(options.implicit)},
        {"deadline_ms", options.deadline_ms},
        {"ordered", result.fences.ordered},
        {"calls", options.raw ? "raw" : "v4lfence"}};
}

Json footprint_json(const std::optional<Footprint>& footprint) {
    if (!footprint) {
        return nullptr;
    }
    return {{"resident_kib", footprint->resident_kib}, {"descriptors", footprint->descriptors}};
}

std::string footprint_text(const StreamResult& result) {
    if (!result.warm || !result.at_end) {
        return {};
    }
    const auto grown = [](std::uint64_t before, std::uint64_t after) {
        return static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before);
    };
    return fmt::format("growth      {:+} KiB to {} and {:+} descriptors to {}, after frame {}\n",
                       grown(result.warm->resident_kib, result.at_end->resident_kib),
                       result.at_end->resident_kib,
                       grown(result.warm->descriptors, result.at_end->descriptors),
                       result.at_end->descriptors, warm_frames);
}

std::string latencies_text(const StreamLatencies& latencies) {
    std::string rows = latency_row("in-fence end to given", latencies.in_fence_to_given) +
                       latency_row("capture time to out-fence", latencies.capture_to_out_fence) +
                       latency_row("out-fence to DQBUF", latencies.out_fence_to_dqbuf);
    if (!rows.empty()) {
        rows.insert(0, fmt::format("latencies in us              {:>11}{:>10}{:>10}{:>10}\n", "p50",
                                   "p90", "p99", "max"));
    }
    return rows;
}

std::string fences_text(const StreamChoices& options, const StreamResult& result) {
    const StreamCounters& counters = result.counters;
    std::string text;
    if (options.out_fence) {
        text += fmt::format("out-fences  {} made by {}, {} ended with their frame, {} at the end",
                            counters.out_fences_made, result.fences.provider,
                            counters.out_fences_ended, counters.out_fences_cancelled);
        text += result.fences.kernel_waitable
                    ? fmt::format(", {} are sync_files\n", counters.sync_file_info_ok)
                    : "\n";
    }
    if (options.in_fence.mode != InFenceMode::None) {
        text += fmt::format("in-fences   {} ({}{}), {} pending at QBUF\n", counters.in_fences,
                            in_fence_name(options.in_fence.mode),
                            result.chain_depth == 0 ? "" : fmt::format("={}", result.chain_depth),
                            counters.held_at_qbuf);
    }
    if (!result.last_expiry.empty()) {
        text += fmt::format("given up    {}\n", result.last_expiry);
    }
    return text;
}

}  // namespace

nlohmann::ordered_json stream_json(const StreamChoices& options, const StreamResult& result) {
    const StreamCounters& counters = result.counters;
    const StreamCost& cost = result.cost;
    return {{"command", "stream"},
            {"ok", result.exit_status() == ExitStatus::Success},
            {"exit_status", static_cast<int>(result.exit_status())},
            {"failure", result.failure ? Json(result.failure->message) : Json(nullptr)},
            {"interrupted", result.interrupted},
            {"environment", environment_json(options.device, result.driver, result.card, result.bus,
                                             result.fences.provider)},
            {"stream", stream_settings_json(options, result)},
            {"frames", counters.frames},
            {"lost", counters.lost},
            {"repeated", counters.repeated},
            {"errors", counters.errors},
            {"out_of_order", counters.out_of_order},
            {"seconds", result.seconds},
            {"rate", result.rate},
            {"out_fences",
             {{"made", counters.out_fences_made},
              {"ended", counters.out_fences_ended},
              {"cancelled", counters.out_fences_cancelled},
              {"sync_file_info_ok", counters.sync_file_info_ok}}},
            {"in_fences",
             {{"given", counters.in_fences},
              {"pending_at_qbuf", counters.held_at_qbuf},
              {"expired", counters.expired}}},
            {"latency_us",
             {{"in_fence_to_given", latency_json(result.latencies.in_fence_to_given)},
              {"capture_to_out_fence", latency_json(result.latencies.capture_to_out_fence)},
              {"out_fence_to_dqbuf", latency_json(result.latencies.out_fence_to_dqbuf)}}},
            {"cost",
             {{"user_ms", cost.user_ms},
              {"system_ms", cost.system_ms},
              {"voluntary_switches", cost.voluntary_switches},
              {"involuntary_switches", cost.involuntary_switches},
              {"library_wakeups", cost.library_wakeups}}},
            {"footprint",
             {{"warm_frames", warm_frames},
              {"warm", footprint_json(result.warm)},
              {"at_end", footprint_json(result.at_end)}}},
            {"promises", promises_json(result.promises)},
            {"saved", result.saved ? Json(*result.saved) : Json(nullptr)}};
}

std::string stream_text(const StreamChoices& options, const StreamResult& result) {
    const StreamCounters& counters = result.counters;
    const StreamCost& cost = result.cost;
    std::string text = fmt::format("device      {} \"{}\", driver {}\n", options.device,
                                   result.card, result.driver);
    const std::string rate = options.rate.free_running
                                 ? "free running"
                                 : fmt::format("at {:.4g} fps", result.format.rate);
    text += fmt::format("stream      {}x{} {} {} ({:.4g} fps measured), {} {} buffers{}\n",
                        result.format.size.width, result.format.size.height,
                        fourcc_text(result.format.fourcc), rate, result.rate, result.buffers,
                        memory_name(options.memory), options.raw ? ", without v4lfence" : "");
    text += fmt::format("frames      {} in {:.1f} s, {} lost, {} with errors, {} out of order\n",
                        counters.frames, result.seconds, counters.lost, counters.errors,
                        counters.out_of_order);
    text += result.interrupted ? "            ended by a signal\n" : "";
    text += fences_text(options, result);
    text +=
        fmt::format("cost        {:.0f} ms user, {:.0f} ms system, {} + {} context switches, {} "
                    "wake-ups of the library\n",
                    cost.user_ms, cost.system_ms, cost.voluntary_switches,
                    cost.involuntary_switches, cost.library_wakeups);
    text += footprint_text(result);
    text += latencies_text(result.latencies);
    text += promises_text(result.promises);
    if (result.saved) {
        text += fmt::format("saved       {}\n", *result.saved);
    }
    return text;
}

}  // namespace v4lfence
