// SPDX-License-Identifier: MIT
//
// The controls of the virtual camera: those a camera has, those by which it is made to misbehave,
// and one of each type that does nothing, for programs that show controls.

#pragma once

#include <linux/v4l2-controls.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "v4lfence/v4l2/control_spec.hpp"

namespace v4lfence {

/// Ids of our own, in the class of user controls.
enum CameraControl : std::uint32_t {
    camera_control_base = V4L2_CID_USER_BASE + 0x1f00,

    /// Boolean: a frame for each buffer, as fast as they come.
    camera_free_running = camera_control_base,
    /// Microseconds: a frame is finished up to so much later than when the next one begins.
    camera_end_jitter_us,
    /// Of all that is left to chance: jitter, bad frames. One seed, one course of events.
    camera_seed,
    /// Boolean: of two frames the second is finished first. Not while there are buffers (EBUSY).
    camera_out_of_order,
    /// Boolean: no frame comes. Their numbers and times go on.
    camera_freeze,
    /// Read-only: frames that were exposed since the camera exists.
    camera_frame_count,
    /// Menu, CameraSignal: what the composite and HDMI inputs get.
    camera_signal,

    // The next so many of them fail; how many are left can be read.
    camera_fail_queue_setup,      ///< REQBUFS and CREATE_BUFS, EINVAL.
    camera_fail_buf_prepare,      ///< PREPARE_BUF and QBUF, EINVAL.
    camera_fail_start_streaming,  ///< STREAMON or QBUF, EINVAL.
    camera_fail_frame,            ///< Frames: V4L2_BUF_FLAG_ERROR.
    camera_requeue_frame,         ///< Frames: their buffers go back into the queue.

    /// Percent of frames that are bad, by chance.
    camera_bad_frames_percent,
    /// Boolean: camera_disconnect works. A program that tries every button shall not unplug it.
    camera_disconnect_armed,
    /// Button: unplugs the camera.
    camera_disconnect,

    camera_integer64,
    camera_text,
    camera_bitmask,
    camera_integer_menu,
    camera_button,
    camera_u8_matrix,
    camera_u16_matrix,
    camera_u32_array,
};

/// The last one is the usual one: programs that try each item of a menu leave it there.
enum class CameraSignal : std::uint8_t {
    Absent,
    Unlocked,  ///< There is one, and it makes no sense.
    Other,     ///< Of another standard or other timings than are set.
    Steady,
};

std::span<const ControlSpec> camera_controls();

/// What fails next. Thread: any.
class CameraFaults {
public:
    enum Fault : unsigned { QueueSetup, BufPrepare, StartStreaming, Frame, Requeue, fault_count };

    /// fault_count: no control of a fault.
    static Fault of_control(std::uint32_t id);

    void set(Fault fault, unsigned count) { left_[fault].store(count); }
    unsigned left(Fault fault) const { return left_[fault].load(); }

    /// Whether this one fails; it is one less then.
    bool take(Fault fault);

private:
    std::array<std::atomic<unsigned>, fault_count> left_{};
};

}  // namespace v4lfence
