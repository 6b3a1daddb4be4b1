// SPDX-License-Identifier: MIT
//
// Devices that can be made to fail: vivid and the virtual camera have controls for that. They are
// found by what they are called, so that a case need not know which device it judges.

#pragma once

#include <cstdint>

#include "conformance/check.hpp"
#include "conformance/device.hpp"

namespace v4lfence {

enum class Fault : std::uint8_t {
    QueueSetup,   ///< The next REQBUFS or CREATE_BUFS.
    BufPrepare,   ///< The next PREPARE_BUF or QBUF.
    StartStream,  ///< The next start of the driver.
    Fatal,        ///< Now: the queue fails.
    Frame,        ///< The next frame: its buffer has ERROR.
    Requeue,      ///< The next frame: its buffer goes back into the queue.
    OutOfOrder,   ///< From now on, until it is taken back: frames are finished out of order.
};

/// Arms it. Skipped where the device cannot be made to.
Checked<> inject(const Device& device, Fault fault);

/// Takes back what lasts.
Checked<> take_back(const Device& device, Fault fault);

}  // namespace v4lfence
