// SPDX-License-Identifier: MIT

#include "conformance/faults.hpp"

#include <linux/videodev2.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace v4lfence {

namespace {

struct Names {
    Fault fault;
    std::string_view what;
    std::array<std::string_view, 2> controls;  ///< As vivid and the virtual camera call it.
};

constexpr Names names[] = {
    {Fault::QueueSetup, "its queue_setup", {"Inject VIDIOC_REQBUFS Error", "Fail queue_setup"}},
    {Fault::BufPrepare, "its buf_prepare", {"Inject VIDIOC_QBUF Error", "Fail buf_prepare"}},
    {Fault::StartStream, "its start", {"Inject VIDIOC_STREAMON Error", "Fail start_streaming"}},
    {Fault::Fatal, "its queue", {"Inject Fatal Streaming Error", ""}},
    {Fault::Frame, "a frame", {"", "Fail Frames"}},
    {Fault::Requeue, "by putting a buffer back", {"", "Requeue Frames"}},
    {Fault::OutOfOrder, "by finishing out of order", {"", "Finish Out of Order"}},
};

Checked<> set(const Device& device, Fault fault, std::int32_t value) {
    const Names& sought = *std::find_if(std::begin(names), std::end(names),
                                        [&](const Names& entry) { return entry.fault == fault; });
    v4l2_queryctrl query{};
    query.id = V4L2_CTRL_FLAG_NEXT_CTRL;
    for (; device.ioctl(VIDIOC_QUERYCTRL, &query) == 0; query.id |= V4L2_CTRL_FLAG_NEXT_CTRL) {
        const std::string_view name = reinterpret_cast<const char*>(query.name);
        if (std::find(sought.controls.begin(), sought.controls.end(), name) !=
            sought.controls.end()) {
            v4l2_control control{query.id, value};
            return answers(device.ioctl(VIDIOC_S_CTRL, &control), 0, name);
        }
    }
    return skipped(fmt::format("the device cannot be made to fail {}", sought.what));
}

}  // namespace

Checked<> inject(const Device& device, Fault fault) {
    return set(device, fault, 1);
}

Checked<> take_back(const Device& device, Fault fault) {
    return set(device, fault, 0);
}

}  // namespace v4lfence
