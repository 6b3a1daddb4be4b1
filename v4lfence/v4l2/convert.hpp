// SPDX-License-Identifier: MIT
//
// v4l2_buffer, single- and multi-planar, to and from what videobuf2 here knows of a buffer.

#pragma once

#include <linux/videodev2.h>

#include "v4lfence/base/result.hpp"
#include "v4lfence/uapi/fence_query.hpp"
#include "v4lfence/v4l2/call.hpp"
#include "v4lfence/vb2/queue.hpp"

namespace v4lfence {

/// Errors: EINVAL it is none that a queue here could take.
Result<MemoryKind> memory_kind_of(std::uint32_t memory);

/// What the argument of QBUF or PREPARE_BUF says. Errors: EINVAL the memory type is none, or the
/// planes array is shorter than the queue's buffers need.
Result<BufferSettings> settings_of(const Call& call, unsigned plane_count);

/// Writes all of `report` over the argument; the fence flags too, but not the field of the fence.
/// Errors: EINVAL the planes array is too short.
Result<> write_report(const BufferReport& report, const QueueTraits& traits, v4l2_buffer& buffer);

}  // namespace v4lfence
