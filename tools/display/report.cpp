// SPDX-License-Identifier: MIT

#include "tools/display/report.hpp"

#include <fmt/format.h>

#include "tools/stream/report_parts.hpp"
#include "tools/video/names.hpp"

namespace v4lfence {

namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

double per_picture(std::uint64_t count, const DisplayResult& result) {
    return result.display.shown == 0 ? 0 : double(count) / double(result.display.shown);
}

Json display_part(const ConsumerInfo& info) {
    return {{"kind", info.kind},
            {"card", text_or_null(info.card)},
            {"driver", text_or_null(info.driver)},
            {"connector", text_or_null(info.connector)},
            {"mode", text_or_null(info.mode)},
            {"plane", text_or_null(info.plane)},
            {"refresh_hz", info.refresh_hz},
            {"in_fences", info.in_fences},
            {"out_fences", info.out_fences}};
}

Json picture_part(const DisplayResult& result) {
    const auto shown = display_fourcc(result.format.fourcc);
    return {{"width", result.format.size.width},
            {"height", result.format.size.height},
            {"format", fourcc_text(result.format.fourcc)},
            {"display_format", shown ? Json(fourcc_text(*shown)) : Json(nullptr)},
            {"planes", result.format.planes.size()},
            {"rate_driver", result.format.rate},
            {"memory", memory_way_name(result.memory)},
            {"refused", result.refusals},
            {"buffers", result.buffers},
            {"pictures", result.pictures}};
}

Json fences_part(const DisplayResult& result) {
    return {{"way", result.fences_way},
            {"early", result.rules.early},
            {"implicit", result.rules.implicit},
            {"release", result.rules.release_fences},
            {"kernel_waitable", result.fences.kernel_waitable},
            {"to_display", result.cycle.fences_to_display},
            {"pending_at_commit", result.cycle.early_commits},
            {"to_camera", result.cycle.fences_to_camera},
            {"pending_at_qbuf", result.cycle.held_at_qbuf},
            {"cpu_waits", result.cycle.cpu_waits},
            {"expired", result.expired},
            {"last_expiry", text_or_null(result.last_expiry)},
            {"degraded", result.degraded}};
}

Json last_part(const std::optional<LastShown>& last) {
    if (!last) {
        return nullptr;
    }
    return {{"sequence", last->sequence},
            {"timestamp_ns", last->timestamp_ns},
            {"flip_ns", last->flip_ns}};
}

std::string display_line(const ConsumerInfo& info) {
    if (info.kind != "kms") {
        return fmt::format("display     of software{}, {:.4g} Hz\n",
                           info.card.empty() ? "" : " into " + info.card, info.refresh_hz);
    }
    return fmt::format("display     {} ({}), {}, {}, plane {}\n", info.card, info.driver,
                       info.connector, info.mode, info.plane);
}

std::string memory_text(const DisplayResult& result) {
    std::string text =
        fmt::format("memory      {}, {} buffers\n", memory_way_text(result.memory), result.buffers);
    for (const std::string& refusal : result.refusals) {
        text += fmt::format("            {}\n", refusal);
    }
    return text;
}

std::string fence_counts(const DisplayResult& result) {
    const CycleCounters& cycle = result.cycle;
    std::string text = fmt::format("fences      {}\n", result.fences_way);
    if (result.rules.early || result.rules.release_fences) {
        text += fmt::format("            {} to the display ({} pending), {} to the camera ({} "
                            "pending), {} {} of the "
                            "CPU\n",
                            cycle.fences_to_display, cycle.early_commits, cycle.fences_to_camera,
                            cycle.held_at_qbuf, cycle.cpu_waits,
                            cycle.cpu_waits == 1 ? "wait" : "waits");
    }
    if (!result.last_expiry.empty()) {
        text += fmt::format("given up    {}\n", result.last_expiry);
    }
    if (result.degraded) {
        text += "            the queue has fences of user space since, and the CPU waits for "
                "frames\n";
    }
    return text;
}

std::string frames_text(const DisplayResult& result) {
    const DisplayCounters& display = result.display;
    std::string text = fmt::format(
        "frames      {} shown in {:.1f} s ({:.4g} a second), {} lost by the camera, {} with errors "
        "({} of them shown)\n",
        display.shown, result.seconds, result.rate, result.camera.lost, result.camera.errors,
        display.errors_shown);
    text += fmt::format("refreshes   {} repeated a frame, {} frames were late\n", display.repeated,
                        display.late);
    if (display.unfinished != 0) {
        text += fmt::format("            {} pictures were shown without a frame: their fences were "
                            "given up on\n",
                            display.unfinished);
    }
    if (result.last) {
        text += fmt::format("last shown  sequence {}\n", result.last->sequence);
    }
    text += result.interrupted ? "            ended by a signal\n" : "";
    return text;
}

std::string latencies_text(const DisplayResult& result) {
    std::string rows;
    for (const auto& [name, summary] : {std::pair("capture time to flip", result.capture_to_flip),
                                        std::pair("frame done to flip", result.done_to_flip)}) {
        if (summary) {
            rows += fmt::format("  {:<28}{:>10.2f}{:>10.2f}{:>10.2f}\n", name,
                                double(summary->p50) / 1e6, double(summary->p95) / 1e6,
                                double(summary->max) / 1e6);
        }
    }
    if (!rows.empty()) {
        rows.insert(0, fmt::format("latencies in ms               {:>10}{:>10}{:>10}\n", "p50",
                                   "p95", "max"));
    }
    return rows;
}

}  // namespace

