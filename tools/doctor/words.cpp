// SPDX-License-Identifier: MIT

#include "tools/doctor/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cctype>
#include <vector>

namespace v4lfence {

namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t ns_per_s = 1'000'000'000;

/// What a state of /proc/PID/stat means for who waits for the process; empty: nothing.
const char* state_remark(char state) {
    switch (state) {
    case 'T':
        return " (stopped by a signal)";
    case 't':
        return " (stopped by a debugger)";
    case 'Z':
    case 'X':
        return " (has ended)";
    case 'D':
        return " (blocked in the kernel)";
    default:
        return "";
    }
}

struct ReasonWords {
    const char* name;
    const char* text;
};

/// In the order of WaitReason.
constexpr std::array<ReasonWords, 14> reason_words{{
    {"in-fence", "its in-fence"},
    {"turn", "the buffer before it"},
    {"start", "enough ready buffers for the driver to start"},
    {"frame", "a frame"},
    {"streamon", "STREAMON"},
    {"fetch", "DQBUF"},
    {"queue-more", "QBUF"},
    {"out-fence", "the buffer whose out-fence it is"},
    {"end", "who can end it"},
    {"flip", "the display to show the picture"},
    {"scanout", "a vertical blank"},
    {"fetch-flip", "the flip to be fetched"},
    {"dequeue", "a buffer, in DQBUF"},
    {"poll", "a fence, in poll() or read()"},
}};

std::string card_name(const SeenDisplay& display) {
    return display.name.substr(0, display.name.find(' '));
}

}  // namespace

std::string duration_text(std::int64_t ns) {
    if (ns < ns_per_s) {
        return fmt::format("{} ms", ns / ns_per_ms);
    }
    if (ns < 60 * ns_per_s) {
        return fmt::format("{:.1f} s", static_cast<double>(ns) / 1e9);
    }
    return fmt::format("{} min {} s", ns / (60 * ns_per_s), ns / ns_per_s % 60);
}

std::string for_text(const Snapshot& snapshot, std::int64_t since_ns) {
    return since_ns == 0 ? "for a time that is not known"
                         : fmt::format("for {}", duration_text(snapshot.now_ns - since_ns));
}

std::string process_text(const Snapshot& snapshot, pid_t pid) {
    const SeenProcess* process = snapshot.process(pid);
    if (process == nullptr) {
        return fmt::format("pid {}", pid);
    }
    return fmt::format("pid {}{}{}{}", pid, process->name.empty() ? "" : " ", process->name,
                       state_remark(process->state));
}

std::string buffer_text(const Snapshot& snapshot, const BufferPlace& place) {
    return fmt::format("buffer {} of {}", place.index, snapshot.queues[place.queue].name);
}

std::string fence_text(const SeenFence& fence) {
    std::vector<std::string> makers;
    for (const KernelFence& kernel : fence.kernel) {
        makers.push_back(fmt::format("{} {}", kernel.driver, kernel.timeline));
    }
    if (fence.guessed) {
        makers.emplace_back("of which buffer is a guess");
    }
    return makers.empty() ? fence.name
                          : fmt::format("{} ({})", fence.name, fmt::join(makers, ", "));
}

std::string end_text(const Snapshot& snapshot, const FenceEnd& end) {
    return end.fd < 0 ? process_text(snapshot, end.pid)
                      : fmt::format("{} (descriptor {})", process_text(snapshot, end.pid), end.fd);
}

std::string ends_text(const Snapshot& snapshot, const SeenFence& fence) {
    std::vector<std::string> ends;
    for (const FenceEnd& end : fence.ends) {
        ends.push_back(end_text(snapshot, end));
    }
    return fmt::format("{}", fmt::join(ends, " or "));
}

std::string capitalized(std::string text) {
    if (!text.empty()) {
        text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    }
    return text;
}

std::string node_text(const Snapshot& snapshot, const WaitNode& node) {
    switch (node.kind) {
    case WaitNodeKind::Process:
        return node.place < snapshot.processes.size()
                   ? process_text(snapshot, snapshot.processes[node.place].pid)
                   : "a process that is not known";
    case WaitNodeKind::Queue:
        return fmt::format("the queue {}", snapshot.queues[node.place].name);
    case WaitNodeKind::Buffer:
        return buffer_text(snapshot, {node.place, node.index});
    case WaitNodeKind::Fence:
        return fence_text(snapshot.fences[node.place]);
    case WaitNodeKind::Display:
        return fmt::format("display {}", snapshot.displays[node.place].name);
    case WaitNodeKind::Device:
        return fmt::format("device {}", snapshot.queues[node.place].device);
    case WaitNodeKind::Card:
        return fmt::format("card {}", card_name(snapshot.displays[node.place]));
    }
    return {};
}

const char* reason_text(WaitReason reason) {
    return reason_words[static_cast<std::size_t>(reason)].text;
}

const char* reason_name(WaitReason reason) {
    return reason_words[static_cast<std::size_t>(reason)].name;
}

const char* node_kind_name(WaitNodeKind kind) {
    constexpr std::array<const char*, 7> names{"process", "queue",  "buffer", "fence",
                                               "display", "device", "card"};
    return names[static_cast<std::size_t>(kind)];
}

const char* state_text(SlotState state) {
    constexpr std::array<const char*, slot_states> texts{
        "with the program",   "held", "being given", "with the device", "done, not fetched",
        "failed, not fetched"};
    return texts[static_cast<std::size_t>(state)];
}

}  // namespace v4lfence
