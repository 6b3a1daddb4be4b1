// SPDX-License-Identifier: MIT
//
// Fences for peers that insist on an eventfd. Its holder can end it, it does not end with its
// maker, and a failed one looks like any other.

#pragma once

#include "v4lfence/fence/provider.hpp"

namespace v4lfence {

class EventFdProvider final : public FenceProvider {
public:
    const ProviderTraits& traits() const noexcept override;
    Result<std::unique_ptr<FenceContext>> open_context() override;
};

}  // namespace v4lfence
