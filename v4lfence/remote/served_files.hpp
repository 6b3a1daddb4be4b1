// SPDX-License-Identifier: MIT
//
// The files that a server has open, by the kernel's number of their sockets.

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/remote/server.hpp"
#include "v4lfence/remote/wire.hpp"
#include "v4lfence/v4l2/file_handle.hpp"

namespace v4lfence::remote {

class ServedFiles;

/// One open file. Thread: any.
class ServedFile {
public:
    struct Opened {
        std::shared_ptr<ServedFile> file;
        UniqueFd program_end;
    };
    /// Errors: EMFILE, ENFILE, ENOMEM; ENODEV the device is gone.
    static Result<Opened> open(std::shared_ptr<VideoDevice> device, const ServerOptions& options);
    /// The file is closed.
    ~ServedFile();

    FileHandle& handle() const noexcept { return *handle_; }
    /// Of the status page, for the program. Borrowed.
    int page_fd() const noexcept { return page_fd_.get(); }
    std::uint64_t changes() const noexcept;

private:
    friend class ServedFiles;

    ServedFile(std::shared_ptr<VideoDevice> device, UniqueFd page_fd, MappedMemory page,
               std::unique_ptr<FileHandle> handle) noexcept;

    const std::shared_ptr<VideoDevice> device_;
    const UniqueFd page_fd_;
    const MappedMemory page_;
    std::unique_ptr<FileHandle> handle_;
    ServedFiles* closing_for_ = nullptr;  ///< It is to be told when this one is closed.
};

/// Thread: every member may be called from any thread.
class ServedFiles {
public:
    void add(const std::shared_ptr<ServedFile>& file);
    void forget(std::uint64_t cookie);
    /// NULL: none.
    std::shared_ptr<ServedFile> find(std::uint64_t cookie) const;

    /// Closes the files of which no descriptor is open any more: when it returns all are closed
    /// that were so when it began, whoever has closed them. The caller has no file at all: a
    /// program that shuts its end down makes any of its files look abandoned. Files of devices
    /// that are gone are forgotten too.
    void sweep();
    /// So many abandoned files were closed until now: what was busy before may be free since.
    std::uint64_t closed_count() const noexcept { return closed_.load(); }

    void close_all();
    unsigned count() const;

private:
    friend class ServedFile;
    void count_closed();

    mutable std::mutex mutex_;
    std::condition_variable all_closed_;
    std::unordered_map<std::uint64_t, std::shared_ptr<ServedFile>> files_;
    unsigned closing_ = 0;
    std::atomic<std::uint64_t> closed_{0};
};

}  // namespace v4lfence::remote
