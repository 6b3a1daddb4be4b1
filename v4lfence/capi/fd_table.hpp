// SPDX-License-Identifier: MIT
//
// FdTable: from a descriptor's number to the file behind it, without a lock and without a system
// call. A file may have several numbers, as dup() makes them.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "v4lfence/base/result.hpp"
#include "v4lfence/uapi/file.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread.
class FdTable {
    static constexpr std::size_t chunk_size = 1024;
    static constexpr std::size_t chunks_max = 1024;  ///< Linux' default fs.nr_open is 1048576.

    struct Entry {
        std::atomic<File*> file{nullptr};
        std::atomic<unsigned> users{0};
        /// The numbers of one file form a ring. Guarded by numbers_mutex_.
        int next = -1;
    };

public:
    /// Keeps a file from going away while a call is inside it. Empty when the number is not ours.
    class Use {
    public:
        explicit Use(Entry* entry, std::uint64_t serial = 0);
        ~Use();
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

        explicit operator bool() const noexcept { return file_ != nullptr; }
        File* operator->() const noexcept { return file_; }
        File& operator*() const noexcept { return *file_; }

    private:
        Entry* entry_;
        File* file_ = nullptr;
    };

    /// Numbers beyond are never found: fs.nr_open was raised.
    static constexpr bool fits(int fd) {
        return fd >= 0 && static_cast<std::size_t>(fd) < chunk_size * chunks_max;
    }

    /// `serial`: that very file or none; 0: whichever has the number.
    Use find(int fd, std::uint64_t serial = 0) const { return Use(entry(fd), serial); }

    /// Takes the file over, which has no other number. What the number was before is returned if
    /// that is left without one, for the caller to end; else NULL.
    File* put(int fd, File& file);

    /// `to` is one more number of the file behind `from`. Returns as put(); NULL also where it
    /// already is that. Errors: EBADF `from` is not ours.
    Result<File*> share(int from, int to);

    /// Nobody finds a file by this number any more, and no call that did is inside. A file that has
    /// other numbers goes on by one of those (File::renumber), so the number must not be closed
    /// yet. Returns the file that is left without one, for the caller to end; else NULL. Waits for
    /// calls that are inside: not for one of its own thread's.
    File* take(int fd);

    /// `to` is one more number of a file for which `matches(number, file)` says yes, and which has
    /// that number until `to` is it too. `matches` calls nothing of the table. Returns as share().
    /// Errors: EBADF there is none by another number.
    template <class Matches>
    Result<File*> share_where(int to, Matches matches) {
        const std::lock_guard lock(numbers_mutex_);
        return share_locked(find_number(to, matches), to);
    }

    /// Before anything of a file is locked for it.
    void lock_for_fork() { numbers_mutex_.lock(); }
    void unlock_after_fork() { numbers_mutex_.unlock(); }
    /// In a forked child: the calls under way were other threads' of the parent.
    void forget_users() noexcept;

private:
    using Chunk = std::array<Entry, chunk_size>;

    /// A number, other than `but`; -1: there is none.
    template <class Matches>
    int find_number(int but, Matches matches) const {
        int number = 0;
        for (const auto& place : chunks_) {
            const Chunk* chunk = place.load(std::memory_order_acquire);
            for (std::size_t i = 0; chunk != nullptr && i < chunk_size; ++i) {
                const int found = number + static_cast<int>(i);
                const File* file = (*chunk)[i].file.load();
                if (file != nullptr && found != but && matches(found, *file)) {
                    return found;
                }
            }
            number += static_cast<int>(chunk_size);
        }
        return -1;
    }
    Result<File*> share_locked(int from, int to);

    Entry* entry(int fd) const;
    Entry& make_entry(int fd);
    static void wait_unused(Entry& entry);
    File* unlink(Entry& place, int fd);

    std::array<std::atomic<Chunk*>, chunks_max> chunks_{};
    /// Held when a number comes or goes: also over the end of calls by a number that is not its
    /// file's last, and File::renumber().
    mutable std::mutex numbers_mutex_;
};

}  // namespace v4lfence
