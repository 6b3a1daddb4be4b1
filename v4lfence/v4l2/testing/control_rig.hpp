// SPDX-License-Identifier: MIT
//
// A small device with one control of each kind, a sink that writes down what it is told, and open
// files: what tests of controls and events stand on.

#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "v4lfence/fence/testing/scripted_clock.hpp"
#include "v4lfence/v4l2/controls.hpp"
#include "v4lfence/v4l2/events.hpp"

namespace v4lfence::testing {

inline constexpr std::uint32_t brightness = V4L2_CID_BRIGHTNESS;
inline constexpr std::uint32_t hflip = V4L2_CID_HFLIP;
inline constexpr std::uint32_t gain = V4L2_CID_GAIN;
inline constexpr std::uint32_t own_base = V4L2_CID_USER_BASE | 0x1000;
inline constexpr std::uint32_t button = own_base;
inline constexpr std::uint32_t wide = own_base + 1;
inline constexpr std::uint32_t menu = own_base + 2;
inline constexpr std::uint32_t integer_menu = own_base + 3;
inline constexpr std::uint32_t label = own_base + 4;
inline constexpr std::uint32_t bits = own_base + 5;
inline constexpr std::uint32_t matrix = own_base + 6;
inline constexpr std::uint32_t frames = own_base + 7;
inline constexpr std::uint32_t secret = own_base + 8;
inline constexpr std::uint32_t stepped = own_base + 9;
inline constexpr std::uint32_t pattern = V4L2_CID_TEST_PATTERN;

inline constexpr const char* menu_items[] = {"Off", "Slow", "", "Fast", "Skipped"};
inline constexpr std::int64_t integer_items[] = {10, 20, 40};

inline std::vector<ControlSpec> rig_specs() {
    return {
        {.id = pattern,
         .type = V4L2_CTRL_TYPE_MENU,
         .name = "Pattern",
         .range = {0, 1, 1, 0},
         .items = menu_items},
        {.id = brightness, .name = "Brightness", .range = {0, 255, 1, 128}},
        {.id = hflip, .type = V4L2_CTRL_TYPE_BOOLEAN, .name = "Mirror"},
        {.id = gain, .name = "Gain", .range = {0, 100, 1, 50}, .flags = V4L2_CTRL_FLAG_VOLATILE},
        {.id = button, .type = V4L2_CTRL_TYPE_BUTTON, .name = "Button"},
        {.id = wide,
         .type = V4L2_CTRL_TYPE_INTEGER64,
         .name = "Wide",
         .range = {INT64_MIN, INT64_MAX, 1, -5}},
        {.id = menu,
         .type = V4L2_CTRL_TYPE_MENU,
         .name = "Menu",
         .range = {0, 4, 1, 1},
         .items = menu_items,
         .skip_mask = 1U << 4},
        {.id = integer_menu,
         .type = V4L2_CTRL_TYPE_INTEGER_MENU,
         .name = "Numbers",
         .range = {0, 2, 1, 0},
         .integer_items = integer_items},
        {.id = label,
         .type = V4L2_CTRL_TYPE_STRING,
         .name = "Label",
         .range = {2, 8, 2, 0},
         .default_text = "abcd"},
        {.id = bits,
         .type = V4L2_CTRL_TYPE_BITMASK,
         .name = "Bits",
         .range = {0, 0x80000005, 1, 1}},
        {.id = matrix,
         .type = V4L2_CTRL_TYPE_U16,
         .name = "Matrix",
         .range = {10, 1000, 10, 20},
         .dims = {2, 3}},
        {.id = frames,
         .name = "Frames",
         .range = {0, INT32_MAX, 1, 0},
         .flags = V4L2_CTRL_FLAG_READ_ONLY},
        {.id = secret, .name = "Secret", .range = {0, 9, 1, 3}, .flags = V4L2_CTRL_FLAG_WRITE_ONLY},
        {.id = stepped, .name = "Stepped", .range = {-10, 290, 3, 5}},
    };
}

/// Writes down what it is told, unless a test has set `on_set`.
class RecordingSink final : public ControlSink {
public:
    struct Told {
        std::uint32_t id;
        std::int64_t number;
        std::string text;

