// SPDX-License-Identifier: MIT
//
// The fence interface as both kinds of files serve it: the flags, and VIDIOC_QUERY_FENCES.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "v4lfence/base/result.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {

/// The bits of v4l2_buffer.flags that are ours and never reach the kernel.
inline constexpr std::uint32_t fence_flags = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;

/// By type and number: the size in the request may be that of a later header.
constexpr bool is_fence_query(std::uint32_t request) {
    return _IOC_TYPE(request) == _IOC_TYPE(VIDIOC_QUERY_FENCES) &&
           _IOC_NR(request) == _IOC_NR(VIDIOC_QUERY_FENCES) &&
           _IOC_SIZE(request) >= sizeof(v4l2_query_fences);
}

/// Errors: EINVAL `size` too small, `reserved` not zero.
inline Result<> check_fence_query(const v4l2_query_fences& query) {
    const auto is_zero = [](std::uint32_t word) { return word == 0; };
    if (query.size < sizeof query ||
        !std::all_of(std::begin(query.reserved), std::end(query.reserved), is_zero)) {
        return fail(-EINVAL, "size or reserved of v4l2_query_fences");
    }
    return {};
}

/// What a queue answers. `deadline_ms` 0: in-fences are waited for without end.
inline void answer_fence_query(v4l2_query_fences& query, const ProviderTraits& traits, bool ordered,
                               unsigned deadline_ms) {
    query.size = sizeof query;
    query.version = V4L2_FENCES_VERSION;
    query.features = V4L2_FENCES_IN | V4L2_FENCES_OUT |
                     (traits.kernel_waitable ? V4L2_FENCES_KERNEL_WAITABLE : 0) |
                     (traits.errors ? V4L2_FENCES_ERRORS : 0) | (ordered ? V4L2_FENCES_ORDERED : 0);
    query.bound_ms = traits.bound ? static_cast<std::uint32_t>(traits.bound->count()) : 0;
    query.deadline_ms = deadline_ms;
    std::memset(query.provider, 0, sizeof query.provider);
    std::memcpy(query.provider, traits.name.data(),
                std::min(traits.name.size(), sizeof query.provider - 1));
}

}  // namespace v4lfence
