// SPDX-License-Identifier: MIT

#include "conformance/device.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace v4lfence {

DeviceCalls raw_calls() {
    DeviceCalls calls;
    calls.open = &::open;
    calls.close = &::close;
    calls.ioctl = &::ioctl;
    calls.mmap = &::mmap;
    calls.munmap = &::munmap;
    calls.fcntl = &::fcntl;
    calls.read = &::read;
    calls.poll = &::poll;
    calls.select = &::select;
    calls.epoll_ctl = &::epoll_ctl;
    return calls;
}

Device::Device(Device&& other) noexcept : calls_(other.calls_), fd_(std::exchange(other.fd_, -1)) {}

Device& Device::operator=(Device&& other) noexcept {
    shut();
    calls_ = other.calls_;
    fd_ = std::exchange(other.fd_, -1);
    return *this;
}

int Device::ioctl(unsigned long request, void* argument) const {
    const int status = calls_->ioctl(fd_, request, argument);
    return status < 0 ? -errno : status;
}

int Device::set_nonblocking(bool on) const {
    const int flags = calls_->fcntl(fd_, F_GETFL);
    if (flags < 0) {
        return -errno;
    }
    const int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return calls_->fcntl(fd_, F_SETFL, wanted) < 0 ? -errno : 0;
}

int Device::read(void* buffer, std::size_t count) const {
    const ssize_t done = calls_->read(fd_, buffer, count);
    return done < 0 ? -errno : static_cast<int>(done);
}

int Device::poll(short events, int timeout_ms) const {
    pollfd entry{fd_, events, 0};
    const int count = calls_->poll(&entry, 1, timeout_ms);
    return count < 0 ? -errno : entry.revents;
}

int Device::shut() {
    const int fd = std::exchange(fd_, -1);
    if (fd < 0) {
        return 0;
    }
    return calls_->close(fd) < 0 ? -errno : 0;
}

Region::Region(Region&& other) noexcept
    : calls_(other.calls_), address_(std::exchange(other.address_, nullptr)),
      length_(std::exchange(other.length_, 0)) {}

Region& Region::operator=(Region&& other) noexcept {
    unmap();
    calls_ = other.calls_;
    address_ = std::exchange(other.address_, nullptr);
    length_ = std::exchange(other.length_, 0);
    return *this;
}

void Region::unmap() {
    if (address_ != nullptr) {
        calls_->munmap(std::exchange(address_, nullptr), std::exchange(length_, 0));
    }
}

}  // namespace v4lfence
