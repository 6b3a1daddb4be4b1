// SPDX-License-Identifier: MIT

#include "v4lfence/capi/fd_table.hpp"

#include <memory>

namespace v4lfence {

FdTable::Use::Use(Entry* entry, std::uint64_t serial) : entry_(entry) {
    if (entry_ == nullptr || entry_->file.load(std::memory_order_relaxed) == nullptr) {
        entry_ = nullptr;
        return;
    }
    // Sequentially consistent with take(): either it sees us or we see its NULL.
    entry_->users.fetch_add(1);
    File* const found = entry_->file.load();
    if (found != nullptr && (serial == 0 || found->serial() == serial)) {
        file_ = found;
    }
}

FdTable::Use::~Use() {
    if (entry_ != nullptr && entry_->users.fetch_sub(1) == 1) {
        entry_->users.notify_all();
    }
}

FdTable::Entry* FdTable::entry(int fd) const {
    const auto number = static_cast<std::size_t>(fd);
    if (!fits(fd)) {
        return nullptr;
    }
    Chunk* chunk = chunks_[number / chunk_size].load(std::memory_order_acquire);
    return chunk == nullptr ? nullptr : &(*chunk)[number % chunk_size];
}

File* FdTable::put(int fd, File& file) {
    const auto number = static_cast<std::size_t>(fd);
    std::atomic<Chunk*>& place = chunks_[number / chunk_size];
    if (place.load(std::memory_order_acquire) == nullptr) {
        auto made = std::make_unique<Chunk>();
        Chunk* expected = nullptr;
        if (place.compare_exchange_strong(expected, made.get())) {
            (void)made.release();
        }
    }
    return entry(fd)->file.exchange(&file);
}

File* FdTable::take(int fd) {
    Entry* found = entry(fd);
    return found == nullptr ? nullptr : found->file.exchange(nullptr);
}

void FdTable::wait_unused(int fd) {
    Entry* found = entry(fd);
    for (unsigned users = found->users.load(); users != 0; users = found->users.load()) {
        found->users.wait(users);
    }
}

void FdTable::forget_users() noexcept {
    for (const auto& place : chunks_) {
        Chunk* chunk = place.load();
        for (std::size_t i = 0; chunk != nullptr && i < chunk_size; ++i) {
            (*chunk)[i].users.store(0);
        }
    }
}

}  // namespace v4lfence
