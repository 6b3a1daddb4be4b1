// SPDX-License-Identifier: MIT

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "tools/doctor/rule_table.hpp"
#include "tools/doctor/words.hpp"
#include "tools/video/names.hpp"

namespace v4lfence {

namespace {

const SeenQueue* queue_of(const RuleCase& what) {
    const WaitNode& node = what.chain.subject;
    return node.kind == WaitNodeKind::Queue ? &what.snapshot.queues[node.place] : nullptr;
}

std::string whose_text(const RuleCase& what, const SeenQueue& queue) {
    return fmt::format("the queue {} of {}", queue.name,
                       process_text(what.snapshot, queue.program));
}

/// The buffer whose fence was given up on last, while the program has not taken notice of it.
std::optional<unsigned> last_expired(const SeenQueue& queue, bool bound) {
    std::optional<unsigned> last;
    for (unsigned i = 0; i < queue.buffers.size(); ++i) {
        const QueueCell& cell = queue.buffers[i].cell;
        const bool counts = cell.expired == (bound ? 2U : 1U) && cell.state != SlotState::Dequeued;
        if (counts && (!last || cell.expired_at_ns > queue.buffers[*last].cell.expired_at_ns)) {
            last = i;
        }
    }
    return last;
}

Finding expired(const RuleCase& what, unsigned index) {
    Finding finding;
    finding.waiter = party_of_queue(what.snapshot, what.chain.subject.place, index);
    finding.blamed = finding.waiter;
    finding.since_ns = queue_of(what)->buffers[index].cell.queued_at_ns;
    finding.error = -ETIME;
    return finding;
}

std::string times_text(const RuleCase& what, const QueueCell& cell) {
    return fmt::format("{} after its QBUF, {} ago",
                       duration_text(cell.expired_at_ns - cell.queued_at_ns),
                       duration_text(what.snapshot.now_ns - cell.expired_at_ns));
}

}  // namespace

std::optional<Finding> find_device_gone(const RuleCase& what) {
    const SeenQueue* queue = queue_of(what);
    if (queue == nullptr || queue->head.failure != -ENODEV) {
        return std::nullopt;
    }
    Finding finding;
    finding.waiter = party_of_queue(what.snapshot, what.chain.subject.place);
    finding.blamed.device = queue->device;
    finding.error = -ENODEV;
    finding.verdict = fmt::format("{} is gone: it was unplugged or its driver was unbound, and {} "
                                  "still has it open.",
                                  queue->device, process_text(what.snapshot, queue->program));
    finding.advice = "Close the file, and open the device again when it is back.";
    return finding;
}

std::optional<Finding> find_failed_start(const RuleCase& what) {
    const SeenQueue* queue = queue_of(what);
    if (queue == nullptr || queue->head.failure == 0) {
        return std::nullopt;
    }
    const bool start = queue->start_error != 0 || queue->head.last_done_at_ns == 0;
    Finding finding;
    finding.waiter = party_of_queue(what.snapshot, what.chain.subject.place);
    finding.blamed = finding.waiter;
    finding.error = queue->start_error != 0 ? queue->start_error : queue->head.failure;
    finding.since_ns = queue->head.stream_on_at_ns;
    finding.verdict = fmt::format(
        "{} has failed: its driver refused to {}, {}, when a fence ended, where no call could "
        "return that. Nothing that is queued there goes on.",
        capitalized(whose_text(what, *queue)), start ? "start" : "take a buffer",
        errno_text(finding.error));
    finding.advice = fmt::format(
        "Let the program call STREAMOFF and begin anew; see what the kernel's log says of {}.",
        queue->device);
    return finding;
}

std::optional<Finding> find_bound_expired(const RuleCase& what) {
    const SeenQueue* queue = queue_of(what);
    const auto index = queue == nullptr ? std::nullopt : last_expired(*queue, true);
    if (!index) {
        return std::nullopt;
    }
    const QueueCell& cell = queue->buffers[*index].cell;
    Finding finding = expired(what, *index);
    const bool held = cell.given_at_ns < cell.queued_at_ns;
    finding.verdict = fmt::format(
        "The out-fence of buffer {} in {} was ended by its bound, {}: {}. The buffer carries an "
        "error, and its stream goes on with fences that the kernel cannot wait for.",
        *index, whose_text(what, *queue), times_text(what, cell),
        held ? "its in-fence had not ended, so it was never given to the device"
             : fmt::format("{} had not finished it", queue->device));
    finding.advice = held ? "Find who did not end the in-fence in time: run the doctor before the "
                            "bound expires."
                          : fmt::format("Find out why {} gives no frames.", queue->device);
    return finding;
}

std::optional<Finding> find_deadline_expired(const RuleCase& what) {
    const SeenQueue* queue = queue_of(what);
    const auto index = queue == nullptr ? std::nullopt : last_expired(*queue, false);
    if (!index) {
        return std::nullopt;
    }
    Finding finding = expired(what, *index);
    finding.verdict = fmt::format(
        "The in-fence of buffer {} in {} had not ended when its deadline expired, {}: the buffer "
        "comes back with an error.",
        *index, whose_text(what, *queue), times_text(what, queue->buffers[*index].cell));
    finding.advice = "Find who did not end it in time: run the doctor before the deadline expires.";
    return finding;
}

std::optional<Finding> find_stopped_program(const RuleCase& what) {
    const WaitNode& node = what.chain.subject;
    if (node.kind != WaitNodeKind::Process || !what.snapshot.processes[node.place].stopped()) {
        return std::nullopt;
    }
    const pid_t pid = what.snapshot.processes[node.place].pid;
    const auto& queues = what.snapshot.queues;
    const auto streams = [pid](const SeenQueue& queue) {
        return queue.head.streaming != 0 && (queue.pid == pid || queue.program == pid);
    };
    const auto queue = std::find_if(queues.begin(), queues.end(), streams);
    if (queue == queues.end()) {
        return std::nullopt;
    }
    Finding finding;
    finding.waiter =
        party_of_queue(what.snapshot, static_cast<std::size_t>(queue - queues.begin()));
    finding.blamed = party_of_process(what.snapshot, pid);
    finding.verdict = fmt::format("{} does nothing: {} waits until it is continued.",
                                  process_text(what.snapshot, pid), queue->name);
    finding.advice = fmt::format("kill -CONT {}", pid);
    return finding;
}

}  // namespace v4lfence
