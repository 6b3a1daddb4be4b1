// SPDX-License-Identifier: MIT
//
// The virtual camera: kinds `camera` and `camera-mplane`. Three inputs, a camera, a composite and
// an HDMI one, a picture that says which frame of which moment it is, and controls that make it
// misbehave (controls.hpp).

#pragma once

#include <memory>

#include "v4lfence/base/result.hpp"
#include "v4lfence/drivers/camera/frame_pacer.hpp"
#include "v4lfence/v4l2/device_ops.hpp"

namespace v4lfence {

struct CameraOptions {
    bool multi_planar = false;
    unsigned number = 0;          ///< Tells two apart: it stands in bus_info and in the picture.
    unsigned minimum_queued = 1;  ///< Buffers without which the stream does not start.
    /// The time by which frames are made; NULL: that of the system. Borrowed, outlives the camera.
    FramePacer* pacer = nullptr;
};

/// Errors: ENOMEM.
Result<std::unique_ptr<DeviceOps>> make_camera(const CameraOptions& options);

}  // namespace v4lfence
