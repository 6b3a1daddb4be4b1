// SPDX-License-Identifier: MIT

#include "v4lfence/capi/fd_table.hpp"

#include <memory>
#include <utility>

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

FdTable::Entry& FdTable::make_entry(int fd) {
    std::atomic<Chunk*>& place = chunks_[static_cast<std::size_t>(fd) / chunk_size];
    if (place.load() == nullptr) {
        place.store(std::make_unique<Chunk>().release(), std::memory_order_release);
    }
    return *entry(fd);
}

File* FdTable::put(int fd, File& file) {
    const std::lock_guard lock(numbers_mutex_);
    Entry& place = make_entry(fd);
    File* const stale = unlink(place, fd);
    place.next = fd;
    place.file.store(&file);
    return stale;
}

Result<File*> FdTable::share(int from, int to) {
    const std::lock_guard lock(numbers_mutex_);
    return share_locked(from, to);
}

Result<File*> FdTable::share_locked(int from, int to) {
    Entry* const source = entry(from);
    File* const file = source != nullptr ? source->file.load() : nullptr;
    if (file == nullptr) {
        return fail(-EBADF, "the number is not ours");
    }
    Entry& place = make_entry(to);
    if (place.file.load() == file) {
        return nullptr;
    }
    File* const stale = unlink(place, to);
    place.next = std::exchange(source->next, to);
    place.file.store(file);
    return stale;
}

File* FdTable::take(int fd) {
    Entry* const place = entry(fd);
    if (place == nullptr || place->file.load() == nullptr) {
        return nullptr;
    }
    std::unique_lock lock(numbers_mutex_);
    if (place->next != fd) {
        return unlink(*place, fd);
    }
    // Its file's only number: others need not wait for the calls that are inside.
    place->next = -1;
    File* const last = place->file.exchange(nullptr);
    lock.unlock();
    wait_unused(*place);
    return last;
}

/// Returns the file if that was its last number.
File* FdTable::unlink(Entry& place, int fd) {
    File* const file = place.file.exchange(nullptr);
    if (file == nullptr) {
        return nullptr;
    }
    const int left = std::exchange(place.next, -1);
    if (left != fd) {
        Entry* before = entry(left);
        while (before->next != fd) {
            before = entry(before->next);
        }
        before->next = left;
    }
    wait_unused(place);
    if (left == fd) {
        return file;
    }
    file->renumber(fd, left);
    return nullptr;
}

void FdTable::wait_unused(Entry& entry) {
    for (unsigned users = entry.users.load(); users != 0; users = entry.users.load()) {
        entry.users.wait(users);
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
