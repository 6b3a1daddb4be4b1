// SPDX-License-Identifier: MIT

#include "tools/stream/result.hpp"

namespace v4lfence {

ExitStatus StreamResult::exit_status() const {
    if (failure) {
        return failure->status;
    }
    if (interrupted && !any_broken) {
        return ExitStatus::Interrupted;
    }
    return all_held ? ExitStatus::Success : ExitStatus::JobFailed;
}

}  // namespace v4lfence
