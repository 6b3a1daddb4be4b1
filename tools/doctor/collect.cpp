// SPDX-License-Identifier: MIT

#include "tools/doctor/collect.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "tools/doctor/fence_resolver.hpp"
#include "tools/doctor/sysfs.hpp"
#include "tools/doctor/wait_graph.hpp"
#include "tools/trace/board_reader.hpp"
#include "v4lfence/base/time.hpp"

namespace v4lfence {

namespace {

std::string first_word(const std::string& text) {
    return text.substr(0, text.find(' '));
}

SeenQueue queue_of(pid_t pid, const BoardSource& source) {
    SeenQueue queue;
    queue.pid = pid;
    queue.name = source.name;
    queue.head = from_words<QueueHead>(source.head);
    queue.program = queue.head.client_pid != 0 ? queue.head.client_pid : pid;
    queue.device = first_word(source.name);
    if (queue.device.empty()) {
        queue.device = read_device_name(queue.head.device_major, queue.head.device_minor);
        queue.name = queue.device;
    }
    for (const TraceWords& words : source.cells) {
        queue.buffers.push_back({from_words<QueueCell>(words), std::nullopt});
    }
    return queue;
}

/// What the start that failed on another thread said: the queue itself only says that it failed.
int start_error_of(const BoardReader& board, std::uint64_t source) {
    int error = 0;
    for (const TraceEvent& event : board.events(1).events) {
        if (event.source == source &&
            event.kind == static_cast<std::uint32_t>(QueueEvent::StartFailed)) {
            error = static_cast<int>(event.value);
        }
    }
    return error;
}

/// What KMS said to its last commit.
void add_refusal(SeenDisplay& display, const BoardReader& board, std::uint64_t source) {
    for (const TraceEvent& event : board.events(1).events) {
        const auto kind = static_cast<DisplayEvent>(event.kind);
        if (event.source != source) {
            continue;
        }
        if (kind == DisplayEvent::Refused) {
            display.refused = static_cast<int>(event.value);
            display.refused_at_ns = event.time_ns;
        } else if (kind == DisplayEvent::Commit) {
            display.refused = 0;
            display.refused_at_ns = 0;
        }
    }
}

SeenDisplay display_of(pid_t pid, const BoardSource& source) {
    SeenDisplay display;
    display.pid = pid;
    display.head = from_words<DisplayHead>(source.head);
    display.driver = read_drm_driver(pid, display.head.card_fd);
    // It is called "CONNECTOR of CARD".
    const std::string connector = first_word(source.name);
    const std::string card = read_device_name(display.head.card_major, display.head.card_minor);
    display.name = fmt::format("{} {}", card, connector);
    display.active = read_connector_on(card, connector);
    return display;
}

class Collector {
public:
    /// What is wrong with a process that nobody asked about is nobody's concern.
    Attempt<> add_boards(pid_t pid) {
        const auto boards = BoardReader::find(pid);
        if (!boards) {
            return tl::unexpected(boards.error());
        }
        for (const BoardReader& board : *boards) {
            if (boards_.insert(board.identity()).second) {
                add_sources(pid, board);
            }
        }
        return {};
    }

    bool has_board(pid_t pid) const {
        const auto of_queue = [pid](const SeenQueue& one) {
            return one.pid == pid || one.program == pid;
        };
        const auto of_display = [pid](const SeenDisplay& one) { return one.pid == pid; };
        return std::any_of(snapshot_.queues.begin(), snapshot_.queues.end(), of_queue) ||
               std::any_of(snapshot_.displays.begin(), snapshot_.displays.end(), of_display);
    }

    bool has_anything() const { return !boards_.empty(); }

    /// Of the boards; add_held() needs it.
    void resolve() {
        snapshot_.now_ns = to_ns(SystemClock().now());
        resolver_.emplace(snapshot_);
        for (SeenQueue& queue : snapshot_.queues) {
            for (SeenBuffer& buffer : queue.buffers) {
                if (is_held_by_fence(buffer.cell)) {
                    buffer.in_fence = resolver_->resolve(queue.pid, buffer.cell.in_fence_fd);
                }
            }
        }
        for (SeenDisplay& display : snapshot_.displays) {
            if (display.head.committed_at_ns != 0) {
                resolve_commit(display);
            }
        }
    }

    /// The sync_files and dma-bufs of a process that are pending.
    Result<> add_held(pid_t pid) {
        const auto descriptors = V4LFENCE_TRY(read_descriptors(pid));
        for (const ProcFd& one : descriptors) {
            if (const auto fence = resolver_->resolve_pending(pid, one)) {
                snapshot_.held.push_back({pid, one.fd, *fence});
            }
        }
        return {};
    }

