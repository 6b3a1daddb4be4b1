// SPDX-License-Identifier: MIT

#include "tools/display/result.hpp"

namespace v4lfence {

ExitStatus DisplayResult::exit_status() const {
    if (failure) {
        return failure->status;
    }
    if (interrupted && !any_broken) {
        return ExitStatus::Interrupted;
    }
    return all_held ? ExitStatus::Success : ExitStatus::JobFailed;
}

}  // namespace v4lfence
