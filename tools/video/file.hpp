// SPDX-License-Identifier: MIT
//
// VideoFile: one open V4L2 node, reached through the library or by plain system calls.

#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

/// Which way the calls of a file go.
enum class VideoCalls : std::uint8_t {
    Library,  ///< v4lfence_*(): fences may be used.
    Plain,    ///< The kernel's own, for comparison.
};

/// Owns a mapping; empty when default-made.
class Mapping {
public:
    Mapping() noexcept = default;
    explicit Mapping(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    ~Mapping();

    std::span<std::byte> bytes() const noexcept { return bytes_; }

    /// Any descriptor that can be mapped, shared, readable and writable. Errors: as mmap(2).
    static Result<Mapping> create(int fd, std::size_t size, std::int64_t offset);

private:
    std::span<std::byte> bytes_;
};

/// Opened non-blocking. Thread: const members may be called from any thread at once.
class VideoFile {
public:
    /// Errors: as open(2).
    static Result<VideoFile> open(const std::string& path, VideoCalls calls);

    VideoFile(VideoFile&& other) noexcept;
    VideoFile& operator=(VideoFile&&) = delete;
    ~VideoFile();

    /// Borrowed.
    int fd() const noexcept { return fd_; }
    VideoCalls calls() const noexcept { return calls_; }

    /// Repeated while a signal interrupts it. Errors: as the ioctl.
    Result<int> ioctl(unsigned long request, void* argument) const;

    /// Waits for this file and others. Errors: EINTR.
    Result<int> poll(std::span<pollfd> fds, int timeout_ms) const;

private:
    VideoFile(int fd, VideoCalls calls) noexcept : fd_(fd), calls_(calls) {}

    int fd_;
    VideoCalls calls_;
};

}  // namespace v4lfence
