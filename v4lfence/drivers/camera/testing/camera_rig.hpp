// SPDX-License-Identifier: MIT
//
// A whole virtual camera for tests, with a time of its own.

#pragma once

#include <linux/videodev2.h>

#include <memory>
#include <optional>
#include <span>

#include "v4lfence/drivers/camera/camera.hpp"
#include "v4lfence/drivers/camera/controls.hpp"
#include "v4lfence/drivers/camera/testing/scripted_pacer.hpp"
#include "v4lfence/v4l2/device.hpp"

namespace v4lfence::testing {

inline int code(const Result<>& result) {
    return result ? 0 : result.error().code;
}

class CameraRig {
public:
    /// Aborts where there is no camera.
    explicit CameraRig(CameraOptions options = {});

    DeviceOps& ops() { return device_->ops(); }
    Queue& queue() { return device_->queue(); }
    ScriptedPacer& pacer() { return pacer_; }
    VideoDevice& device() { return *device_; }

    v4l2_format format();
    /// S_FMT of a single-planar or multi-planar format.
    Result<> set_format(std::uint32_t fourcc, std::uint32_t width, std::uint32_t height);
    Result<> set_interval(v4l2_fract interval);
    Result<> set_control(std::uint32_t id, std::int32_t value);
    std::int64_t control(std::uint32_t id);

    /// REQBUFS of MMAP buffers.
    Result<> request(unsigned count);
    Result<> enqueue(unsigned index);
    /// Requests, queues all of them, and STREAMON; returns when the first frame is exposed.
    bool stream(unsigned count);
    Result<BufferReport> dequeue() { return queue().dequeue(); }

    std::span<std::byte> bytes(unsigned index, unsigned plane);

private:
    Core core_;
    MemoryMakers makers_{MmapSource::Memfd};
    ScriptedPacer pacer_;
    std::unique_ptr<VideoDevice> device_;
};

}  // namespace v4lfence::testing
