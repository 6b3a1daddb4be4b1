// SPDX-License-Identifier: MIT
//
// Rules of waits for what is no program: displays, devices, the kernel; and for nobody.

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "tools/doctor/rule_table.hpp"
#include "tools/doctor/words.hpp"

namespace v4lfence {

namespace {

/// The display whose commit the wait is for: on its way, or itself. A fence that a program ends may
/// have to do with its display or not: that is said with the program's name.
std::optional<std::size_t> display_behind(const RuleCase& what) {
    const bool itself = what.chain.subject.kind == WaitNodeKind::Display;
    return itself ? std::optional(what.chain.subject.place) : display_on_the_way(what);
}

/// Its commit waits for nothing but a vertical blank. One that waits for its own fence may be the
/// very one that switches the display on.
bool keeps_commit(const SeenDisplay& display) {
    return display.off() && !display.in_fence && !display.flip_unfetched;
}

std::optional<Finding> find_commit_kept(const RuleCase& what) {
    const auto place = display_behind(what);
    if (!place || !keeps_commit(what.snapshot.displays[*place])) {
        return std::nullopt;
    }
    const SeenDisplay& display = what.snapshot.displays[*place];
    Finding finding = begin_finding(what);
    finding.blamed = party_of_display(what.snapshot, *place);
    finding.verdict = fmt::format(
        "{} for display {} of {}, which is off (its CRTC {} is not active): nothing is shown, so "
        "nothing that was shown comes back.",
        subject_text(what), display.name, process_text(what.snapshot, display.pid),
        display.head.crtc_id);
    return finding;
}

/// KMS takes no commit for a display that was on and is off now (EINVAL), nor of a session that is
/// not the active one (EACCES). Another error, or an earlier one, is of the commit itself.
bool refused_as_off(const SeenDisplay& display, std::int64_t since_ns) {
    return display.off() && display.head.flips > 0 &&
           (display.refused == -EINVAL || display.refused == -EACCES) &&
           display.refused_at_ns >= since_ns;
}

/// The wait ends at a program that shows pictures and cannot, on no display that it has.
std::optional<Finding> find_commit_refused(const RuleCase& what) {
    const SeenProcess* process = last_process(what, WaitReason::End);
    if (process == nullptr) {
        process = last_process(what, WaitReason::QueueMore);
    }
    const auto& displays = what.snapshot.displays;
    const auto is_its = [process](const SeenDisplay& one) {
        return process != nullptr && one.pid == process->pid;
    };
    const auto display =
        std::find_if(displays.begin(), displays.end(), [&](const SeenDisplay& one) {
            return is_its(one) && refused_as_off(one, what.since_ns);
        });
    const bool shows_elsewhere =
        std::any_of(displays.begin(), displays.end(),
                    [&](const SeenDisplay& one) { return is_its(one) && !one.off(); });
    if (display == displays.end() || shows_elsewhere) {
        return std::nullopt;
    }
    Finding finding = begin_finding(what);
    finding.blamed =
        party_of_display(what.snapshot, static_cast<std::size_t>(display - displays.begin()));
    finding.error = display->refused;
    finding.verdict = fmt::format(
        "{} for {}. Its display {} is off (its CRTC {} is not active), and KMS refused its last "
        "commit {} ago ({}): nothing is shown, so nothing that was shown comes back.",
        subject_text(what), process_text(what.snapshot, process->pid), display->name,
        display->head.crtc_id, duration_text(what.snapshot.now_ns - display->refused_at_ns),
        std::strerror(-display->refused));
    return finding;
}

std::string why_under_way(const RuleCase& what, const SeenDisplay& display) {
    if (!display.in_fence) {
        return "and no vertical blank has come since.";
    }
    const SeenFence& fence = what.snapshot.fences[*display.in_fence];
    std::string who;
    if (fence.buffer) {
        who = fmt::format(", the out-fence of {}", buffer_text(what.snapshot, *fence.buffer));
    } else if (!fence.ends.empty()) {
        who = fmt::format(", which {} can end", ends_text(what.snapshot, fence));
    }
    return fmt::format("because its own in-fence has not ended: {}{}.{}", fence_text(fence), who,
                       bound_text(fence));
}

}  // namespace

std::optional<Finding> find_display_off(const RuleCase& what) {
    auto finding = find_commit_kept(what);
    if (!finding) {
        finding = find_commit_refused(what);
    }
    if (finding) {
        finding->advice =
            "Switch the display on (blanking, DPMS, a session on another terminal), or let the "
            "program give its buffers back without it.";
    }
    return finding;
}

std::optional<Finding> find_waiting_display(const RuleCase& what) {
    const auto place = display_on_the_way(what);
    if (!place) {
        return std::nullopt;
    }
    const SeenDisplay& display = what.snapshot.displays[*place];
    Finding finding = begin_finding(what);
    finding.blamed = party_of_display(what.snapshot, *place);
    finding.verdict = fmt::format(
        "{} for display {} of {}: its commit of picture {} has been under way {}, {}",
        subject_text(what), display.name, process_text(what.snapshot, display.pid),
        display.head.pending_picture, for_text(what.snapshot, display.head.committed_at_ns),
        why_under_way(what, display));
    finding.advice = display.in_fence
                         ? "End what the display waits for: KMS itself waits without a limit."
                         : "Look in the kernel's log for a flip that timed out.";
    return finding;
}

std::optional<Finding> find_silent_display(const RuleCase& what) {
    const WaitNode& last = what.chain.last();
    if (last.kind != WaitNodeKind::Card) {
        return std::nullopt;
    }
    const SeenDisplay& display = what.snapshot.displays[last.place];
    Finding finding = begin_finding(what);
    finding.blamed = party_of_display(what.snapshot, last.place);
    finding.verdict = fmt::format(
        "{}: its commit of picture {} waits for no fence, and no vertical blank has shown it.",
        subject_text(what), display.head.pending_picture);
    finding.advice = "Look in the kernel's log for a flip that timed out.";
    return finding;
}

std::optional<Finding> find_unfetched_flip(const RuleCase& what) {
    const SeenProcess* process = last_process(what, WaitReason::FetchFlip);
    if (process == nullptr) {
        return std::nullopt;
    }
    const std::size_t place = what.chain.edges.back().from.place;
    const SeenDisplay& display = what.snapshot.displays[place];
    Finding finding = begin_finding(what);
    finding.blamed = party_of_display(what.snapshot, place);
    finding.verdict = fmt::format("{}: picture {} is on screen, and {} has not fetched the event "
                                  "that says so, without which it commits no other.",
                                  subject_text(what), display.head.pending_picture,
                                  process_text(what.snapshot, process->pid));
    finding.advice = fmt::format("See what it does instead: gdb -p {}.", process->pid);
    return finding;
}

std::optional<Finding> find_silent_device(const RuleCase& what) {
    const WaitNode& last = what.chain.last();
    if (last.kind != WaitNodeKind::Device) {
        return std::nullopt;
    }
    const SeenQueue& queue = what.snapshot.queues[last.place];
    Finding finding = begin_finding(what);
    finding.blamed.device = queue.device;
    finding.verdict = fmt::format(
        "{}: {} has had {} {}, and has returned none since.", subject_text(what), queue.device,
        queue.head.given == 1 ? "a buffer" : fmt::format("{} buffers", queue.head.given),
        for_text(what.snapshot, what.chain.edges.back().since_ns));
    finding.advice = fmt::format("See whether {} has a signal and is plugged in, and what the "
                                 "kernel's log says of it.",
                                 queue.device);
    return finding;
}

std::optional<Finding> find_kernel_fence(const RuleCase& what) {
    const SeenFence* fence = last_fence(what);
    if (what.chain.last().kind != WaitNodeKind::Fence || fence->kernel.empty()) {
        return std::nullopt;
    }
    const KernelFence& first = fence->kernel.front();
    Finding finding = begin_finding(what);
    finding.blamed.device = fmt::format("{} {}", first.driver, first.timeline);
    const bool display = first.timeline.starts_with("CRTC:");
    finding.verdict = fmt::format("{} for {}: {} of the kernel's driver {} has not ended it.{}",
                                  subject_text(what), fence->name,
                                  display ? fmt::format("display {}", first.timeline)
                                          : fmt::format("timeline {}", first.timeline),
                                  first.driver, bound_text(*fence));
    finding.advice = display ? "See who shows pictures there, and whether it is on."
                             : "See what that device does; the kernel's log may say.";
    return finding;
}

std::optional<Finding> find_unknown_end(const RuleCase& what) {
    const SeenFence* fence = last_fence(what);
    if (what.chain.last().kind != WaitNodeKind::Fence || fence->unknown.empty()) {
        return std::nullopt;
    }
    Finding finding = begin_finding(what);
    finding.verdict = fmt::format("{} for {}. Who can end it is not to be seen: {}.",
                                  subject_text(what), fence_text(*fence), fence->unknown);
    finding.advice = "Run the doctor as root.";
    return finding;
}

std::optional<Finding> find_no_end(const RuleCase& what) {
    const SeenFence* fence = last_fence(what);
    if (what.chain.last().kind != WaitNodeKind::Fence || fence->ended) {
        return std::nullopt;
    }
    Finding finding = begin_finding(what);
    finding.verdict = fmt::format("{} for {}, which nobody can end any more: no process has it.",
                                  subject_text(what), fence_text(*fence));
    finding.advice = "Let the program call STREAMOFF; it closed the fence before it ended it.";
    return finding;
}

}  // namespace v4lfence
