// SPDX-License-Identifier: MIT
//
// A capture stream with mapped buffers, over the bare system calls or over the library. Whatever
// fails ends the program: a benchmark of something broken means nothing.

#pragma once

#include <linux/videodev2.h>
#include <poll.h>

namespace v4lfence::bench {

/// The way into the kernel.
struct Calls {
    int (*open)(const char* path, int flags);
    int (*ioctl)(int fd, unsigned long request, void* argument);
    int (*poll)(pollfd* fds, nfds_t count, int timeout_ms);
    int (*close)(int fd);
};

const Calls& raw_calls();
const Calls& library_calls();

class Capture {
public:
    static constexpr unsigned buffers = 4;

    /// 320x180 at 60 frames a second, where the device has that. `flags` beside O_RDWR.
    Capture(const Calls& calls, const char* node, int flags);
    ~Capture();
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    int fd() const { return fd_; }

    /// 0 or what errno says.
    int try_ioctl(unsigned long request, void* argument) const;

    /// Mapped buffers, none of them queued.
    void request_buffers();
    /// Returns the out-fence if `flags` ask for one, else -1.
    int queue(unsigned index, unsigned flags = 0, int in_fence = -1);
    void start();
    void stop();

    /// Waits on a blocking file.
    v4l2_buffer dequeue();
    /// On a non-blocking file: false when there is nothing yet.
    bool try_dequeue(v4l2_buffer& buffer);
    /// poll() until a frame is there.
    void wait();

private:
    const Calls& calls_;
    int fd_ = -1;
};

}  // namespace v4lfence::bench
