// SPDX-License-Identifier: MIT

#include "tools/stream/diagnosis.hpp"

#include <fmt/format.h>

#include "tools/stream/session.hpp"
#include "tools/video/names.hpp"

namespace v4lfence {

const char* fence_state_text(int fence_fd) {
    v4lfence_fence_result status{};
    if (v4lfence_fence_status(fence_fd, &status) < 0) {
        return "cannot be read";
    }
    switch (status.state) {
    case V4LFENCE_PENDING:
        return "is pending";
    case V4LFENCE_SIGNALED:
        return "has ended";
    default:
        return "has failed";
    }
}

namespace {

std::string waits_for(const QueuedBuffer& buffer, unsigned chain_depth) {
    const bool timed = static_cast<bool>(buffer.own_in_fence);
    const std::string whose =
        timed ? "a fence of the timer"
              : fmt::format("the out-fence of frame {}", buffer.number - chain_depth);
    return fmt::format("held, it waits for {}, which {}", whose, fence_state_text(buffer.in_fence));
}

}  // namespace

std::string diagnose(const Camera& camera, std::uint32_t memory,
                     std::span<const QueuedBuffer> buffers, unsigned chain_depth) {
    std::string text;
    for (unsigned index = 0; index < buffers.size(); ++index) {
        const QueuedBuffer& buffer = buffers[index];
        IoctlBuffer argument(camera.format(), memory, index);
        const auto asked = camera.file().ioctl(VIDIOC_QUERYBUF, argument.get());
        std::string state = "not queued";
        if (!asked) {
            state = errno_text(asked.error().code);
        } else if (buffer.queued && (argument->flags & V4L2_BUF_FLAG_DONE) != 0) {
            state = "done, not taken";
        } else if (buffer.queued && (argument->flags & V4L2_BUF_FLAG_IN_FENCE) != 0) {
            state = waits_for(buffer, chain_depth);
        } else if (buffer.queued) {
            state = "with the driver";
        }
        text += fmt::format("  buffer {} (frame {}): {}", index, buffer.number, state);
        if (buffer.queued && buffer.out_fence >= 0) {
            text += fmt::format("; its out-fence {}", fence_state_text(buffer.out_fence));
        }
        text += index + 1 < buffers.size() ? "\n" : "";
    }
    return text;
}

std::string expiry_text(const v4lfence_expiry& expiry) {
    if (expiry.count == 0) {
        return {};
    }
    std::string whose = expiry.driver_name;
    if (expiry.timeline_name[0] != '\0') {
        whose += fmt::format(" {}", expiry.timeline_name);
    }
    return fmt::format("{} fence{}; the last was of buffer {}, {:.0f} ms after its QBUF, by {}{}",
                       expiry.count, expiry.count == 1 ? "" : "s", expiry.index,
                       double(expiry.expired_at_ns - expiry.queued_at_ns) / 1e6,
                       expiry.bound != 0 ? "the bound of its out-fence"
                                         : "the deadline of its in-fence",
                       whose.empty() ? "" : fmt::format(" ({})", whose));
}

}  // namespace v4lfence
