// SPDX-License-Identifier: MIT

#include "tools/video/file.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
}

Mapping::~Mapping() {
    if (!bytes_.empty()) {
        v4lfence_munmap(bytes_.data(), bytes_.size());
    }
}

Result<Mapping> Mapping::create(int fd, std::size_t size, std::int64_t offset) {
    void* address = v4lfence_mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    if (address == MAP_FAILED) {
        return fail_errno("mmap");
    }
    return Mapping({static_cast<std::byte*>(address), size});
}

Result<VideoFile> VideoFile::open(const std::string& path, VideoCalls calls) {
    constexpr int flags = O_RDWR | O_NONBLOCK | O_CLOEXEC;
    if (calls == VideoCalls::Plain) {
        UniqueFd fd = V4LFENCE_TRY(sys::open(path.c_str(), flags));
        return VideoFile(std::move(fd).release(), calls);
    }
    const int fd = v4lfence_open(path.c_str(), flags);
    if (fd < 0) {
        return fail_errno("open");
    }
    return VideoFile(fd, calls);
}

VideoFile::VideoFile(VideoFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), calls_(other.calls_) {}

VideoFile::~VideoFile() {
    if (fd_ < 0) {
        return;
    }
    if (calls_ == VideoCalls::Plain) {
        UniqueFd(fd_).reset();
    } else {
        v4lfence_close(fd_);
    }
}

Result<int> VideoFile::ioctl(unsigned long request, void* argument) const {
    if (calls_ == VideoCalls::Plain) {
        return sys::ioctl_retry(fd_, request, argument);
    }
    int status = 0;
    do {
        status = v4lfence_ioctl(fd_, request, argument);
    } while (status < 0 && errno == EINTR);
    if (status < 0) {
        return fail_errno("ioctl");
    }
    return status;
}

Result<int> VideoFile::poll(std::span<pollfd> fds, int timeout_ms) const {
    if (calls_ == VideoCalls::Plain) {
        return sys::poll(fds, timeout_ms);
    }
    const int count = v4lfence_poll(fds.data(), fds.size(), timeout_ms);
    if (count < 0) {
        return fail_errno("poll");
    }
    return count;
}

}  // namespace v4lfence
