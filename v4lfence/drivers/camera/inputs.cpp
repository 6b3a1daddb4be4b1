// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/inputs.hpp"

#include <cstdio>
#include <iterator>

#include "v4lfence/drivers/camera/timings.hpp"

namespace v4lfence {

namespace {

struct InputTraits {
    const char* name;
    std::uint32_t capabilities;
    v4l2_std_id standards;
};

constexpr unsigned composite = 1;
constexpr unsigned hdmi = 2;
constexpr InputTraits inputs[] = {
    {"Camera", 0, 0},
    {"Composite", V4L2_IN_CAP_STD, V4L2_STD_ALL},
    {"HDMI", V4L2_IN_CAP_DV_TIMINGS, 0},
};

tl::unexpected<Error> not_here() {
    return fail(-ENODATA, "the current input has none");
}

}  // namespace

CameraInputs::CameraInputs() : timings_(usual_timings()) {}

Result<> CameraInputs::check(unsigned input) const {
    return input < std::size(inputs) ? Result<>{} : fail(-EINVAL, "no such input");
}

Result<> CameraInputs::describe(v4l2_input& input) const {
    V4LFENCE_TRY(check(input.index));
    const InputTraits& traits = inputs[input.index];
    std::snprintf(reinterpret_cast<char*>(input.name), sizeof(input.name), "%s", traits.name);
    input.type = V4L2_INPUT_TYPE_CAMERA;
    input.audioset = 0;
    input.tuner = 0;
    input.std = traits.standards;
    input.capabilities = traits.capabilities;
    input.status = 0;
    if (input.index != current_ || traits.capabilities == 0) {
        return {};
    }
    if (signal_ == CameraSignal::Absent) {
        input.status = V4L2_IN_ST_NO_SIGNAL;
    } else if (signal_ != CameraSignal::Steady) {
        input.status = V4L2_IN_ST_NO_H_LOCK;
    }
    return {};
}

v4l2_std_id CameraInputs::standards() const {
    return inputs[current_].standards;
}

Result<v4l2_std_id> CameraInputs::standard() const {
    if (current_ != composite) {
        return not_here();
    }
    return standard_;
}

Result<v4l2_std_id> CameraInputs::standard_seen() const {
    const v4l2_std_id set = V4LFENCE_TRY(standard());
    switch (signal_) {
    case CameraSignal::Steady:
        return set;
    case CameraSignal::Other:
        return (set & V4L2_STD_525_60) != 0 ? V4L2_STD_PAL : V4L2_STD_NTSC;
    case CameraSignal::Absent:
    case CameraSignal::Unlocked:
        break;
    }
    return V4L2_STD_UNKNOWN;
}

Result<> CameraInputs::enum_timings(v4l2_enum_dv_timings& timings) const {
    if (current_ != hdmi) {
        return not_here();
    }
    if (timings.pad != 0 || timings.index >= camera_timings().size()) {
        return fail(-EINVAL, "no more timings");
    }
    timings.timings = camera_timings()[timings.index];
    return {};
}

Result<> CameraInputs::describe_timings(v4l2_dv_timings_cap& cap) const {
    if (current_ != hdmi) {
        return not_here();
    }
    if (cap.pad != 0) {
        return fail(-EINVAL, "no such pad");
    }
    cap = timings_limits();
    return {};
}

Result<v4l2_dv_timings> CameraInputs::timings() const {
    if (current_ != hdmi) {
        return not_here();
    }
    return timings_;
}

Result<v4l2_dv_timings> CameraInputs::timings_seen() const {
    const v4l2_dv_timings set = V4LFENCE_TRY(timings());
    switch (signal_) {
    case CameraSignal::Steady:
        return set;
    case CameraSignal::Other: {
        const auto known = camera_timings();
        return find_timings(set.bt) == &known[0] ? known[1] : known[0];
    }
    case CameraSignal::Unlocked:
        return fail(-ENOLCK, "the signal makes no sense");
    case CameraSignal::Absent:
        break;
    }
    return fail(-ENOLINK, "there is no signal");
}

Result<v4l2_dv_timings> CameraInputs::match_timings(const v4l2_dv_timings& wanted) const {
    if (current_ != hdmi) {
        return not_here();
    }
    const v4l2_dv_timings* const found =
        wanted.type == V4L2_DV_BT_656_1120 ? find_timings(wanted.bt) : nullptr;
    if (found == nullptr) {
        return fail(-EINVAL, "no such timings");
    }
    v4l2_dv_timings matched = *found;
    if ((matched.bt.flags & V4L2_DV_FL_CAN_REDUCE_FPS) != 0) {
        matched.bt.flags |= wanted.bt.flags & V4L2_DV_FL_REDUCED_FPS;
    }
    return matched;
}

std::optional<DictatedFormat> CameraInputs::dictated() const {
    if (current_ == composite) {
        const bool lines_525 = (standard_ & V4L2_STD_525_60) != 0;
        return lines_525 ? DictatedFormat{{720, 480}, {1001, 30000}}
                         : DictatedFormat{{720, 576}, {1, 25}};
    }
    if (current_ == hdmi) {
        return DictatedFormat{{timings_.bt.width, timings_.bt.height}, interval_of(timings_.bt)};
    }
    return std::nullopt;
}

}  // namespace v4lfence
