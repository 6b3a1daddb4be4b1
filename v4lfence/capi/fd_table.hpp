// SPDX-License-Identifier: MIT
//
// FdTable: from a descriptor's number to the file behind it, without a lock and without a system
// call.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "v4lfence/uapi/file.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread.
class FdTable {
    static constexpr std::size_t chunk_size = 1024;
    static constexpr std::size_t chunks_max = 1024;  ///< Linux' default fs.nr_open is 1048576.

    struct Entry {
        std::atomic<File*> file{nullptr};
        std::atomic<unsigned> users{0};
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

    /// Takes the file over. A stale entry of the same number is returned, for the caller to end.
    File* put(int fd, File& file);

    /// Nobody finds it any more; NULL when there was none.
    File* take(int fd);

    /// In a forked child: the calls under way were other threads' of the parent.
    void forget_users() noexcept;

    /// When it returns no call that found the file of this number is inside any more.
    void wait_unused(int fd);

private:
    using Chunk = std::array<Entry, chunk_size>;

    Entry* entry(int fd) const;

    std::array<std::atomic<Chunk*>, chunks_max> chunks_{};
};

}  // namespace v4lfence