        bool operator==(const Told&) const = default;
    };

    Result<> s_ctrl(std::uint32_t id, const ControlValue& value) override {
        if (on_set) {
            return on_set(id, value);
        }
        told.push_back({id, value.number, value.payload.empty() ? "" : std::string(value.text())});
        return refusal == 0 || id != refused ? Result<>{} : fail(refusal, "refused");
    }
    Result<std::int64_t> g_volatile_ctrl(std::uint32_t /*id*/) override {
        return now >= 0 ? Result<std::int64_t>(now) : fail(-EIO, "broken");
    }

    std::function<Result<>(std::uint32_t, const ControlValue&)> on_set;
    std::vector<Told> told;
    std::uint32_t refused = 0;
    int refusal = 0;
    std::int64_t now = 7;  ///< Of a volatile control; negative: reading it fails.
};

/// One open file.
class RigFile final : public EventListener {
public:
    RigFile(EventHub& hub, ControlEvents* controls) : queue(hub, controls, *this) {}

    void events_changed(unsigned pending) override { shown.push_back(pending); }

    Result<> subscribe(std::uint32_t type, std::uint32_t id = 0, std::uint32_t flags = 0) {
        return queue.subscribe(subscription(type, id, flags));
    }
    void unsubscribe(std::uint32_t type, std::uint32_t id = 0) {
        queue.unsubscribe(subscription(type, id, 0));
    }
    static v4l2_event_subscription subscription(std::uint32_t type, std::uint32_t id,
                                                std::uint32_t flags) {
        v4l2_event_subscription wanted{};
        wanted.type = type;
        wanted.id = id;
        wanted.flags = flags;
        return wanted;
    }

    std::vector<unsigned> shown;
    EventQueue queue;
};

struct ControlRig {
    explicit ControlRig(std::vector<ControlSpec> specs = rig_specs())
        : set(std::move(ControlSet::create(specs, sink, hub)).value()) {}

    ScriptedClock clock;
    EventHub hub{clock,
                 {{V4L2_EVENT_SOURCE_CHANGE, 1}, {V4L2_EVENT_EOS, 2}, {V4L2_EVENT_FRAME_SYNC, 3}}};
    RecordingSink sink;
    std::unique_ptr<ControlSet> set;
    RigFile file{hub, set.get()};
    RigFile other{hub, set.get()};

    /// Negative errno, or 0.
    template <class T>
    static int code(const Result<T>& result) {
        return result ? 0 : result.error().code;
    }

    int s_ctrl(std::uint32_t id, std::int32_t value) {
        v4l2_control control{id, value};
        return code(set->set(control, &file.queue));
    }
    Result<std::int32_t> g_ctrl(std::uint32_t id) {
        v4l2_control control{id, 0};
        V4LFENCE_TRY(set->get(control));
        return control.value;
    }
};

inline v4l2_ext_control number(std::uint32_t id, std::int64_t value) {
    v4l2_ext_control element{};
    element.id = id;
    if (id == wide) {
        element.value64 = value;
    } else {
        element.value = static_cast<std::int32_t>(value);
    }
    return element;
}

/// `memory` is borrowed.
inline v4l2_ext_control pointer(std::uint32_t id, std::span<char> memory) {
    v4l2_ext_control element{};
    element.id = id;
    element.size = static_cast<std::uint32_t>(memory.size());
    element.string = memory.data();
    return element;
}
inline v4l2_ext_control pointer(std::uint32_t id, std::span<std::uint16_t> memory) {
    v4l2_ext_control element{};
    element.id = id;
    element.size = static_cast<std::uint32_t>(memory.size_bytes());
    element.p_u16 = memory.data();
    return element;
}

}  // namespace v4lfence::testing
