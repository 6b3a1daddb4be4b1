// SPDX-License-Identifier: MIT

#include "conformance/fence_maker.hpp"

namespace v4lfence {

Checked<FenceMaker> FenceMaker::open(std::string_view name) {
    auto probed = TRY(probe_provider(name));
    if (!probed.provider) {
        return skipped(fmt::format("no {} fences here: {}", name, probed.reason));
    }
    auto context = TRY(probed.provider->open_context());
    TRY(context->begin_generation(false));
    return FenceMaker(std::move(probed.provider), std::move(context));
}

Checked<TestFence> FenceMaker::make() {
    MintedFence minted = TRY(context_->mint(next_slot_));
    next_slot_ = (next_slot_ + 1) % pending_max;
    return TestFence{std::move(minted.fd), std::move(minted.promise)};
}

}  // namespace v4lfence
