// SPDX-License-Identifier: MIT

#include "v4lfence/capi/mappings.hpp"

namespace v4lfence::capi {

void Mappings::add(const void* address, Count count) {
    count->fetch_add(1);
    const std::lock_guard lock(mutex_);
    counts_[address] = std::move(count);
    any_.store(true);
}

void Mappings::remove(const void* address) {
    if (!any_.load()) {
        return;
    }
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(address);
    if (found == counts_.end()) {
        return;
    }
    if (const Count count = found->second.lock()) {
        count->fetch_sub(1);
    }
    counts_.erase(found);
    any_.store(!counts_.empty());
}

}  // namespace v4lfence::capi
