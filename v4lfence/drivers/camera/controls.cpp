// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/controls.hpp"

#include <limits>

#include "v4lfence/drivers/picture/card.hpp"

namespace v4lfence {

namespace {

constexpr const char* pattern_items[] = {
    "Test Card", "Bars", "Zone Plate", "Ramp", "Solid Red", "Solid Green", "Solid Blue",
};
static_assert(std::size(pattern_items) == pattern_count);

constexpr const char* exposure_items[] = {"Auto Mode", "Manual Mode", "Shutter Priority Mode",
                                          "Aperture Priority Mode"};
constexpr const char* signal_items[] = {"Absent", "Unlocked", "Other", "Steady"};
constexpr std::int64_t integer_items[] = {1, 1, 2, 3, 5, 8, 13, 21, 0x7fffffffffff};

constexpr std::int64_t int_max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t faults_max = 1000;

constexpr ControlSpec number(std::uint32_t id, std::string_view name, const ControlRange& range,
                             std::uint32_t flags = 0) {
    ControlSpec spec;
    spec.id = id;
    spec.name = name;
    spec.range = range;
    spec.flags = flags;
    return spec;
}

constexpr ControlSpec typed(v4l2_ctrl_type type, ControlSpec spec) {
    spec.type = type;
    return spec;
}

constexpr ControlSpec boolean(std::uint32_t id, std::string_view name, bool on = false) {
    return typed(V4L2_CTRL_TYPE_BOOLEAN, number(id, name, {0, 1, 1, on ? 1 : 0}));
}

constexpr ControlSpec button(std::uint32_t id, std::string_view name) {
    return typed(V4L2_CTRL_TYPE_BUTTON, number(id, name, {0, 0, 0, 0}));
}

constexpr ControlSpec menu(std::uint32_t id, std::string_view name,
                           std::span<const char* const> items, std::int64_t usual) {
    const auto last = static_cast<std::int64_t>(items.size()) - 1;
    ControlSpec spec = typed(V4L2_CTRL_TYPE_MENU, number(id, name, {0, last, 1, usual}));
    spec.items = items;
    return spec;
}

constexpr ControlSpec fault(std::uint32_t id, std::string_view name) {
    return number(id, name, {0, faults_max, 1, 0},
                  V4L2_CTRL_FLAG_VOLATILE | V4L2_CTRL_FLAG_EXECUTE_ON_WRITE);
}

constexpr ControlSpec exposure_mode() {
    ControlSpec spec =
        menu(V4L2_CID_EXPOSURE_AUTO, "Auto Exposure", exposure_items, V4L2_EXPOSURE_AUTO);
    spec.skip_mask = 1U << V4L2_EXPOSURE_SHUTTER_PRIORITY;
    return spec;
}

constexpr ControlSpec integer_menu() {
    const auto last = static_cast<std::int64_t>(std::size(integer_items)) - 1;
    ControlSpec spec = typed(V4L2_CTRL_TYPE_INTEGER_MENU,
                             number(camera_integer_menu, "Integer Menu", {0, last, 1, 4}));
    spec.integer_items = integer_items;
    return spec;
}

constexpr ControlSpec text() {
    ControlSpec spec = typed(V4L2_CTRL_TYPE_STRING, number(camera_text, "String", {2, 32, 1, 0}));
    spec.default_text = "v4lfence";
    return spec;
}

constexpr ControlSpec array(v4l2_ctrl_type type, std::uint32_t id, std::string_view name,
                            const ControlRange& range, std::uint32_t rows,
                            std::uint32_t columns = 0) {
    ControlSpec spec = typed(type, number(id, name, range));
    spec.dims = {rows, columns};
    return spec;
}

constexpr ControlSpec controls[] = {
    number(V4L2_CID_BRIGHTNESS, "Brightness", {0, 255, 1, 128}),
    number(V4L2_CID_CONTRAST, "Contrast", {0, 255, 1, 128}),
    boolean(V4L2_CID_AUTOGAIN, "Gain, Automatic", true),
    number(V4L2_CID_GAIN, "Gain", {0, 255, 1, 64},
           V4L2_CTRL_FLAG_VOLATILE | V4L2_CTRL_FLAG_EXECUTE_ON_WRITE),
    boolean(V4L2_CID_HFLIP, "Horizontal Flip"),

    boolean(camera_free_running, "Free Running"),
    number(camera_end_jitter_us, "Jitter of the End, us", {0, 100000, 1, 0}),
    number(camera_seed, "Seed of Chance", {0, int_max, 1, 1}),
    boolean(camera_out_of_order, "Finish Out of Order"),
    boolean(camera_freeze, "Freeze"),
    typed(V4L2_CTRL_TYPE_INTEGER64, number(camera_frame_count, "Frame Count",
                                           {0, std::numeric_limits<std::int64_t>::max(), 1, 0},
                                           V4L2_CTRL_FLAG_VOLATILE | V4L2_CTRL_FLAG_READ_ONLY)),
    menu(camera_signal, "Signal", signal_items, static_cast<std::int64_t>(CameraSignal::Steady)),
    fault(camera_fail_queue_setup, "Fail queue_setup"),
    fault(camera_fail_buf_prepare, "Fail buf_prepare"),
    fault(camera_fail_start_streaming, "Fail start_streaming"),
    fault(camera_fail_frame, "Fail Frames"),
    fault(camera_requeue_frame, "Requeue Frames"),
    number(camera_bad_frames_percent, "Bad Frames, Percent", {0, 100, 1, 0}),
    boolean(camera_disconnect_armed, "Disconnect Armed"),
    button(camera_disconnect, "Disconnect, if Armed"),
    typed(V4L2_CTRL_TYPE_INTEGER64,
          number(camera_integer64, "Integer 64 Bits",
                 {std::numeric_limits<std::int64_t>::min() + 1,
                  std::numeric_limits<std::int64_t>::max(), 1, 0x4000000000})),
    text(),
    typed(V4L2_CTRL_TYPE_BITMASK, number(camera_bitmask, "Bitmask", {0, 0x7f00ff01, 0, 0x2a00})),
    integer_menu(),
    button(camera_button, "Button"),
    array(V4L2_CTRL_TYPE_U8, camera_u8_matrix, "U8 4x8 Matrix", {0, 255, 1, 0x18}, 4, 8),
    array(V4L2_CTRL_TYPE_U16, camera_u16_matrix, "U16 8x16 Matrix", {0, 0x2000, 1, 0x18}, 8, 16),
    array(V4L2_CTRL_TYPE_U32, camera_u32_array, "U32 Array", {0, 0x20000, 1, 0x18}, 8),

    exposure_mode(),
    number(V4L2_CID_EXPOSURE_ABSOLUTE, "Exposure Time, Absolute", {1, 10000, 1, 156}),
    boolean(V4L2_CID_FOCUS_AUTO, "Focus, Automatic Continuous", true),
    number(V4L2_CID_FOCUS_ABSOLUTE, "Focus, Absolute", {0, 250, 5, 0}),

    typed(V4L2_CTRL_TYPE_BITMASK, number(V4L2_CID_DV_RX_POWER_PRESENT, "Power Present",
                                         {0, 1, 0, 1}, V4L2_CTRL_FLAG_READ_ONLY)),

    menu(V4L2_CID_TEST_PATTERN, "Test Pattern", pattern_items,
         static_cast<std::int64_t>(Pattern::TestCard)),
};

}  // namespace

std::span<const ControlSpec> camera_controls() {
    return controls;
}

CameraFaults::Fault CameraFaults::of_control(std::uint32_t id) {
    switch (id) {
    case camera_fail_queue_setup:
        return QueueSetup;
    case camera_fail_buf_prepare:
        return BufPrepare;
    case camera_fail_start_streaming:
        return StartStreaming;
    case camera_fail_frame:
        return Frame;
    case camera_requeue_frame:
        return Requeue;
    default:
        return fault_count;
    }
}

bool CameraFaults::take(Fault fault) {
    unsigned left = left_[fault].load(std::memory_order_relaxed);
    while (left > 0) {
        if (left_[fault].compare_exchange_weak(left, left - 1)) {
            return true;
        }
    }
    return false;
}

}  // namespace v4lfence