nlohmann::ordered_json display_json(const DisplayChoices& choices, const DisplayResult& result) {
    const StreamCost& cost = result.cost;
    return {{"command", "display"},
            {"ok", result.exit_status() == ExitStatus::Success},
            {"exit_status", static_cast<int>(result.exit_status())},
            {"failure", result.failure ? Json(result.failure->message) : Json(nullptr)},
            {"interrupted", result.interrupted},
            {"environment", environment_json(result.device, result.driver, result.card, result.bus,
                                             result.fences.provider)},
            {"display", display_part(result.consumer)},
            {"picture", picture_part(result)},
            {"fences", fences_part(result)},
            {"frames_asked", choices.frames},
            {"shown", result.display.shown},
            {"lost", result.camera.lost},
            {"errors", result.camera.errors},
            {"errors_shown", result.display.errors_shown},
            {"unfinished", result.display.unfinished},
            {"skipped", result.cycle.skipped},
            {"late", result.display.late},
            {"repeated", result.display.repeated},
            {"seconds", result.seconds},
            {"rate", result.rate},
            {"last_shown", last_part(result.last)},
            {"latency_us",
             {{"capture_to_flip", latency_json(result.capture_to_flip)},
              {"done_to_flip", latency_json(result.done_to_flip)}}},
            {"wakeups", result.wakeups},
            {"wakeups_per_frame", per_picture(result.wakeups, result)},
            {"cost",
             {{"user_ms", cost.user_ms},
              {"system_ms", cost.system_ms},
              {"voluntary_switches", cost.voluntary_switches},
              {"involuntary_switches", cost.involuntary_switches},
              {"library_wakeups", cost.library_wakeups}}},
            {"promises", promises_json(result.promises)},
            {"saved", result.saved ? Json(*result.saved) : Json(nullptr)}};
}

std::string display_text(const DisplayChoices& choices, const DisplayResult& result) {
    const StreamCost& cost = result.cost;
    const std::string rate = choices.rate.free_running
                                 ? "free running"
                                 : fmt::format("at {:.4g} fps", result.format.rate);
    std::string text =
        fmt::format("camera      {} \"{}\", driver {}, {}x{} {} {}\n", result.device, result.card,
                    result.driver, result.format.size.width, result.format.size.height,
                    fourcc_text(result.format.fourcc), rate);
    text += display_line(result.consumer);
    text += memory_text(result);
    text += fence_counts(result);
    text += frames_text(result);
    text += fmt::format(
        "cost        {:.2f} wake-ups a frame; {:.0f} ms user, {:.0f} ms system, {} wake-ups of the "
        "library\n",
        per_picture(result.wakeups, result), cost.user_ms, cost.system_ms, cost.library_wakeups);
    text += latencies_text(result);
    text += promises_text(result.promises);
    if (result.saved) {
        text += fmt::format("saved       {}\n", *result.saved);
    }
    return text;
}

}  // namespace v4lfence
