// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/frame_pacer.hpp"

namespace v4lfence {

void SystemPacer::wait(Deadline deadline) {
    std::unique_lock lock(mutex_);
    const auto rung = [this] { return rung_; };
    if (deadline) {
        bell_.wait_until(lock, *deadline, rung);
    } else {
        bell_.wait(lock, rung);
    }
    rung_ = false;
}

void SystemPacer::wake() {
    {
        const std::lock_guard lock(mutex_);
        rung_ = true;
    }
    bell_.notify_one();
}

}  // namespace v4lfence
