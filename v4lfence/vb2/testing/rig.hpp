// SPDX-License-Identifier: MIT
//
// Rig: a Queue over a FakeDriver, with a listener that shows what a virtual file would.

#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "v4lfence/vb2/queue.hpp"
#include "v4lfence/vb2/testing/fake_driver.hpp"

namespace v4lfence::testing {

/// Keeps the counts that it was last told of.
class ShownReadiness final : public ReadyListener {
public:
    void watch(const Queue& queue) { queue_ = &queue; }
    void ready_changed() override;

    ReadyCounts counts() const;
    unsigned calls() const;
    /// Returns whether `matches` came true, at the latest in ten seconds.
    bool wait_until(const std::function<bool(const ReadyCounts&)>& matches);

    void lock_for_fork() { mutex_.lock(); }
    void unlock_after_fork() { mutex_.unlock(); }

private:
    const Queue* queue_ = nullptr;
    mutable std::mutex mutex_;  ///< Held over the look, as a virtual file does.
    std::condition_variable changed_;
    ReadyCounts counts_;
    unsigned calls_ = 0;
};

/// A fence for a QBUF to wait for.
struct TestFence {
    UniqueFd fd;
    FencePromise promise;

    void end(int error = 0) { std::move(promise).end(error); }
};

/// A DQBUF's answer, short.
constexpr int none = -EAGAIN;

QueueTraits capture_traits();
QueueTraits output_traits();

struct Rig {
    explicit Rig(const QueueTraits& traits = capture_traits());

    /// The number of buffers, or a negative errno.
    int request(unsigned count, MemoryKind memory = MemoryKind::Mmap);
    /// The first index, or a negative errno.
    int create(unsigned count, MemoryKind memory = MemoryKind::Mmap);
    /// 0 or a negative errno.
    int prepare(unsigned index, const BufferSettings& settings = BufferSettings());
    int qbuf(unsigned index, const BufferSettings& settings = BufferSettings());
    /// Its out-fence is out[index].
    int qbuf_out(unsigned index, std::optional<int> in = std::nullopt);
    int qbuf_in(unsigned index, int fence);
    /// The index, or a negative errno.
    int dqbuf();
    int stream_on();
    BufferReport query(unsigned index) const { return queue->query(index).value(); }
    BufferReport::State state(unsigned index) const { return query(index).state; }

    /// `count` buffers, all queued, and the stream on.
    void stream(unsigned count);

    TestFence fence();

    Core core;
    MemoryMakers makers{MmapSource::Memfd};
    FakeDriver driver;
    ShownReadiness shown;
    FileOptions options;
    std::array<UniqueFd, 64> out;
    std::unique_ptr<Queue> queue;

private:
    std::unique_ptr<FenceContext> context_;
};

/// How a fence has ended: 0 or a negative errno; 1 while it is pending.
int outcome(int fd);
/// As above, when it has ended: waits ten seconds for it.
int final_outcome(int fd);

template <class T>
int code(const Result<T>& result) {
    return result ? 0 : result.error().code;
}

}  // namespace v4lfence::testing
