// SPDX-License-Identifier: MIT
//
// Events: SUBSCRIBE_EVENT, UNSUBSCRIBE_EVENT, DQEVENT. What they mean is EventQueue's.

#include "v4lfence/v4l2/handlers.hpp"

namespace v4lfence::ioctls {

Result<> subscribe_event(FileHandle& file, Call& call) {
    return file.events().subscribe(call.as<v4l2_event_subscription>());
}

Result<> unsubscribe_event(FileHandle& file, Call& call) {
    file.events().unsubscribe(call.as<v4l2_event_subscription>());
    return {};
}

/// ENOENT where the kernel, asked by a blocking file, would wait; see dispatch().
Result<> dqevent(FileHandle& file, Call& call) {
    call.as<v4l2_event>() = V4LFENCE_TRY(file.events().dequeue());
    return {};
}

}  // namespace v4lfence::ioctls
