// SPDX-License-Identifier: MIT
//
// One line of the kernel's trace_pipe, as an event.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace v4lfence {

/// `name = value` or `name=value`, as the text of an event has them.
struct KernelField {
    std::string name;
    std::string value;

    bool operator==(const KernelField&) const = default;
};

struct KernelEvent {
    std::int64_t time_ns = 0;  ///< In the trace's clock; of microseconds only.
    unsigned cpu = 0;
    pid_t pid = 0;       ///< The thread's.
    std::string task;    ///< Its name.
    std::string system;  ///< "vb2", "v4l2", "dma_fence", "drm"; empty: another one.
    std::string name;    ///< "vb2_buf_done"
    std::vector<KernelField> fields;

    /// Empty: it has no such field.
    std::string_view field(std::string_view name) const;
};

/// "CPU:0 [LOST 12 EVENTS]"; the kernel does not always know how many, which counts as one.
struct KernelLoss {
    std::uint64_t events = 0;
};

/// Where an event belongs: "vb2 queue 00000000f96b85ad", "v4l2 video0", "dma_fence vgem unbound",
/// "drm crtc 0".
std::string kernel_lane_name(const KernelEvent& event);

/// Empty: neither of both (a heading, an empty line, a line cut in two).
std::optional<std::variant<KernelEvent, KernelLoss>> parse_kernel_line(std::string_view line);

}  // namespace v4lfence
