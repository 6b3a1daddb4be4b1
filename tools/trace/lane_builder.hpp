// SPDX-License-Identifier: MIT
//
// LaneBuilder: turns the events of one queue or display, one after another, into lanes.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "tools/trace/lanes.hpp"
#include "v4lfence/base/trace_board.hpp"

namespace v4lfence {

/// A lane that is growing.
class OpenLane {
public:
    explicit OpenLane(Lane lane) : lane_(std::move(lane)) {}

    /// Ends what is open and begins another.
    void begin(const LaneSlice& slice);
    /// The open slice ends. In a lane without any, something that had begun before the first event,
    /// at `earliest_ns`, was this `kind` and has ended here.
    void end(SliceKind kind, std::uint64_t job, std::int64_t time_ns, std::int32_t error,
             std::int64_t earliest_ns);
    /// Whatever is open ends, if there is anything.
    void end_any(std::int64_t time_ns, std::int32_t error);
    const std::optional<LaneSlice>& open() const { return open_; }

    void mark(LaneMark mark) { lane_.marks.push_back(std::move(mark)); }
    /// Everything, what is open up to `end_ns`.
    Lane finish(std::int64_t end_ns) &&;

private:
    Lane lane_;
    std::optional<LaneSlice> open_;
};

class LaneBuilder {
public:
    virtual ~LaneBuilder() = default;

    virtual void add(const TraceEvent& event) = 0;
    /// Without cutting; the lanes of one buffer are beside each other.
    virtual void finish(LaneGroup& group, std::int64_t end_ns) = 0;

    /// `earliest_ns`: of all events. Empty: of a kind that is not known here.
    static std::unique_ptr<LaneBuilder> create(std::uint32_t kind, std::int64_t earliest_ns);
};

}  // namespace v4lfence
