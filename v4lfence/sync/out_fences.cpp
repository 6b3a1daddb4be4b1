// SPDX-License-Identifier: MIT

#include "v4lfence/sync/out_fences.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace v4lfence {

Result<OutFence> OutFences::mint(std::string_view provider, unsigned index,
                                 const QueueView& queue) {
    FenceProvider* source = V4LFENCE_TRY(core_.provider(effective(provider, queue)));
    const ProviderTraits& traits = source->traits();
    const auto* place =
        std::find(std::begin(provider_names), std::end(provider_names), traits.name);
    Entry& entry = entries_[static_cast<std::size_t>(place - std::begin(provider_names))];
    if (!entry.context) {
        entry.context = V4LFENCE_TRY(source->open_context());
    }
    if (entry.generation != queue.generation) {
        V4LFENCE_TRY(entry.context->begin_generation(queue.ordered));
        entry.generation = queue.generation;
    }
    latest_ = &entry;
    auto minted = entry.context->mint(index);
    if (!minted) {
        forget(index);
        return tl::unexpected<Error>(minted.error());
    }
    return OutFence{std::move(minted->fd), std::move(minted->promise), traits.bound, traits.name,
                    traits.kernel_waitable};
}

void OutFences::forget(unsigned index) {
    if (latest_ == nullptr) {
        return;
    }
    if (latest_->used) {
        latest_->context->forget(index);
    } else {
        *latest_ = Entry();
    }
    latest_ = nullptr;
}

void OutFences::keep() noexcept {
    if (latest_ != nullptr) {
        latest_->used = true;
        latest_ = nullptr;
    }
}

Result<const ProviderTraits*> OutFences::traits(std::string_view provider, const QueueView& queue) {
    FenceProvider* source = V4LFENCE_TRY(core_.provider(effective(provider, queue)));
    return &source->traits();
}

void OutFences::abandon() noexcept {
    for (Entry& entry : entries_) {
        if (entry.context) {
            entry.context->abandon();
        }
    }
}

}  // namespace v4lfence
