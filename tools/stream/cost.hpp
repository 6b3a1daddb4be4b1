// SPDX-License-Identifier: MIT
//
// What the process spends.

#pragma once

#include <sys/resource.h>

#include "tools/stream/result.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

/// Counts from when it is made.
class CostMeter {
public:
    CostMeter();
    StreamCost spent() const;

private:
    rusage usage_{};
    v4lfence_stats stats_{};
};

}  // namespace v4lfence
