// SPDX-License-Identifier: MIT

#include "v4lfence/sync/fence_labels.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "v4lfence/fence/fence.hpp"

namespace v4lfence {

void FenceLabels::turn_on(std::string_view device) {
    std::call_once(named_, [&] {
        std::copy_n(device.begin(), std::min(device.size(), device_.size() - 1), device_.begin());
    });
    on_.store(true, std::memory_order_release);
}

UniqueFd FenceLabels::put_on(UniqueFd fence, std::string_view queue, unsigned index,
                             std::uint64_t position) const {
    if (!on() || !fence) {
        return fence;
    }
    std::array<char, 32> name{};  // What the kernel keeps.
    std::snprintf(name.data(), name.size(), "%s %.*s %u #%llu", device_.data(),
                  static_cast<int>(queue.size()), queue.data(), index,
                  static_cast<unsigned long long>(position));
    auto named = merge_sync_files(name.data(), fence.get(), fence.get());
    return named ? std::move(*named) : std::move(fence);
}

}  // namespace v4lfence
