// SPDX-License-Identifier: MIT
//
// The default provider: a pipe. Needs nothing of the machine, its end cannot be taken back, and it
// ends with its maker.

#pragma once

#include "v4lfence/fence/provider.hpp"

namespace v4lfence {

class UserProvider final : public FenceProvider {
public:
    const ProviderTraits& traits() const noexcept override;
    Result<std::unique_ptr<FenceContext>> open_context() override;
};

}  // namespace v4lfence
