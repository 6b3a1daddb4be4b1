// SPDX-License-Identifier: MIT
//
// Formats whose planes have memory of their own, for cases that are about several planes.

#pragma once

#include "conformance/rig.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

/// Such a format, if the device has one; else the case is skipped.
inline Checked<> set_many_planes(const Rig& rig, const Device& device) {
    v4l2_fmtdesc description{};
    description.type = rig.facts().type;
    for (; device.ioctl(VIDIOC_ENUM_FMT, &description) == 0; ++description.index) {
        v4l2_format format{};
        format.type = rig.facts().type;
        TRY(answers(device.ioctl(VIDIOC_G_FMT, &format), 0, "G_FMT"));
        format.fmt.pix_mp.pixelformat = description.pixelformat;
        format.fmt.pix_mp.num_planes = 0;
        if (device.ioctl(VIDIOC_TRY_FMT, &format) == 0 && format.fmt.pix_mp.num_planes > 1) {
            return answers(device.ioctl(VIDIOC_S_FMT, &format), 0, "S_FMT");
        }
    }
    return skipped("the device has no format of several planes");
}

/// Calls `work`, a Checked<>(), while a multi-planar device has such a format.
template <class Work>
Checked<> with_many_planes(Rig& rig, Work work) {
    const Device other = TRY(rig.open());
    v4l2_format before{};
    before.type = rig.facts().type;
    TRY(answers(other.ioctl(VIDIOC_G_FMT, &before), 0, "G_FMT"));
    TRY(set_many_planes(rig, other));
    const Checked<> result = work();
    TRY(answers(other.ioctl(VIDIOC_S_FMT, &before), 0, "S_FMT back"));
    return result;
}

}  // namespace v4lfence
