// SPDX-License-Identifier: MIT

#include "v4lfence/kms/display_log.hpp"

#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

DisplayLog::DisplayLog(const std::string& name, const DisplayHead& about, const Clock& clock)
    : clock_(clock), head_(about) {
    if (auto board = TraceBoard::create()) {
        board_ = std::move(*board);
        source_ = board_->add_source(display_trace_kind, name);
        show_head();
    }
}

DisplayLog::~DisplayLog() {
    record(DisplayEvent::Closed, now_ns(), head_.shown_picture, 0, 0);
}

void DisplayLog::mode_set(std::uint32_t width, std::uint32_t height, std::uint64_t refresh_mhz) {
    head_.width = width;
    head_.height = height;
    head_.refresh_mhz = refresh_mhz;
    record(DisplayEvent::ModeSet, now_ns(), 0, 0, std::uint64_t{width} << 32 | height);
    show_head();
}

void DisplayLog::committed(int picture, int in_fence, int out_fence) {
    if (!source_) {
        return;
    }
    if (in_fence >= 0) {
        in_fence_ = sys::dup_high(in_fence).value_or(UniqueFd());
    }
    ++head_.commits;
    head_.committed_at_ns = now_ns();
    head_.pending_picture = picture;
    head_.in_fence_fd = in_fence_.get();
    const auto one_more = [](int fd) { return std::uint64_t{static_cast<std::uint32_t>(fd + 1)}; };
    record(DisplayEvent::Commit, head_.committed_at_ns, picture, in_fence >= 0 ? 1 : 0,
           one_more(in_fence) | one_more(out_fence) << 32);
    show_head();
}

void DisplayLog::flipped(int picture, int previous, std::uint32_t sequence, std::int64_t time_ns) {
    if (!source_) {
        return;
    }
    ++head_.flips;
    head_.flipped_at_ns = time_ns;
    head_.committed_at_ns = 0;
    head_.pending_picture = 0;
    head_.shown_picture = picture;
    head_.in_fence_fd = -1;
    record(DisplayEvent::Flip, time_ns, picture, previous, sequence);
    show_head();
    in_fence_.reset();
}

void DisplayLog::refused(int picture, int error) {
    record(DisplayEvent::Refused, now_ns(), picture, error, 0);
}

void DisplayLog::record(DisplayEvent kind, std::int64_t time_ns, int picture, std::int64_t value,
                        std::uint64_t detail) {
    TraceEvent event;
    event.time_ns = time_ns;
    event.kind = static_cast<std::uint32_t>(kind);
    event.index = static_cast<std::uint32_t>(picture);
    event.job = head_.commits;
    event.value = value;
    event.detail = detail;
    source_.record(event);
}

void DisplayLog::show_head() {
    source_.set_head(to_words(head_));
}

}  // namespace v4lfence
