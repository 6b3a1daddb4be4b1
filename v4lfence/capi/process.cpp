// SPDX-License-Identifier: MIT

#include "v4lfence/capi/process.hpp"

#include <pthread.h>

#include <cerrno>
#include <utility>

namespace v4lfence::capi {

OwnedPromise& Promises::add(std::unique_ptr<FenceContext> context, FencePromise promise) {
    const std::lock_guard lock(mutex_);
    promises_.push_front(OwnedPromise{std::move(context), std::move(promise), {}});
    promises_.front().self = promises_.begin();
    return promises_.front();
}

void Promises::end(OwnedPromise& promise, int error) {
    std::list<OwnedPromise> ended;
    {
        const std::lock_guard lock(mutex_);
        ended.splice(ended.begin(), promises_, promise.self);
    }
    std::move(ended.front().promise).end(error);
}

void Promises::abandon() noexcept {
    for (OwnedPromise& promise : promises_) {
        promise.promise.abandon();
        promise.context->abandon();
    }
}

Process& process() {
    static Process* const instance = [] {
        auto* made = new Process;
        made->context.add_fork_member(made->promises);
        made->context.add_fork_member(made->timelines);
        made->context.add_fork_member(made->mappings);
        made->context.add_fork_member(made->devices);
        made->context.add_fork_member(made->remote);
        // A number that goes waits for calls, and those for locks of their files.
        ::pthread_atfork(
            [] {
                process().files.lock_for_fork();
                process().context.before_fork();
            },
            [] {
                process().context.after_fork_in_parent();
                process().files.unlock_after_fork();
            },
            [] {
                process().files.forget_users();
                process().context.after_fork_in_child();
                process().files.unlock_after_fork();
            });
        return made;
    }();
    return *instance;
}

int failed(const Error& error) {
    errno = -error.code;
    return -1;
}

}  // namespace v4lfence::capi
