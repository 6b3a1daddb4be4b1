// SPDX-License-Identifier: MIT
//
// FrameThread: the thread of a streaming camera. Every signal is blocked in it.

#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <atomic>

#include "v4lfence/drivers/camera/frame_maker.hpp"
#include "v4lfence/drivers/camera/frame_pacer.hpp"

namespace v4lfence {

/// Thread: one at a time.
class FrameThread {
public:
    /// Both are borrowed.
    FrameThread(FrameMaker& maker, FramePacer& pacer) : maker_(maker), pacer_(pacer) {}
    FrameThread(const FrameThread&) = delete;
    FrameThread& operator=(const FrameThread&) = delete;
    ~FrameThread() { stop(); }

    /// The first frame is due now. Errors: EAGAIN no more threads.
    Result<> start();
    /// When it returns the thread is gone. Nothing if there is none, or it is a parent's.
    void stop();

private:
    static void* run(void* self);

    FrameMaker& maker_;
    FramePacer& pacer_;
    pthread_t thread_{};
    bool running_ = false;
    pid_t process_ = 0;  ///< Of the thread.
    std::atomic<bool> stop_{false};
};

}  // namespace v4lfence
