// SPDX-License-Identifier: MIT
//
// A capture node that exists in tests alone, of a kernel without fences or with some of its own. It
// does what a probe and a simple case need: a frame comes whenever a buffer is queued and the
// stream is on.

#pragma once

#include "conformance/device.hpp"

namespace v4lfence {

enum class KernelFences : unsigned char {
    None,      ///< Stock: the flags are echoed.
    SyncFile,  ///< In-fences must be sync_files.
    Any,       ///< Whatever can be polled is an in-fence.
};

/// One node at a time; its state begins anew with each open().
DeviceCalls fake_kernel(KernelFences fences);

}  // namespace v4lfence
