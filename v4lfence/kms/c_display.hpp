// SPDX-License-Identifier: MIT
//
// What a `struct v4lfence_display*` of v4lfence/kms.h points at.

#pragma once

#include <memory>
#include <string>

#include "v4lfence/kms.h"
#include "v4lfence/kms/display.hpp"

struct v4lfence_display {
    std::unique_ptr<v4lfence::Display> display;
    mutable std::string error;  ///< Of the last call that failed; some of them change nothing else.
};