    bool holds_fences(pid_t pid) const {
        return std::any_of(snapshot_.held.begin(), snapshot_.held.end(),
                           [pid](const HeldFence& one) { return one.pid == pid; });
    }

    Snapshot finish() {
        for (const SeenQueue& queue : snapshot_.queues) {
            snapshot_.place_of(queue.pid);
            snapshot_.place_of(queue.program);
        }
        for (const SeenDisplay& display : snapshot_.displays) {
            snapshot_.place_of(display.pid);
        }
        for (const HeldFence& held : snapshot_.held) {
            snapshot_.place_of(held.pid);
        }
        for (std::size_t i = 0; i < snapshot_.fences.size(); ++i) {
            for (const FenceEnd& end : snapshot_.fences[i].ends) {
                snapshot_.place_of(end.pid);
            }
        }
        // By place: what a process waits for may be a fence that nobody had seen.
        for (SeenProcess& process : snapshot_.processes) {
            look_at(process);
        }
        note_unseen();
        return std::move(snapshot_);
    }

private:
    void resolve_commit(SeenDisplay& display) {
        if (display.head.in_fence_fd >= 0) {
            const std::size_t fence = resolver_->resolve(display.pid, display.head.in_fence_fd);
            if (!snapshot_.fences[fence].ended) {
                display.in_fence = fence;
                return;
            }
        }
        display.flip_unfetched = is_readable(display.pid, display.head.card_fd).value_or(false);
    }

    void add_sources(pid_t pid, const BoardReader& board) {
        for (const BoardSource& source : board.sources()) {
            if (source.kind == queue_trace_kind) {
                snapshot_.queues.push_back(queue_of(pid, source));
                SeenQueue& queue = snapshot_.queues.back();
                queue.start_error =
                    queue.head.failure == 0 ? 0 : start_error_of(board, source.serial);
            } else if (source.kind == display_trace_kind) {
                snapshot_.displays.push_back(display_of(pid, source));
                add_refusal(snapshot_.displays.back(), board, source.serial);
            }
            if (source.torn) {
                snapshot_.unseen.push_back(
                    fmt::format("process {} was stopped while it changed what it shows of {}: that "
                                "may be mixed",
                                pid, source.name));
            }
        }
    }

    void look_at(SeenProcess& process) {
        if (const auto stat = read_stat(process.pid)) {
            process.name = stat->name;
            process.state = stat->state;
        }
        for (const int fd : read_awaited(process.pid)) {
            if (const auto fence = resolver_->resolve_known(process.pid, fd)) {
                process.polls.push_back(*fence);
            }
        }
    }

    void note_unseen() {
        if (resolver_->hidden() > 0) {
            snapshot_.unseen.push_back(fmt::format(
                "{} processes of other users may not be looked at: root may", resolver_->hidden()));
        }
    }

    Snapshot snapshot_;
    std::set<BoardIdentity> boards_;
    std::optional<FenceResolver> resolver_;
};

Failure nothing_to_see(const Failure& failure) {
    return {ExitStatus::MachineLacks, failure.message};
}

Attempt<> look_at_asked(Collector& collector, pid_t pid) {
    if (!read_stat(pid)) {
        return machine_lacks(fmt::format("process {}: there is none.", pid));
    }
    if (const auto seen = collector.add_held(pid); !seen) {
        return machine_lacks(fmt::format("process {}: it may not be looked at by this user (as for "
                                         "a debugger: the same user, or root).",
                                         pid));
    }
    if (!collector.has_board(pid) && !collector.holds_fences(pid)) {
        return machine_lacks(fmt::format("process {}: it does not use v4lfence, or has no fenced "
                                         "file so far, and holds no fence of the kernel's.",
                                         pid));
    }
    return {};
}

}  // namespace

Attempt<Snapshot> collect(const std::vector<pid_t>& pids) {
    Collector collector;
    for (const pid_t pid : processes_with_boards()) {
        const bool asked = pids.empty() || std::find(pids.begin(), pids.end(), pid) != pids.end();
        if (const auto added = collector.add_boards(pid); !added && asked) {
            return tl::unexpected(nothing_to_see(added.error()));
        }
    }
    if (pids.empty() && !collector.has_anything()) {
        return machine_lacks("no program that this user may look at uses v4lfence with fences now. "
                             "Name a process, or run it as root.");
    }
    collector.resolve();
    for (const pid_t pid : pids) {
        if (const auto looked = look_at_asked(collector, pid); !looked) {
            return tl::unexpected(looked.error());
        }
    }
    return collector.finish();
}

}  // namespace v4lfence
