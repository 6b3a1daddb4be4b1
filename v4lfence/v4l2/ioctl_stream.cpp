// SPDX-License-Identifier: MIT
//
// The stream: STREAMON, STREAMOFF; and what its fences are.

#include "v4lfence/uapi/fence_query.hpp"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/handlers.hpp"

namespace v4lfence::ioctls {

Result<> streamon(FileHandle& file, Call& call) {
    V4LFENCE_TRY(check_queue_call(file, call.word()));
    return file.device().queue().stream_on();
}

Result<> streamoff(FileHandle& file, Call& call) {
    V4LFENCE_TRY(check_queue_call(file, call.word()));
    file.device().queue().stream_off();
    return {};
}

Result<> query_fences(FileHandle& file, Call& call) {
    auto& query = call.as<v4l2_query_fences>();
    Queue& queue = file.device().queue();
    file.become_fenced();
    V4LFENCE_TRY(check_fence_query(query));
    V4LFENCE_TRY(check_type(file, query.type));
    const ProviderTraits* traits = V4LFENCE_TRY(queue.fence_traits(file.options()));
    answer_fence_query(query, *traits, queue.view().ordered, file.options().deadline_ms.load());
    return {};
}

}  // namespace v4lfence::ioctls
