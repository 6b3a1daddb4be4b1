// SPDX-License-Identifier: MIT

#include "v4lfence/bridge/context.hpp"

#include <algorithm>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

Core& Context::core() {
    if (Core* made = existing_core()) {
        return *made;
    }
    const std::lock_guard lock(mutex_);
    if (core_.load() == nullptr) {
        // Lives as long as the process: a thread of the program's may still be inside at its end.
        auto core = std::make_unique<Core>();
        static_cast<void>(core->use_board(wants_board_));  // Nobody uses it yet.
        core_.store(core.release(), std::memory_order_release);
    }
    return *core_.load();
}

Result<> Context::use_board(bool on) {
    const std::lock_guard lock(mutex_);
    if (Core* made = existing_core()) {
        V4LFENCE_TRY(made->use_board(on));
    }
    wants_board_ = on;
    return {};
}

void Context::add(BridgeFile& file) {
    const std::lock_guard lock(mutex_);
    files_.push_back(&file);
}

void Context::remove(BridgeFile& file) {
    const std::lock_guard lock(mutex_);
    std::erase(files_, &file);
    fenced_files_.fetch_sub(file.fenced() ? 1 : 0);
}

BridgeFile* Context::find_owner(const BridgeFile& asking, std::uint32_t type) const {
    const auto owner = std::find_if(files_.begin(), files_.end(), [&](const BridgeFile* file) {
        return file != &asking && file->node() == asking.node() && file->fenced() &&
               file->owned_queue(type) != nullptr;
    });
    return owner == files_.end() ? nullptr : *owner;
}

SlotView Context::slot_of_owner(const BridgeFile& asking, std::uint32_t type, unsigned index) {
    const std::lock_guard lock(mutex_);
    const BridgeFile* owner = find_owner(asking, type);
    return owner != nullptr ? owner->owned_queue(type)->slot(index) : SlotView();
}

void Context::overlay_from_owner(const BridgeFile& asking, v4l2_buffer& buffer,
                                 const SlotView& slot) {
    const std::lock_guard lock(mutex_);
    if (const BridgeFile* owner = find_owner(asking, buffer.type)) {
        owner->owned_queue(buffer.type)->overlay(buffer, slot);
    }
}

bool Context::is_owned_by_other(const BridgeFile& asking, std::uint32_t type) {
    if (fenced_files() < 2 && asking.fenced()) {
        return false;
    }
    const std::lock_guard lock(mutex_);
    return find_owner(asking, type) != nullptr;
}

void Context::before_fork() {
    mutex_.lock();
    // Callbacks come to rest before any queue is locked. They do not need this list.
    prepared_ = existing_core();
    if (prepared_ != nullptr) {
        prepared_->reactor().prepare_fork();
    }
    for (BridgeFile* file : files_) {
        file->lock_for_fork();
    }
    for (ForkMember* member : fork_members_) {
        member->lock_for_fork();
    }
}

void Context::after_fork_in_parent() {
    for (ForkMember* member : fork_members_) {
        member->unlock_after_fork();
    }
    for (BridgeFile* file : files_) {
        file->unlock_after_fork();
    }
    if (prepared_ != nullptr) {
        prepared_->reactor().resume_after_fork();
    }
    mutex_.unlock();
}

void Context::after_fork_in_child() {
    sys::forget_thread_id();
    for (ForkMember* member : fork_members_) {
        member->abandon();
        member->unlock_after_fork();
    }
    for (BridgeFile* file : files_) {
        file->abandon();
        file->unlock_after_fork();
    }
    std::erase_if(files_, [](const BridgeFile* file) { return file->fenced(); });
    fenced_files_.store(0);
    if (Core* core = core_.exchange(nullptr)) {
        core->abandon();
    }
    mutex_.unlock();
}

}  // namespace v4lfence
