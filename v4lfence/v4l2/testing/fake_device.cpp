// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/testing/fake_device.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4l2/dispatch.hpp"
#include "v4lfence/v4l2/flatten.hpp"

namespace v4lfence::testing {

namespace {

constexpr std::array<v4l2_frmsize_discrete, 2> sizes{{{640, 480}, {320, 240}}};
constexpr std::array<v4l2_fract, 2> intervals{{{1, 30}, {1, 60}}};
const std::array<CatalogFormat, 3> formats{{
    {V4L2_PIX_FMT_YUYV, {V4L2_FRMSIZE_TYPE_DISCRETE, sizes, {}}, {.intervals = intervals}},
    {V4L2_PIX_FMT_GREY,
     {V4L2_FRMSIZE_TYPE_STEPWISE, {}, {16, 1024, 16, 16, 768, 8}},
     {.intervals = intervals}},
    {V4L2_PIX_FMT_MJPEG,
     {V4L2_FRMSIZE_TYPE_CONTINUOUS, {}, {16, 1024, 1, 16, 768, 1}},
     {.intervals = intervals}},
}};

const std::array control_specs{
    ControlSpec{.id = V4L2_CID_BRIGHTNESS, .name = "Brightness", .range = {0, 255, 1, 128}},
    ControlSpec{.id = volatile_control,
                .name = "Gain",
                .range = {0, 100, 1, 50},
                .flags = V4L2_CTRL_FLAG_VOLATILE},
    ControlSpec{.id = text_control,
                .type = V4L2_CTRL_TYPE_STRING,
                .name = "Text",
                .range = {0, text_max, 1, 0}},
    ControlSpec{.id = array_control,
                .type = V4L2_CTRL_TYPE_U8,
                .name = "Array",
                .range = {0, 200, 1, 1},
                .dims = {array_elements}},
    ControlSpec{.id = disconnect_button, .type = V4L2_CTRL_TYPE_BUTTON, .name = "Disconnect"},
};

constexpr std::uint32_t frame_bytes = 4096;

}  // namespace

// --- the device ----------------------------------------------------------------------------------

FakeDevice::FakeDevice(std::uint32_t buffer_type) : catalog_(*FormatCatalog::create(formats)) {
    const bool multi_planar = V4L2_TYPE_IS_MULTIPLANAR(buffer_type);
    identity_.driver = "fake";
    identity_.card = "A card whose name is far too long for the field";
    identity_.bus_info = "platform:fake-000";
    identity_.device_caps = V4L2_CAP_STREAMING |
                            (multi_planar ? V4L2_CAP_VIDEO_CAPTURE_MPLANE : V4L2_CAP_VIDEO_CAPTURE);
    identity_.buffer_type = buffer_type;
    traits.memory_kinds = memory_bit(MemoryKind::Mmap) | memory_bit(MemoryKind::Userptr);
    buffers.reserve(traits.buffers_max);
    format_.type = buffer_type;
    (void)try_fmt(format_);
}

std::span<const ControlSpec> FakeDevice::controls() const {
    return has_controls ? std::span<const ControlSpec>(control_specs)
                        : std::span<const ControlSpec>();
}

Result<> FakeDevice::enum_fmt(v4l2_fmtdesc& description) {
    return catalog_.enum_fmt(description);
}

Result<> FakeDevice::g_fmt(v4l2_format& format) {
    format = format_;
    return {};
}

Result<> FakeDevice::try_fmt(v4l2_format& format) {
    if (V4L2_TYPE_IS_MULTIPLANAR(format.type)) {
        format.fmt.pix_mp.num_planes = 2;
        return {};
    }
    v4l2_pix_format& pix = format.fmt.pix;
    const CatalogFormat& chosen = catalog_.find_or_first(pix.pixelformat);
    const auto size = FormatCatalog::nearest_size(chosen, pix.width, pix.height);
    const std::uint32_t quantization = pix.quantization;
    pix = v4l2_pix_format{};
    pix.pixelformat = chosen.fourcc;
    pix.width = size.width;
    pix.height = size.height;
    pix.quantization = quantization;
    pix.sizeimage = frame_bytes;
    return {};
}

Result<> FakeDevice::s_fmt(v4l2_format& format) {
    if (device_->is_busy()) {
        return v4lfence::fail(-EBUSY, "there are buffers");
    }
    V4LFENCE_TRY(try_fmt(format));
    format_ = format;
    return {};
}

Result<> FakeDevice::enum_framesizes(v4l2_frmsizeenum& size) {
    return catalog_.enum_framesizes(size);
}

Result<> FakeDevice::enum_frameintervals(v4l2_frmivalenum& interval) {
    return catalog_.enum_frameintervals(interval);
}

Result<> FakeDevice::g_parm(v4l2_streamparm& parm) {
    last_parm = parm;
    parm.parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
    return {};
}

Result<> FakeDevice::s_parm(v4l2_streamparm& parm) {
    last_parm = parm;
    return {};
}

Result<> FakeDevice::enum_input(v4l2_input& wanted) {
    return wanted.index < 2 ? Result<>{} : v4lfence::fail(-EINVAL, "no more inputs");
}

Result<> FakeDevice::s_input(unsigned wanted) {
    if (before_s_input) {
        V4LFENCE_TRY(before_s_input());
    }
    if (wanted > 1) {
        return v4lfence::fail(-EINVAL, "no such input");
    }
    input = wanted;
    return {};
}

Result<v4l2_std_id> FakeDevice::g_std() {
    return standard_;
}

Result<> FakeDevice::s_std(v4l2_std_id wanted) {
    standard_ = wanted;
    return {};
}

Result<> FakeDevice::query_dv_timings(v4l2_dv_timings& timings) {
    timings.bt.width = 720;
    return v4lfence::fail(-ENOLINK, "no signal");
}

Result<> FakeDevice::g_selection(v4l2_selection& selection) {
    last_selection = selection;
    const bool active = selection.target == V4L2_SEL_TGT_CROP;
    selection.r = active ? crop_ : v4l2_rect{0, 0, 640, 480};
    return {};
}

Result<> FakeDevice::s_selection(v4l2_selection& selection) {
    last_selection = selection;
    crop_ = selection.r;
    return {};
}

Result<> FakeDevice::s_ctrl(std::uint32_t id, const ControlValue& /*value*/) {
    if (id == disconnect_button) {
        device_->disconnect();
    }
    return {};
}

// --- its driver ----------------------------------------------------------------------------------

Result<BufferShape> FakeDevice::queue_setup(unsigned& /*count*/, const BufferShape* /*wanted*/) {
    BufferShape shape;
    shape.plane_count = V4L2_TYPE_IS_MULTIPLANAR(identity_.buffer_type) ? 2 : 1;
    shape.sizes = {frame_bytes, frame_bytes};
    return shape;
}

Result<> FakeDevice::start_streaming(unsigned /*count*/) {
    streaming = true;
    return {};
}

void FakeDevice::stop_streaming() {
    streaming = false;
    buffers.clear();
}

void FakeDevice::finish_frame(bool last) {
    ASSERT_FALSE(buffers.empty());
    ActiveBuffer buffer = std::move(buffers.front());
    buffers.erase(buffers.begin());
    FinishedBuffer finished;
    finished.sequence = sequence++;
    finished.last = last;
    std::move(buffer).done(finished);
}

// --- a file --------------------------------------------------------------------------------------

int OpenFile::call(std::uint32_t request, void* argument) const {
    const IoctlEntry* const entry = find_ioctl(request);
    if (entry == nullptr) {
        return -ENOTTY;
    }
    FlatCall flat;
    if (const auto copied = flat.copy_in(handle(), *entry, request, argument); !copied) {
        return copied.error().code;
    }
    const auto done = dispatch(handle(), *entry, flat.call());
    flat.copy_out(done.has_value());
    return done ? 0 : done.error().code;
}

short OpenFile::poll(short events) const {
    const auto shown = sys::poll_now(fd(), events);
    return shown ? *shown : POLLNVAL;
}

void OpenFile::stream(unsigned count) const {
    v4l2_requestbuffers request{};
    request.type = handle().device().buffer_type();
    request.memory = V4L2_MEMORY_MMAP;
    request.count = count;
    ASSERT_EQ((*this)(VIDIOC_REQBUFS, request), 0);
    for (unsigned i = 0; i < count; ++i) {
        ASSERT_EQ(queue(i), 0);
    }
    ASSERT_EQ((*this)(VIDIOC_STREAMON, request.type), 0);
}

int OpenFile::queue(unsigned index) const {
    v4l2_buffer buffer{};
    std::array<v4l2_plane, 2> planes{};
    buffer.type = handle().device().buffer_type();
    buffer.memory = V4L2_MEMORY_MMAP;
    buffer.index = index;
    if (V4L2_TYPE_IS_MULTIPLANAR(buffer.type)) {
        buffer.m.planes = planes.data();
        buffer.length = planes.size();
    }
    return (*this)(VIDIOC_QBUF, buffer);
}

int OpenFile::dequeue() const {
    v4l2_buffer buffer{};
    std::array<v4l2_plane, 2> planes{};
    buffer.type = handle().device().buffer_type();
    buffer.memory = V4L2_MEMORY_MMAP;
    if (V4L2_TYPE_IS_MULTIPLANAR(buffer.type)) {
        buffer.m.planes = planes.data();
        buffer.length = planes.size();
    }
    const int result = (*this)(VIDIOC_DQBUF, buffer);
    return result < 0 ? result : static_cast<int>(buffer.index);
}

// --- the rig -------------------------------------------------------------------------------------

DeviceRig::DeviceRig(std::uint32_t buffer_type)
    : DeviceRig(std::make_unique<FakeDevice>(buffer_type)) {}

DeviceRig::DeviceRig(std::unique_ptr<FakeDevice> made)
    : fake(*made), device(make(std::move(made), core, makers)) {}

std::unique_ptr<VideoDevice> DeviceRig::make(std::unique_ptr<FakeDevice> fake, Core& core,
                                             MemoryMakers& makers) {
    auto device = VideoDevice::create(std::move(fake), core, makers);
    EXPECT_TRUE(device);
    return device ? std::move(*device) : nullptr;
}

OpenFile DeviceRig::open() const {
    auto opened = FileHandle::open(*device);
    EXPECT_TRUE(opened);
    OpenFile file{opened ? std::move(*opened) : FileHandle::Opened{}};
    file.handle().set_program_fd(file.fd());
    return file;
}

}  // namespace v4lfence::testing
