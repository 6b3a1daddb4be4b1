// SPDX-License-Identifier: MIT

#include "tests/unfenced_difference/node.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace v4lfence::difference {

namespace {

struct Bit {
    std::uint32_t bit;
    const char* name;
};

constexpr Bit buffer_bits[] = {
    {V4L2_BUF_FLAG_MAPPED, "mapped"},
    {V4L2_BUF_FLAG_QUEUED, "queued"},
    {V4L2_BUF_FLAG_DONE, "done"},
    {V4L2_BUF_FLAG_ERROR, "error"},
    {V4L2_BUF_FLAG_IN_REQUEST, "in-request"},
    {V4L2_BUF_FLAG_TIMECODE, "timecode"},
    {V4L2_BUF_FLAG_PREPARED, "prepared"},
    {V4L2_BUF_FLAG_NO_CACHE_INVALIDATE, "no-invalidate"},
    {V4L2_BUF_FLAG_NO_CACHE_CLEAN, "no-clean"},
    {V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC, "monotonic"},
    {V4L2_BUF_FLAG_TIMESTAMP_COPY, "copied-time"},
    {V4L2_BUF_FLAG_LAST, "last"},
    {V4L2_BUF_FLAG_REQUEST_FD, "request"},
};
constexpr Bit poll_bits[] = {
    {POLLIN, "in"},   {POLLPRI, "pri"},   {POLLOUT, "out"},       {POLLERR, "err"},
    {POLLHUP, "hup"}, {POLLNVAL, "nval"}, {POLLRDNORM, "rdnorm"}, {POLLWRNORM, "wrnorm"},
};

template <std::size_t N>
std::string names(const Bit (&bits)[N], std::uint32_t value) {
    std::string text;
    for (const Bit& each : bits) {
        if ((value & each.bit) != 0) {
            text += (text.empty() ? "" : "+") + std::string(each.name);
        }
    }
    return text.empty() ? "none" : text;
}

}  // namespace

std::string outcome(long status) {
    if (status >= 0) {
        return "ok";
    }
    const char* name = ::strerrorname_np(errno);
    return name != nullptr ? name : std::to_string(errno);
}

std::string buffer_flags(std::uint32_t flags) {
    return names(buffer_bits, flags);
}

std::string poll_events(short events) {
    return names(poll_bits, static_cast<std::uint16_t>(events));
}

std::string all(std::initializer_list<std::string> answers) {
    std::string text;
    for (const std::string& answer : answers) {
        text += (text.empty() ? "" : ", ") + answer;
    }
    return text;
}

Node::Node(const Calls& calls, const std::string& path)
    : calls_(calls), fd_(calls.open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)) {}

Node::~Node() {
    unmap_all();
    calls_.close(fd_);
}

long Node::call(unsigned long request, void* argument) const {
    return calls_.ioctl(fd_, request, argument);
}

std::string Node::io(unsigned long request, void* argument) const {
    return outcome(call(request, argument));
}

std::string Node::request(unsigned count, std::uint32_t memory) const {
    v4l2_requestbuffers wanted{};
    wanted.count = count;
    wanted.type = type;
    wanted.memory = memory;
    const std::string answer = io(VIDIOC_REQBUFS, &wanted);
    return answer == "ok" ? "ok " + std::to_string(wanted.count) : answer;
}

v4l2_buffer Node::buffer(unsigned index, std::uint32_t memory) const {
    v4l2_buffer made{};
    made.index = index;
    made.type = type;
    made.memory = memory;
    return made;
}

std::string Node::queue(unsigned index) const {
    v4l2_buffer wanted = buffer(index);
    const std::string answer = io(VIDIOC_QBUF, &wanted);
    return answer == "ok" ? "ok " + buffer_flags(wanted.flags) : answer;
}

std::string Node::dequeue() const {
    v4l2_buffer taken = buffer(0);
    const std::string answer = io(VIDIOC_DQBUF, &taken);
    return answer == "ok" ? "ok " + std::to_string(taken.index) + " " + buffer_flags(taken.flags)
                          : answer;
}

std::string Node::state(unsigned index) const {
    v4l2_buffer asked = buffer(index);
    const std::string answer = io(VIDIOC_QUERYBUF, &asked);
    return answer == "ok" ? "ok " + buffer_flags(asked.flags) : answer;
}

std::string Node::stream_on() const {
    std::uint32_t wanted = type;
    return io(VIDIOC_STREAMON, &wanted);
}

std::string Node::stream_off() const {
    std::uint32_t wanted = type;
    return io(VIDIOC_STREAMOFF, &wanted);
}

std::string Node::start(unsigned count) const {
    std::string answer = request(count);
    for (unsigned index = 0; index < count && answer.starts_with("ok"); ++index) {
        answer = queue(index);
    }
    return answer.starts_with("ok") ? stream_on() : answer;
}

bool Node::wait_for_frame() const {
    constexpr int patience_ms = 5000;
    pollfd entry{fd_, POLLIN, 0};
    return calls_.poll(&entry, 1, patience_ms) == 1 && (entry.revents & POLLIN) != 0;
}

std::string Node::start_read() const {
    char byte = 0;
    const ssize_t early = calls_.read(fd_, &byte, 1);
    return early >= 0 ? "read at once" : wait_for_frame() ? "ok" : "no frame";
}

std::string Node::poll_now(short events) const {
    pollfd entry{fd_, events, 0};
    const int count = calls_.poll(&entry, 1, 0);
    return count < 0 ? outcome(count) : poll_events(entry.revents);
}

std::string Node::read(std::size_t size) const {
    std::vector<char> bytes(size + 1);  // of no bytes too there is an address
    const ssize_t count = calls_.read(fd_, bytes.data(), size);
    if (count < 0) {
        return outcome(count);
    }
    const auto whole = static_cast<ssize_t>(frame_size());
    return count == whole ? "a frame" : count == 0 ? "0" : count < whole ? "a part" : "more";
}

std::string Node::map(unsigned index, std::size_t length, int protection, int flags,
                      long offset_change) {
    v4l2_buffer asked = buffer(index);
    if (call(VIDIOC_QUERYBUF, &asked) < 0) {
        return outcome(-1);
    }
    const std::size_t size = length != 0 ? length : asked.length;
    const std::int64_t offset = std::int64_t{asked.m.offset} + offset_change;
    void* address = calls_.mmap(nullptr, size, protection, flags, fd_, offset);
    if (address == MAP_FAILED) {
        return outcome(-1);
    }
    mapped_.push_back({address, size});
    return "ok";
}

void Node::unmap_all() {
    for (const Mapped& each : mapped_) {
        calls_.munmap(each.address, each.length);
    }
    mapped_.clear();
}

v4l2_format Node::format() const {
    v4l2_format format{};
    format.type = type;
    call(VIDIOC_G_FMT, &format);
    return format;
}

}  // namespace v4lfence::difference
