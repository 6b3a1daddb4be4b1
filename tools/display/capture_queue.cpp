// SPDX-License-Identifier: MIT

#include "tools/display/capture_queue.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/video/names.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {

Attempt<DataOffsets> learn_data_offsets(const Camera& camera, const BufferPool& pool) {
    if (!camera.format().multiplanar()) {
        return DataOffsets{};
    }
    IoctlBuffer argument(camera.format(), pool.memory(), 0);
    pool.attach(0, argument);
    const auto prepared = camera.file().ioctl(VIDIOC_PREPARE_BUF, argument.get());
    if (!prepared) {
        return machine_lacks(
            fmt::format("{} does not say where in a buffer its pictures begin before there is one "
                        "(PREPARE_BUF): {}.",
                        camera.driver(), errno_text(prepared.error().code)));
    }
    return argument.data_offsets();
}

Attempt<> check_data_offsets(const Camera& camera, const DataOffsets& told,
                             const DataOffsets& learnt) {
    const auto differs = std::mismatch(told.begin(), told.end(), learnt.begin());
    if (differs.first == told.end()) {
        return {};
    }
    return job_failed(fmt::format(
        "{} put a picture {} bytes into plane {} of its buffer, and before it had said {}: what "
        "is on screen is wrong. Choose a --format that is converted.",
        camera.device(), *differs.second, differs.first - told.begin(), *differs.first));
}

CameraQueue::CameraQueue(const Camera& camera, const BufferPool& pool, bool out_fences,
                         const std::optional<DataOffsets>& told)
    : camera_(camera), pool_(pool), out_fences_(out_fences), told_(told), numbers_(pool.count()) {}

Attempt<QueuedFrame> CameraQueue::queue(unsigned index, int in_fence) {
    IoctlBuffer argument(camera_.format(), pool_.memory(), index);
    pool_.attach(index, argument);
    if (in_fence >= 0) {
        argument->flags |= V4L2_BUF_FLAG_IN_FENCE;
        v4l2_buffer_fence_fd(argument.get()) = in_fence;
    }
    if (out_fences_) {
        argument->flags |= V4L2_BUF_FLAG_OUT_FENCE;
    }
    if (const auto given = camera_.file().ioctl(VIDIOC_QBUF, argument.get()); !given) {
        return lost_device("QBUF", given.error().code);
    }
    QueuedFrame queued;
    queued.number = numbers_[index] = next_number_++;
    queued.held = in_fence >= 0 && (argument->flags & V4L2_BUF_FLAG_IN_FENCE) != 0;
    if (out_fences_) {
        queued.out_fence = UniqueFd(v4l2_buffer_fence_fd(argument.get()));
    }
    return queued;
}

Attempt<> CameraQueue::start() {
    std::uint32_t type = camera_.format().type;
    if (const auto on = camera_.file().ioctl(VIDIOC_STREAMON, &type); !on) {
        return job_failed(fmt::format("{} does not start (STREAMON): {}.", camera_.device(),
                                      errno_text(on.error().code)));
    }
    return {};
}

Attempt<std::optional<TakenFrame>> CameraQueue::take() {
    IoctlBuffer argument(camera_.format(), pool_.memory());
    if (const auto taken = camera_.file().ioctl(VIDIOC_DQBUF, argument.get()); !taken) {
        if (taken.error().code == -EAGAIN) {
            return std::optional<TakenFrame>();
        }
        return lost_device("DQBUF", taken.error().code);
    }
    const unsigned index = argument->index;
    if (index >= numbers_.size()) {
        return job_failed(
            fmt::format("{} returned buffer {}, which there is not.", camera_.device(), index));
    }
    ++taken_;
    const TakenFrame frame{numbers_[index],
                           index,
                           argument->sequence,
                           argument.timestamp_ns(),
                           (argument->flags & V4L2_BUF_FLAG_ERROR) != 0,
                           argument.bytes_used(0),
                           argument.data_offsets()};
    if (told_ && !frame.error) {
        if (auto same = check_data_offsets(camera_, *told_, frame.data_offsets); !same) {
            return tl::unexpected(same.error());
        }
    }
    return frame;
}

void CameraQueue::stop() {
    std::uint32_t type = camera_.format().type;
    // A device that went away refuses; its fences must have ended all the same.
    static_cast<void>(camera_.file().ioctl(VIDIOC_STREAMOFF, &type));
}

std::string CameraQueue::state_text(unsigned index) const {
    IoctlBuffer argument(camera_.format(), pool_.memory(), index);
    if (const auto asked = camera_.file().ioctl(VIDIOC_QUERYBUF, argument.get()); !asked) {
        return errno_text(asked.error().code);
    }
    if ((argument->flags & V4L2_BUF_FLAG_DONE) != 0) {
        return "done, not taken";
    }
    if ((argument->flags & V4L2_BUF_FLAG_IN_FENCE) != 0) {
        return "held until the display's fence ends";
    }
    return (argument->flags & V4L2_BUF_FLAG_QUEUED) != 0 ? "with the driver" : "not queued";
}

tl::unexpected<Failure> CameraQueue::lost_device(const char* call, int code) const {
    if (code == -ENODEV) {
        return job_failed(fmt::format("{} went away in mid-stream, after {} frames. Was it "
                                      "unplugged?",
                                      camera_.device(), taken_));
    }
    return job_failed(fmt::format("{} failed after {} frames ({}): {}.", camera_.device(), taken_,
                                  call, errno_text(code)));
}

}  // namespace v4lfence
