// SPDX-License-Identifier: MIT
//
// A recording written by hand, for tests.

#pragma once

#include <cstdint>
#include <string>

#include "tools/trace/recording.hpp"
#include "v4lfence/kms/display_trace.hpp"
#include "v4lfence/sync/queue_trace.hpp"

namespace v4lfence {

/// Times are in milliseconds. It begins at 0 and ends at 1000 ms.
class Script {
public:
    Script() { recording.end_ns = ms(1000); }

    static constexpr std::int64_t ms(std::int64_t time) { return time * 1'000'000; }

    std::size_t process(pid_t pid, const std::string& name) {
        recording.processes.push_back({.pid = pid, .name = name});
        return recording.processes.size() - 1;
    }
    std::size_t queue(std::size_t process, const std::string& name) {
        recording.sources.push_back({.process = process, .kind = queue_trace_kind, .name = name});
        return recording.sources.size() - 1;
    }
    std::size_t display(std::size_t process, const std::string& name) {
        recording.sources.push_back({.process = process, .kind = display_trace_kind,
                                     .name = name});
        return recording.sources.size() - 1;
    }
    void at(std::int64_t time, std::size_t source, QueueEvent kind, unsigned index,
            std::uint64_t job, std::int64_t value = 0, std::uint64_t detail = 0) {
        add(time, source, static_cast<std::uint32_t>(kind), index, job, value, detail);
    }
    void at(std::int64_t time, std::size_t source, DisplayEvent kind, unsigned picture,
            std::uint64_t job, std::int64_t value = 0, std::uint64_t detail = 0) {
        add(time, source, static_cast<std::uint32_t>(kind), picture, job, value, detail);
    }
    /// One frame of `buffers`, every 16 ms: held for 2, given for 20, done for 1. It waits for the
    /// out-fence of the frame before, and has one.
    void frame(std::size_t source, std::uint64_t number, unsigned buffers) {
        const auto begin = static_cast<std::int64_t>(number) * 16;
        const auto index = static_cast<unsigned>(number) % buffers;
        const auto fd = static_cast<std::int64_t>(10 + index);
        const auto before = static_cast<std::uint64_t>(11 + (number + buffers - 1) % buffers);
        at(begin, source, QueueEvent::Queued, index, number, 1, number > 1 ? before : 0);
        at(begin, source, QueueEvent::OutFenceMinted, index, number, fd);
        at(begin + 2, source, QueueEvent::InFenceEnded, index, number);
        at(begin + 2, source, QueueEvent::Given, index, number);
        at(begin + 22, source, QueueEvent::Done, index, number, 0, number);
        at(begin + 22, source, QueueEvent::OutFenceEnded, index, number);
        at(begin + 23, source, QueueEvent::Dequeued, index, number);
    }
    void kernel(std::int64_t time, std::string_view system, const std::string& name,
                std::vector<KernelField> fields) {
        recording.kernel_events.push_back({.time_ns = ms(time), .cpu = 0, .pid = 1, .task = "task",
                                           .system = std::string(system), .name = name,
                                           .fields = std::move(fields)});
    }

    Recording recording;

private:
    void add(std::int64_t time, std::size_t source, std::uint32_t kind, unsigned index,
             std::uint64_t job, std::int64_t value, std::uint64_t detail) {
        recording.events.push_back({source,
                                    {.time_ns = ms(time),
                                     .source = source + 1,
                                     .kind = kind,
                                     .index = index,
                                     .job = job,
                                     .value = value,
                                     .detail = detail}});
    }
};

}  // namespace v4lfence
