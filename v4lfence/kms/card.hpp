// SPDX-License-Identifier: MIT
//
// Card: an open KMS card that this program may set modes on; and why another one is not.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "v4lfence/kms/drm.hpp"
#include "v4lfence/kms/error.hpp"
#include "v4lfence/kms/topology.hpp"

namespace v4lfence {

struct Card {
    std::string path;
    std::string driver;
    unsigned major = 0;
    unsigned minor = 0;
    std::unique_ptr<Drm> drm;
    Topology topology;
};

/// `wanted`: a path, a driver's name, or empty: the first card that has `connector` (empty: any)
/// connected. Never one of vgem. This program is its master then.
/// Errors: as v4lfence_display_open().
Outcome<Card> open_card(std::string_view wanted, std::string_view connector);

}  // namespace v4lfence
