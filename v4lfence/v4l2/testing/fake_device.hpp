// SPDX-License-Identifier: MIT
//
// A small capture device, and a rig with one of them whose ioctls are made as a program makes them:
// for tests of the v4l2 layer.

#pragma once

#include <linux/videodev2.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "v4lfence/sync/core.hpp"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/device_ops.hpp"
#include "v4lfence/v4l2/file_handle.hpp"
#include "v4lfence/v4l2/format_catalog.hpp"
#include "v4lfence/vb2/memory_makers.hpp"

namespace v4lfence::testing {

inline constexpr std::uint32_t volatile_control = V4L2_CID_GAIN;
inline constexpr std::uint32_t text_control = V4L2_CID_USER_BASE | 0x1001;
inline constexpr std::uint32_t array_control = V4L2_CID_USER_BASE | 0x1002;
inline constexpr std::uint32_t disconnect_button = V4L2_CID_USER_BASE | 0x1003;
inline constexpr std::uint32_t array_elements = 6;
inline constexpr std::uint32_t text_max = 8;

/// Three formats, one of each style; two inputs, of which the second has standards; a picture that
/// can be cropped; frames that the test finishes.
class FakeDevice final : public DeviceOps, public Driver {
public:
    explicit FakeDevice(std::uint32_t buffer_type = V4L2_BUF_TYPE_VIDEO_CAPTURE);

    const DeviceIdentity& identity() const override { return identity_; }
    QueueTraits queue_traits() const override { return traits; }
    Driver& driver() override { return *this; }
    std::span<const ControlSpec> controls() const override;
    void attach(VideoDevice& device) override { device_ = &device; }

    Result<> enum_fmt(v4l2_fmtdesc& description) override;
    Result<> g_fmt(v4l2_format& format) override;
    Result<> try_fmt(v4l2_format& format) override;
    Result<> s_fmt(v4l2_format& format) override;
    Result<> enum_framesizes(v4l2_frmsizeenum& size) override;
    Result<> enum_frameintervals(v4l2_frmivalenum& interval) override;
    Result<> g_parm(v4l2_streamparm& parm) override;
    Result<> s_parm(v4l2_streamparm& parm) override;
    Result<> enum_input(v4l2_input& input) override;
    Result<unsigned> g_input() override { return input; }
    Result<> s_input(unsigned wanted) override;
    v4l2_std_id standards() const override { return input == 1 ? offered : 0; }
    Result<v4l2_std_id> g_std() override;
    Result<> s_std(v4l2_std_id wanted) override;
    Result<v4l2_std_id> querystd() override { return V4L2_STD_ALL; }
    Result<> query_dv_timings(v4l2_dv_timings& timings) override;
    Result<> g_selection(v4l2_selection& selection) override;
    Result<> s_selection(v4l2_selection& selection) override;
    v4l2_fract g_pixelaspect() const override { return {11, 10}; }
    Result<> s_ctrl(std::uint32_t id, const ControlValue& value) override;
    Result<std::int64_t> g_volatile_ctrl(std::uint32_t /*id*/) override { return 77; }
    std::vector<EventType> events() const override { return {{V4L2_EVENT_EOS, 1}}; }
    std::vector<std::string> log_status() override { return {"fake"}; }

    Result<BufferShape> queue_setup(unsigned& count, const BufferShape* wanted) override;
    void buf_queue(ActiveBuffer buffer) override { buffers.push_back(std::move(buffer)); }
    Result<> start_streaming(unsigned count) override;
    void stop_streaming() override;

    /// Finishes the oldest of its buffers.
    void finish_frame(bool last = false);

    QueueTraits traits;
    bool has_controls = true;
    v4l2_std_id offered = V4L2_STD_NTSC_M | V4L2_STD_PAL;
    unsigned input = 0;
    std::function<Result<>()> before_s_input;  ///< May be empty; says what the call says.
    v4l2_streamparm last_parm{};
    v4l2_selection last_selection{};
    std::vector<ActiveBuffer> buffers;  ///< With room for all that there may be.
    bool streaming = false;
    std::uint32_t sequence = 0;

private:
    DeviceIdentity identity_;
    const FormatCatalog catalog_;
    VideoDevice* device_ = nullptr;
    v4l2_format format_{};
    v4l2_std_id standard_ = V4L2_STD_PAL;
    v4l2_rect crop_{0, 0, 640, 480};
};

/// One open file.
struct OpenFile {
    FileHandle::Opened opened;

    FileHandle& handle() const { return *opened.handle; }
    int fd() const { return opened.program_end.get(); }
    /// As ioctl(2) of it: 0 or a negative errno.
    int call(std::uint32_t request, void* argument) const;
    template <class Argument>
    int operator()(std::uint32_t request, Argument& argument) const {
        return call(request, &argument);
    }
    /// What poll() says of its descriptor now.
    short poll(short events) const;
    /// Makes and queues buffers, and starts.
    void stream(unsigned count) const;
    int queue(unsigned index) const;
    /// Its index, or a negative errno.
    int dequeue() const;
};

struct DeviceRig {
    explicit DeviceRig(std::uint32_t buffer_type = V4L2_BUF_TYPE_VIDEO_CAPTURE);
    explicit DeviceRig(std::unique_ptr<FakeDevice> fake);

    OpenFile open() const;

    Core core;
    MemoryMakers makers{MmapSource::Memfd};
    FakeDevice& fake;
    const std::unique_ptr<VideoDevice> device;

private:
    static std::unique_ptr<VideoDevice> make(std::unique_ptr<FakeDevice> fake, Core& core,
                                             MemoryMakers& makers);
};

}  // namespace v4lfence::testing
