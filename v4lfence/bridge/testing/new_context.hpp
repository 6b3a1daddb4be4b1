// SPDX-License-Identifier: MIT
//
// For tests: contexts of their own.

#pragma once

#include <memory>
#include <vector>

#include "v4lfence/bridge/context.hpp"

namespace v4lfence::testing {

/// What a Context holds lives as long as the process: so do those of the tests.
inline Context& new_context() {
    static auto* const all = new std::vector<std::unique_ptr<Context>>;
    return *all->emplace_back(std::make_unique<Context>());
}

}  // namespace v4lfence::testing
