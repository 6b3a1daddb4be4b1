// SPDX-License-Identifier: MIT
//
// For tests of the bridge on whatever nodes a guest has: files that are found by their driver, and
// the queues of one, by ioctls alone. Of planes the first counts.

#pragma once

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "v4lfence/v4lfence.hpp"

namespace v4lfence::nodes {

/// Skips outside the VM: the nodes of another machine are somebody's.
class NodeTest : public ::testing::Test {
protected:
    void SetUp() final;
    /// With nodes that may be opened, written to, and stopped.
    virtual void set_up() = 0;
};

constexpr int soon_ms = 20000;  // A wait that is only reached when a test fails.

/// The nodes of a driver that have one of these V4L2_CAP_*, in the order of their numbers.
std::vector<std::string> find(const std::string& driver, std::uint32_t capabilities);

/// O_RDWR | O_NONBLOCK.
api::File open(const std::string& path);

/// A fence that the test ends.
class Gate {
public:
    Gate();
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() { end(0); }
    const api::Fence& fence() const { return fence_; }
    void end(int error);

private:
    api::Fence fence_;
    v4lfence_promise* promise_ = nullptr;
};

/// Pending, 0 for signaled, or the error.
std::optional<int> ended(const api::Fence& fence);
/// The same, once it has ended.
int wait(const api::Fence& fence);

/// One queue of MMAP buffers of a file, which outlives it.
class Queue {
public:
    Queue(const api::File& file, std::uint32_t type);

    bool is_output() const { return V4L2_TYPE_IS_OUTPUT(type_); }
    /// How many there are, or a negative errno.
    int request(unsigned count);
    /// All the bytes of a plane. 0 or a negative errno.
    int queue(unsigned index, const api::Fence* in = nullptr, api::Fence* out = nullptr,
              std::uint32_t flags = 0, int request_fd = -1);
    int stream(bool on) const;
    struct Taken {
        int status = 0;  ///< 0 or a negative errno.
        unsigned index = 0;
        std::uint32_t flags = 0;
        std::uint32_t used = 0;
    };
    /// Without waiting.
    Taken try_take() const;
    /// Waits, for POLLIN or POLLOUT, until there is one or an error.
    Taken take() const;
    /// Of QUERYBUF.
    std::uint32_t flags(unsigned index) const;
    /// What poll() says now of this queue's direction.
    short readiness(int timeout_ms = 0) const;

private:
    bool is_multiplanar() const;
    v4l2_buffer blank(unsigned index) const;

    const api::File& file_;
    const std::uint32_t type_;
    mutable v4l2_plane planes_[VIDEO_MAX_PLANES] = {};
};

}  // namespace v4lfence::nodes
