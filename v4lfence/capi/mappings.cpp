// SPDX-License-Identifier: MIT

#include "v4lfence/capi/mappings.hpp"

#include <utility>

namespace v4lfence::capi {

void Mappings::add(const void* address, Count count) {
    if (const Count replaced = take(address)) {
        replaced->fetch_sub(1);
    }
    if (count) {
        count->fetch_add(1);
        put_back(address, std::move(count));
    }
}

Mappings::Count Mappings::take(const void* address) {
    if (!any_.load()) {
        return nullptr;
    }
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(address);
    if (found == counts_.end()) {
        return nullptr;
    }
    Count count = found->second.lock();
    counts_.erase(found);
    any_.store(!counts_.empty());
    return count;
}

void Mappings::put_back(const void* address, Count count) {
    const std::lock_guard lock(mutex_);
    counts_.insert_or_assign(address, std::move(count));
    any_.store(true);
}

}  // namespace v4lfence::capi
