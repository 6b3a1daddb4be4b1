// SPDX-License-Identifier: MIT

#include "v4lfence/capi/mappings.hpp"

#include <utility>

namespace v4lfence::capi {

void Mappings::add(const void* address, Counter counter) {
    if (const Counter replaced = take(address)) {
        replaced->unmapped();
    }
    if (counter) {
        counter->mapped();
        put_back(address, std::move(counter));
    }
}

Mappings::Counter Mappings::take(const void* address) {
    if (!any_.load()) {
        return nullptr;
    }
    const std::lock_guard lock(mutex_);
    auto found = counters_.extract(address);
    any_.store(!counters_.empty());
    return found ? std::move(found.mapped()) : nullptr;
}

void Mappings::put_back(const void* address, Counter counter) {
    const std::lock_guard lock(mutex_);
    counters_.insert_or_assign(address, std::move(counter));
    any_.store(true);
}

}  // namespace v4lfence::capi
