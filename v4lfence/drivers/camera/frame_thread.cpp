// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/frame_thread.hpp"

#include <unistd.h>

#include <csignal>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

Result<> FrameThread::start() {
    maker_.begin(pacer_.now());
    stop_.store(false);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&thread_, nullptr, run, this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error != 0) {
        return fail(-error, "pthread_create");
    }
    running_ = true;
    process_ = ::getpid();
    return {};
}

void FrameThread::stop() {
    if (std::exchange(running_, false) && process_ == ::getpid()) {
        stop_.store(true);
        pacer_.wake();
        pthread_join(thread_, nullptr);
    }
}

void* FrameThread::run(void* self) {
    pthread_setname_np(pthread_self(), "v4lfence-frames");
    sys::note_signals_blocked();
    auto& thread = *static_cast<FrameThread*>(self);
    while (!thread.stop_.load()) {
        thread.pacer_.wait(thread.maker_.step(thread.pacer_.now()));
    }
    return nullptr;
}

}  // namespace v4lfence
