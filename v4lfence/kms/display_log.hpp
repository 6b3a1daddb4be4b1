// SPDX-License-Identifier: MIT
//
// DisplayLog: what a display tells `v4lfence trace` and `v4lfence doctor` of itself, on a
// TraceBoard of its own (display_trace.hpp).

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "v4lfence/base/time.hpp"
#include "v4lfence/base/trace_board.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/kms/display_trace.hpp"

namespace v4lfence {

/// Without room for a board it drops what it is told. Nothing here fails.
class DisplayLog {
public:
    /// `about`: what does not change. `clock` must outlive it.
    DisplayLog(const std::string& name, const DisplayHead& about, const Clock& clock);
    DisplayLog(const DisplayLog&) = delete;
    DisplayLog& operator=(const DisplayLog&) = delete;
    ~DisplayLog();

    void mode_set(std::uint32_t width, std::uint32_t height, std::uint64_t refresh_mhz);
    /// Fences are borrowed, or -1. Of the in-fence a duplicate is kept until the flip, for who asks
    /// what the display waits for.
    void committed(int picture, int in_fence, int out_fence);
    void flipped(int picture, int previous, std::uint32_t sequence, std::int64_t time_ns);
    void refused(int picture, int error);

private:
    void record(DisplayEvent kind, std::int64_t time_ns, int picture, std::int64_t value,
                std::uint64_t detail);
    std::int64_t now_ns() const { return to_ns(clock_.now()); }
    void show_head();

    const Clock& clock_;
    DisplayHead head_;
    UniqueFd in_fence_;
    std::unique_ptr<TraceBoard> board_;
    TraceBoard::Source source_;
};

}  // namespace v4lfence
