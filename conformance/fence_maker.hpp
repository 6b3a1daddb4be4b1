// SPDX-License-Identifier: MIT
//
// In-fences that cases end when they like.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "conformance/check.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/fence/provider.hpp"

namespace v4lfence {

/// A fence in the hand of its maker.
struct TestFence {
    UniqueFd fd;
    FencePromise promise;

    /// `error` 0 or a negative errno.
    void end(int error = 0) { std::move(promise).end(error); }
};

/// Thread: one at a time.
class FenceMaker {
public:
    /// `name` as probe_provider(). Skipped, with the reason, where the machine does not have it.
    static Checked<FenceMaker> open(std::string_view name);

    const ProviderTraits& traits() const { return provider_->traits(); }

    /// At most `pending_max` may be pending at a time. Each is in no order with the others.
    Checked<TestFence> make();

    static constexpr unsigned pending_max = 256;

private:
    FenceMaker(std::unique_ptr<FenceProvider> provider, std::unique_ptr<FenceContext> context)
        : provider_(std::move(provider)), context_(std::move(context)) {}

    std::unique_ptr<FenceProvider> provider_;
    std::unique_ptr<FenceContext> context_;
    unsigned next_slot_ = 0;
};

}  // namespace v4lfence
