// SPDX-License-Identifier: MIT

#include "tools/stream/chain.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace v4lfence {

namespace {

/// Above the driver's minimum, when nobody asked for a number.
constexpr unsigned spare_frames = 2;

}  // namespace

Attempt<ChainPlan> plan_chain(std::optional<unsigned> depth, std::optional<unsigned> buffers,
                              unsigned driver_minimum) {
    ChainPlan plan;
    if (depth && *depth < driver_minimum) {
        return wrong_usage(fmt::format(
            "--in-fence chain={}: this driver wants {} buffers before it yields a frame, and a "
            "chain leaves it only {}. Use chain={} or more.",
            *depth, driver_minimum, *depth, driver_minimum));
    }
    plan.depth = depth.value_or(driver_minimum + spare_frames);
    if (!depth && buffers && *buffers > driver_minimum) {
        plan.depth = std::min(plan.depth, *buffers - 1);
    }
    plan.buffers = buffers.value_or(2 * plan.depth);
    if (plan.buffers <= plan.depth) {
        return wrong_usage(fmt::format(
            "--in-fence chain={} with {} buffers: all of them would be with the driver and none "
            "held. Use --buffers {} or more.",
            plan.depth, plan.buffers, plan.depth + 1));
    }
    return plan;
}

}  // namespace v4lfence
