// SPDX-License-Identifier: MIT

#include "v4lfence/sync/core.hpp"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "v4lfence/base/shortage.hpp"

namespace v4lfence {

Result<ProbedProvider*> Core::probed(std::string_view name) {
    const std::string_view wanted = name == "auto" ? provider_names[0] : name;
    const auto* found = std::find(std::begin(provider_names), std::end(provider_names), wanted);
    if (found == std::end(provider_names)) {
        return fail(-EINVAL, "no fence provider of this name");
    }
    const std::lock_guard lock(mutex_);
    auto& entry = providers_[static_cast<std::size_t>(found - std::begin(provider_names))];
    if (!entry) {
        entry = std::make_unique<ProbedProvider>(V4LFENCE_TRY(probe_provider(wanted)));
    }
    return entry.get();
}

Result<FenceProvider*> Core::provider(std::string_view name) {
    ProbedProvider* entry = V4LFENCE_TRY(probed(name));
    if (!entry->provider) {
        return fail(-ENODEV, "this machine lacks the fence provider");
    }
    return entry->provider.get();
}

Result<const char*> Core::reason(std::string_view name) {
    const auto entry = probed(name);
    if (entry) {
        return (*entry)->provider ? nullptr : (*entry)->reason.c_str();
    }
    switch (entry.error().code) {
    case -EMFILE:
        return "it cannot be tried: this process has no descriptor left";
    case -ENFILE:
        return "it cannot be tried: this machine has no descriptor left";
    case -ENOMEM:
        return "it cannot be tried: there is no memory left";
    default:
        return tl::unexpected<Error>(entry.error());
    }
}

Result<Core::LoopUse> Core::use_loop() {
    loop_users_.fetch_add(1);
    LoopUse use(*this);
    if (!loop_ready_.load()) {
        const std::lock_guard lock(mutex_);
        V4LFENCE_TRY(open_board());
        if (!own_loop_) {
            V4LFENCE_TRY(reactor_->start_thread());
        }
        loop_ready_.store(true);
    }
    return use;
}

/// Fences need no board; but what is short for it is short for them.
Result<> Core::open_board() {
    if (board_ || !wants_board_) {
        return {};
    }
    auto board = TraceBoard::create();
    if (board) {
        board_ = std::move(*board);
    } else if (is_shortage(board.error().code)) {
        return tl::unexpected(board.error());
    }  // Else EPERM, ENOSYS, EFBIG, ...
    return {};
}

Result<> Core::use_board(bool on) {
    const std::lock_guard lock(mutex_);
    if (loop_ready_.load() && wants_board_ != on) {
        return fail(-EBUSY, "fences are in use");
    }
    wants_board_ = on;
    return {};
}

Result<int> Core::use_own_loop() {
    const std::lock_guard lock(mutex_);
    V4LFENCE_TRY(reactor_->use_own_loop());
    own_loop_ = true;
    return reactor_->fd();
}

void Core::drop_loop_user() {
    // No lock: who has it may be waiting for the end of the very thread that this is.
    if (loop_users_.fetch_sub(1) > 1) {
        return;
    }
    if (own_loop_.load() || !reactor_->on_dispatching_thread()) {
        stop_unused_loop();
        return;
    }
    // A thread cannot wait for its own end; another one does.
    stops_->fetch_add(1);
    auto stop = std::make_unique<Stop>(Stop{*this, stops_});
    pthread_t stopper{};
    if (pthread_create(&stopper, nullptr, &Stop::run, stop.get()) == 0) {
        pthread_detach(stopper);
        (void)stop.release();
    } else {
        stops_->fetch_sub(1);  // The next user's end takes it along.
    }
}

void* Core::Stop::run(void* self) {
    const std::unique_ptr<Stop> stop(static_cast<Stop*>(self));
    stop->core.stop_unused_loop();
    stop->count->fetch_sub(1);
    stop->count->notify_all();
    return nullptr;
}

void Core::stop_unused_loop() {
    const std::lock_guard lock(mutex_);
    const bool was_ready = loop_ready_.exchange(false);
    // Either a new user sees that the loop is not ready, or we see the user.
    if (loop_users_.load() > 0) {
        loop_ready_.store(was_ready);
        return;
    }
    board_.reset();
    if (!own_loop_.load()) {
        reactor_->stop_thread();
        reactor_->close_idle();
    }
}

Core::~Core() {
    for (unsigned left = stops_->load(); left != 0; left = stops_->load()) {
        stops_->wait(left);
    }
}

void Core::abandon() noexcept {
    for (const auto& entry : providers_) {
        if (entry && entry->provider) {
            entry->provider->abandon();
        }
    }
    if (board_) {
        board_->abandon();
    }
    reactor_->abandon_after_fork();
}

}  // namespace v4lfence
