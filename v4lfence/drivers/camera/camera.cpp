// SPDX-License-Identifier: MIT
//
// The camera itself: what it is, its controls, its buffers and its stream.

#include "v4lfence/drivers/camera/camera.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "v4lfence/drivers/camera/camera_device.hpp"

namespace v4lfence {

namespace {

constexpr std::uint32_t usual_fourcc = V4L2_PIX_FMT_YUYV;
constexpr v4l2_frmsize_discrete usual_size{640, 480};
constexpr v4l2_fract usual_interval{1, 30};
constexpr unsigned minimum_buffers = 2;  // one to be filled while the program looks at the other

DeviceIdentity identity_of(const CameraOptions& options) {
    DeviceIdentity identity;
    identity.card = options.multi_planar ? "v4lfence camera, multi-planar" : "v4lfence camera";
    identity.bus_info = "platform:v4lfence-camera-" + std::to_string(options.number);
    identity.device_caps =
        (options.multi_planar ? V4L2_CAP_VIDEO_CAPTURE_MPLANE : V4L2_CAP_VIDEO_CAPTURE) |
        V4L2_CAP_STREAMING | V4L2_CAP_READWRITE;
    identity.buffer_type =
        options.multi_planar ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
    return identity;
}

}  // namespace

Result<std::unique_ptr<DeviceOps>> make_camera(const CameraOptions& options) {
    const FormatCatalog catalog = V4LFENCE_TRY(camera_catalog(options.multi_planar));
    const FrameFormat format = V4LFENCE_TRY(frame_format(usual_fourcc, usual_size));
    return std::make_unique<CameraDevice>(options, catalog, format);
}

CameraDevice::CameraDevice(const CameraOptions& options, const FormatCatalog& catalog,
                           const FrameFormat& format)
    : identity_(identity_of(options)), multi_planar_(options.multi_planar),
      minimum_queued_(options.minimum_queued),
      pacer_(options.pacer != nullptr ? *options.pacer : system_pacer_), catalog_(catalog),
      maker_(faults_, pacer_), thread_(maker_, pacer_), format_(format), interval_(usual_interval),
      camera_size_(usual_size), camera_interval_(usual_interval) {
    picture_.name = "v4lfence camera " + std::to_string(options.number);
    set_interval(usual_interval);
}

CameraDevice::~CameraDevice() {
    thread_.stop();
}

QueueTraits CameraDevice::queue_traits() const {
    QueueTraits traits;
    traits.access = DeviceAccess::Write;
    traits.memory_kinds = memory_bit(MemoryKind::Mmap) | memory_bit(MemoryKind::Userptr) |
                          memory_bit(MemoryKind::Dmabuf);
    traits.minimum_queued = minimum_queued_;
    traits.minimum_buffers = std::max(minimum_buffers, minimum_queued_);
    traits.buffers_max = camera_buffers_max;
    traits.timestamp_is_start = true;
    traits.readable = true;
    return traits;
}

// --- buffers -------------------------------------------------------------------------------------

Result<BufferShape> CameraDevice::queue_setup(unsigned& /*count*/, const BufferShape* wanted) {
    if (faults_.take(CameraFaults::QueueSetup)) {
        return fail(-EINVAL, "queue_setup was told to fail");
    }
    const PictureLayout& layout = format_.shown;
    BufferShape shape;
    shape.plane_count = layout.plane_count;
    for (unsigned plane = 0; plane < layout.plane_count; ++plane) {
        shape.sizes[plane] = layout.planes[plane].sizeimage;
    }
    if (wanted == nullptr) {
        return shape;
    }
    if (wanted->plane_count != shape.plane_count) {
        return fail(-EINVAL, "another number of planes");
    }
    for (unsigned plane = 0; plane < shape.plane_count; ++plane) {
        if (wanted->sizes[plane] < shape.sizes[plane]) {
            return fail(-EINVAL, "a plane is too small");
        }
    }
    return *wanted;
}

Result<> CameraDevice::buf_prepare(const BufferMemory& memory, const BufferSettings& /*buffer*/) {
    if (faults_.take(CameraFaults::BufPrepare)) {
        return fail(-EINVAL, "buf_prepare was told to fail");
    }
    const PictureLayout& layout = format_.shown;
    if (memory.plane_count != layout.plane_count) {
        return fail(-EINVAL, "another number of planes");
    }
    for (unsigned plane = 0; plane < layout.plane_count; ++plane) {
        if (memory.planes[plane]->bytes().size() < layout.planes[plane].sizeimage) {
            return fail(-EINVAL, "a plane is too small");
        }
    }
    return {};
}

void CameraDevice::buf_queue(ActiveBuffer buffer) {
    if (maker_.queue(std::move(buffer))) {
        pacer_.wake();
    }
}

// --- the stream ----------------------------------------------------------------------------------

Result<> CameraDevice::start_streaming(unsigned /*count*/) {
    const auto start = [this]() -> Result<> {
        if (faults_.take(CameraFaults::StartStreaming)) {
            return fail(-EINVAL, "start_streaming was told to fail");
        }
        const std::lock_guard lock(wishes_mutex_);
        streaming_ = true;
        V4LFENCE_TRY(hand_over(true));
        return thread_.start();
    };
    auto started = start();
    if (!started) {
        stop_streaming();
    }
    return started;
}

void CameraDevice::stop_streaming() {
    thread_.stop();
    {
        const std::lock_guard lock(wishes_mutex_);
        streaming_ = false;
    }
    maker_.drop_all();
}

Result<> CameraDevice::hand_over(bool repaint) {
    if (!streaming_) {
        return {};
    }
    std::unique_ptr<FramePainter> painter;
    if (repaint) {
        FramePainter made = V4LFENCE_TRY(FramePainter::create(format_, picture_));
        painter = std::make_unique<FramePainter>(std::move(made));
    }
    maker_.change(frames_, std::move(painter));
    pacer_.wake();
    return {};
}

void CameraDevice::set_interval(const v4l2_fract& interval) {
    interval_ = interval;
    frames_.interval = {interval.numerator, interval.denominator};
    picture_.interval = frames_.free_running ? FrameInterval{0, 1} : frames_.interval;
}

// --- controls ------------------------------------------------------------------------------------

Result<> CameraDevice::s_ctrl(std::uint32_t id, const ControlValue& value) {
    if (const auto fault = CameraFaults::of_control(id); fault != CameraFaults::fault_count) {
        faults_.set(fault, static_cast<unsigned>(value.number));
        return {};
    }
    switch (id) {
    case camera_free_running:
    case camera_freeze:
    case camera_end_jitter_us:
    case camera_seed:
    case camera_bad_frames_percent:
        return set_frames(id, value.number);
    case V4L2_CID_TEST_PATTERN:
    case V4L2_CID_BRIGHTNESS:
    case V4L2_CID_CONTRAST:
    case V4L2_CID_HFLIP:
        return set_picture(id, value.number);
    case camera_out_of_order:
        return set_order(value.number != 0);
    case V4L2_CID_AUTOGAIN:
        auto_gain_.store(value.number != 0);
        return {};
    case V4L2_CID_GAIN:
        gain_.store(value.number);
        return {};
    case camera_signal:
        return set_signal(static_cast<CameraSignal>(value.number));
    case camera_disconnect_armed:
        disconnect_armed_ = value.number != 0;
        return {};
    case camera_disconnect:
        disconnect();
        return {};
    default:
        return {};  // One that does nothing.
    }
}

Result<> CameraDevice::set_frames(std::uint32_t id, std::int64_t value) {
    const std::lock_guard lock(wishes_mutex_);
    const FrameSettings before = frames_;
    const auto number = static_cast<std::uint32_t>(value);
    switch (id) {
    case camera_free_running:
        frames_.free_running = value != 0;
        set_interval(interval_);
        break;
    case camera_freeze:
        frames_.freeze = value != 0;
        break;
    case camera_end_jitter_us:
        frames_.end_jitter_us = number;
        break;
    case camera_seed:
        frames_.seed = number;
        break;
    default:
        frames_.bad_percent = number;
        break;
    }
    auto done = hand_over(id == camera_free_running);
    if (!done) {
        frames_ = before;
        set_interval(interval_);
    }
    return done;
}

Result<> CameraDevice::set_picture(std::uint32_t id, std::int64_t value) {
    const std::lock_guard lock(wishes_mutex_);
    PictureSettings before = picture_;
    switch (id) {
    case V4L2_CID_TEST_PATTERN:
        picture_.pattern = static_cast<Pattern>(value);
        break;
    case V4L2_CID_BRIGHTNESS:
        picture_.brightness = static_cast<std::uint8_t>(value);
        break;
    case V4L2_CID_CONTRAST:
        picture_.contrast = static_cast<std::uint8_t>(value);
        break;
    default:
        picture_.mirror = value != 0;
        break;
    }
    auto done = hand_over(true);
    if (!done) {
        picture_ = std::move(before);
    }
    return done;
}

Result<> CameraDevice::set_order(bool out_of_order) {
    if (is_busy()) {
        return fail(-EBUSY, "there are buffers");
    }
    if (device_ != nullptr) {
        device_->queue().set_ordered(!out_of_order);
    }
    const std::lock_guard lock(wishes_mutex_);
    frames_.out_of_order = out_of_order;
    return {};
}

Result<> CameraDevice::set_signal(CameraSignal signal) {
    inputs_.set_signal(signal);
    if (device_ == nullptr) {
        return {};
    }
    if (inputs_.current() != 0) {
        v4l2_event event{};
        event.type = V4L2_EVENT_SOURCE_CHANGE;
        event.id = inputs_.current();
        event.u.src_change.changes = V4L2_EVENT_SRC_CH_RESOLUTION;
        device_->send_event(event);
    }
    return device_->controls()->set_value(V4L2_CID_DV_RX_POWER_PRESENT,
                                          signal == CameraSignal::Absent ? 0 : 1);
}

void CameraDevice::disconnect() {
    if (disconnect_armed_ && device_ != nullptr) {
        device_->disconnect();
    }
}

Result<std::int64_t> CameraDevice::g_volatile_ctrl(std::uint32_t id) {
    if (const auto fault = CameraFaults::of_control(id); fault != CameraFaults::fault_count) {
        return faults_.left(fault);
    }
    const auto frames = static_cast<std::int64_t>(maker_.counts().exposed);
    switch (id) {
    case camera_frame_count:
        return frames;
    case V4L2_CID_GAIN:
        return auto_gain_.load() ? 64 + frames % 128 : gain_.load();
    default:
        return lacking();
    }
}

std::vector<std::string> CameraDevice::log_status() {
    const FrameCounts counts = maker_.counts();
    std::array<char, 128> line;
    std::snprintf(line.data(), line.size(), "%s %ux%u, a frame each %u/%u s",
                  find_picture_format(format_.shown.fourcc)->name, format_.shown.width,
                  format_.shown.height, interval_.numerator, interval_.denominator);
    std::vector<std::string> lines{line.data()};
    std::snprintf(line.data(), line.size(), "frames: %llu taken, %llu lost",
                  static_cast<unsigned long long>(counts.exposed),
                  static_cast<unsigned long long>(counts.lost));
    lines.emplace_back(line.data());
    return lines;
}

}  // namespace v4lfence
