// SPDX-License-Identifier: MIT
//
// KernelTrace: the kernel's own events about video buffers, fences and vertical blanks, from an
// instance of tracefs that nobody else uses. Nothing is mounted, and the settings of other traces
// stay as they are.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/failure.hpp"
#include "tools/trace/kernel_line.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// Lines of trace_pipe as events. A line may come in pieces.
class KernelText {
public:
    void add(std::string_view text);

    std::vector<KernelEvent>& events() { return events_; }
    std::uint64_t lost() const { return lost_; }

private:
    std::string rest_;  ///< Of a line whose end has not come.
    std::vector<KernelEvent> events_;
    std::uint64_t lost_ = 0;
};

class KernelTrace {
public:
    /// Begins. `folder`: where tracefs is; by default one of the two places where it may be.
    /// Fails with a sentence: not mounted, not readable by this user, none of the events there.
    static Attempt<KernelTrace> start();
    static Attempt<KernelTrace> start(const std::string& folder);

    KernelTrace(KernelTrace&& other) noexcept;
    KernelTrace& operator=(KernelTrace&&) = delete;
    /// The instance goes.
    ~KernelTrace();

    /// What has come since; never waits.
    void collect(KernelText& into) const;
    /// No events from here on; what there is can still be collected.
    void stop() const;

private:
    KernelTrace(std::string folder, UniqueFd pipe) noexcept
        : folder_(std::move(folder)), pipe_(std::move(pipe)) {}

    std::string folder_;  ///< Of the instance; empty once moved from.
    UniqueFd pipe_;
};

}  // namespace v4lfence
