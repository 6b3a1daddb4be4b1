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
    decltype(counters_)::node_type found;
    {
        const std::lock_guard lock(mutex_);
        found = counters_.extract(address);
        any_.store(!counters_.empty());
    }
    return found ? std::move(found.mapped()) : nullptr;
}

void Mappings::put_back(const void* address, Counter counter) {
    decltype(counters_) one;
    one.emplace(address, std::move(counter));
    decltype(counters_)::node_type replaced;
    const std::lock_guard lock(mutex_);
    replaced = counters_.extract(address);
    counters_.insert(one.extract(one.begin()));
    any_.store(true);
}

}  // namespace v4lfence::capi
