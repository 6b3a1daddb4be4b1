// SPDX-License-Identifier: MIT
//
// Node: an open capture device as the probes see it, and words for what it answers.

#pragma once

#include <linux/videodev2.h>
#include <poll.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace v4lfence::difference {

/// The same calls, of the kernel or of the library.
struct Calls {
    int (*open)(const char* path, int flags, ...);
    int (*close)(int fd);
    int (*ioctl)(int fd, unsigned long request, ...);
    void* (*mmap)(void* address, std::size_t length, int protection, int flags, int fd,
                  std::int64_t offset);
    int (*munmap)(void* address, std::size_t length);
    ssize_t (*read)(int fd, void* buffer, std::size_t count);
    int (*poll)(pollfd* fds, nfds_t count, int timeout_ms);
};

/// "ok", or the name of what errno says.
std::string outcome(long status);

/// Those of a v4l2_buffer that tell its state, by name; not whose moment its time is, which is the
/// driver's choice.
std::string buffer_flags(std::uint32_t flags);
std::string poll_events(short events);

/// One after the other, as a braced list asks them: operands of + come in any order.
std::string all(std::initializer_list<std::string> answers);

/// A file of its own for each. Opened non-blocking; closed with what is mapped.
class Node {
public:
    static constexpr std::uint32_t type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

    Node(const Calls& calls, const std::string& path);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    int fd() const { return fd_; }
    long call(unsigned long request, void* argument) const;
    /// call(), and its outcome.
    std::string io(unsigned long request, void* argument) const;

    std::string request(unsigned count, std::uint32_t memory = V4L2_MEMORY_MMAP) const;
    v4l2_buffer buffer(unsigned index, std::uint32_t memory = V4L2_MEMORY_MMAP) const;
    std::string queue(unsigned index) const;
    std::string dequeue() const;
    /// The outcome of QUERYBUF, with the state.
    std::string state(unsigned index) const;
    std::string stream_on() const;
    std::string stream_off() const;
    /// Requests so many, queues them, STREAMON.
    std::string start(unsigned count) const;
    /// A frame can be taken. False: none came for five seconds.
    bool wait_for_frame() const;
    /// A frame can be read. "ok", or that none came.
    std::string start_read() const;

    std::string poll_now(short events) const;
    std::string read(std::size_t size) const;
    /// Outcome; what was mapped stays until the end.
    std::string map(unsigned index, std::size_t length, int protection, int flags,
                    long offset_change = 0);
    void unmap_all();

    v4l2_format format() const;
    std::size_t frame_size() const { return format().fmt.pix.sizeimage; }

private:
    struct Mapped {
        void* address;
        std::size_t length;
    };

    const Calls& calls_;
    int fd_;
    std::vector<Mapped> mapped_;
};

/// One question. `name` begins with what it is about.
struct Probe {
    const char* name;
    std::string (*ask)(const Calls& calls, const std::string& path);
};

std::span<const Probe> buffer_probes();
std::span<const Probe> stream_probes();
std::span<const Probe> memory_probes();
std::span<const Probe> device_probes();

}  // namespace v4lfence::difference
