// SPDX-License-Identifier: MIT
//
// What VIDIOC_ENUM_FMT says of a pixel format beside its number: the kernel says the same of it for
// every driver, and programs show it to people.

#pragma once

#include <linux/videodev2.h>

namespace v4lfence {

/// Sets `description` and the flags that belong to the format. Of a format that is not in the table
/// a description of the driver's is kept, else the four characters are shown.
void describe_format(v4l2_fmtdesc& format);

}  // namespace v4lfence
