// SPDX-License-Identifier: MIT
//
// FileIo: read() of a capture queue, made of the queue's own buffers as videobuf2 makes it. While
// it lasts, whoever serves ioctls refuses those about buffers (EBUSY).

#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/sync/out_fences.hpp"
#include "v4lfence/vb2/queue.hpp"

namespace v4lfence {

/// Where read() puts what it reads.
class ReadTarget {
public:
    virtual std::size_t size() const = 0;
    /// At most size() bytes, once. Errors: EFAULT.
    virtual Result<> put(std::span<const std::byte> bytes) = 0;

protected:
    ~ReadTarget() = default;
};

/// Memory of this process.
class LocalTarget final : public ReadTarget {
public:
    explicit LocalTarget(std::span<std::byte> target) noexcept : target_(target) {}

    std::size_t size() const override { return target_.size(); }
    Result<> put(std::span<const std::byte> bytes) override {
        std::copy(bytes.begin(), bytes.end(), target_.begin());
        return {};
    }

private:
    const std::span<std::byte> target_;
};

/// Thread: every member may be called from any thread.
class FileIo {
public:
    /// `queue` is borrowed and must outlive it.
    explicit FileIo(Queue& queue) noexcept : queue_(queue) {}

    bool active() const noexcept { return active_.load(); }

    /// Starts the stream with the first call. Returns how much was read: at most the rest of one
    /// frame. Errors: EAGAIN nothing yet; EBUSY the queue is used otherwise, or its frames have
    /// several planes; EINVAL the queue is not readable; those of starting and of DQBUF; what
    /// `target` says, with nothing read. `caller`: as Queue::dequeue().
    Result<std::size_t> read(ReadTarget& target, int caller = sys::thread_id());
    Result<std::size_t> read(std::span<std::byte> target) {
        LocalTarget local(target);
        return this->read(local);
    }

    /// The stream ends, the buffers go. Does nothing where none was started.
    void stop();

private:
    struct Frame {
        unsigned index = 0;
        std::span<const std::byte> left;
    };

    Result<> start();
    Result<> next_frame(int caller);
    Result<> give_back(unsigned index);

    Queue& queue_;
    const FileOptions options_;
    std::mutex mutex_;
    std::optional<Frame> frame_;  ///< What is being read. Guarded by mutex_.
    std::atomic<bool> active_{false};
};

}  // namespace v4lfence
