// SPDX-License-Identifier: MIT
//
// CameraDevice: the camera as the v4l2 and vb2 layers see it.

#pragma once

#include <mutex>

#include "v4lfence/drivers/camera/camera.hpp"
#include "v4lfence/drivers/camera/catalog.hpp"
#include "v4lfence/drivers/camera/frame_thread.hpp"
#include "v4lfence/drivers/camera/inputs.hpp"
#include "v4lfence/v4l2/device.hpp"

namespace v4lfence {

/// Thread: as DeviceOps and Driver say; start_streaming() may come while an ioctl runs.
class CameraDevice final : public DeviceOps, private Driver {
public:
    CameraDevice(const CameraOptions& options, const FormatCatalog& catalog,
                 const FrameFormat& format);
    ~CameraDevice() override;

    // --- DeviceOps: camera.cpp -------------------------------------------------------------------

    const DeviceIdentity& identity() const override { return identity_; }
    QueueTraits queue_traits() const override;
    Driver& driver() override { return *this; }
    std::span<const ControlSpec> controls() const override { return camera_controls(); }
    void attach(VideoDevice& device) override { device_ = &device; }
    std::vector<EventType> events() const override { return {{V4L2_EVENT_SOURCE_CHANGE, 4}}; }
    Result<> s_ctrl(std::uint32_t id, const ControlValue& value) override;
    Result<std::int64_t> g_volatile_ctrl(std::uint32_t id) override;
    std::vector<std::string> log_status() override;

    // --- DeviceOps: camera_formats.cpp -----------------------------------------------------------

    Result<> enum_fmt(v4l2_fmtdesc& description) override;
    Result<> g_fmt(v4l2_format& format) override;
    Result<> try_fmt(v4l2_format& format) override;
    Result<> s_fmt(v4l2_format& format) override;
    Result<> enum_framesizes(v4l2_frmsizeenum& size) override;
    Result<> enum_frameintervals(v4l2_frmivalenum& interval) override;
    Result<> g_parm(v4l2_streamparm& parm) override;
    Result<> s_parm(v4l2_streamparm& parm) override;

    // --- DeviceOps: camera_inputs.cpp ------------------------------------------------------------

    Result<> enum_input(v4l2_input& input) override { return inputs_.describe(input); }
    Result<unsigned> g_input() override { return inputs_.current(); }
    Result<> s_input(unsigned input) override;
    v4l2_std_id standards() const override { return inputs_.standards(); }
    Result<v4l2_std_id> g_std() override { return inputs_.standard(); }
    Result<> s_std(v4l2_std_id standard) override;
    Result<v4l2_std_id> querystd() override { return inputs_.standard_seen(); }
    Result<> enum_dv_timings(v4l2_enum_dv_timings& timings) override;
    Result<> g_dv_timings(v4l2_dv_timings& timings) override;
    Result<> s_dv_timings(v4l2_dv_timings& timings) override;
    Result<> query_dv_timings(v4l2_dv_timings& timings) override;
    Result<> dv_timings_cap(v4l2_dv_timings_cap& cap) override;
    Result<> g_selection(v4l2_selection& selection) override;
    Result<> s_selection(v4l2_selection& selection) override;
    v4l2_fract g_pixelaspect() const override;

private:
    // --- Driver ----------------------------------------------------------------------------------

    Result<BufferShape> queue_setup(unsigned& count, const BufferShape* wanted) override;
    Result<> buf_prepare(const BufferMemory& memory, const BufferSettings& buffer) override;
    void buf_queue(ActiveBuffer buffer) override;
    Result<> start_streaming(unsigned count) override;
    void stop_streaming() override;

    bool is_busy() const { return device_ != nullptr && device_->is_busy(); }
    FrameFormat fitted(const WantedFormat& wanted) const;
    /// After what dictates the format has changed.
    void reset_format();
    void reset_interval();
    v4l2_fract nearest_interval(const v4l2_fract& wanted) const;
    /// With the wishes locked.
    void set_interval(const v4l2_fract& interval);
    v4l2_rect source_rect() const;
    Result<> check_selection(const v4l2_selection& selection) const;

    Result<> set_frames(std::uint32_t id, std::int64_t value);
    Result<> set_picture(std::uint32_t id, std::int64_t value);
    Result<> set_order(bool out_of_order);
    Result<> set_signal(CameraSignal signal);
    /// Tells the stream, if there is one. With the wishes locked. Errors: ENOMEM.
    Result<> hand_over(bool repaint);
    void disconnect();

    const DeviceIdentity identity_;
    const bool multi_planar_;
    const unsigned minimum_queued_;
    SystemPacer system_pacer_;
    FramePacer& pacer_;
    const FormatCatalog catalog_;
    VideoDevice* device_ = nullptr;

    CameraFaults faults_;
    FrameMaker maker_;
    FrameThread thread_;

    // The ioctls'. What a stream needs of it does not change while there are buffers.
    CameraInputs inputs_;
    FrameFormat format_;
    v4l2_fract interval_;
    v4l2_frmsize_discrete camera_size_;  ///< Of input 0, while another one is chosen.
    v4l2_fract camera_interval_;
    std::atomic<bool> auto_gain_{true};
    std::atomic<std::int64_t> gain_{64};
    bool disconnect_armed_ = false;

    /// Guards what follows, while a painter is made of it too. The frame thread does without.
    std::mutex wishes_mutex_;
    FrameSettings frames_;
    PictureSettings picture_;
    bool streaming_ = false;
};

}  // namespace v4lfence
