// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/testing/rig.hpp"

#include <poll.h>

#include <chrono>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence::testing {

void ShownReadiness::ready_changed() {
    const std::lock_guard lock(mutex_);
    if (queue_ != nullptr) {
        counts_ = queue_->ready_counts();
    }
    ++calls_;
    changed_.notify_all();
}

ReadyCounts ShownReadiness::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

unsigned ShownReadiness::calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
}

bool ShownReadiness::wait_until(const std::function<bool(const ReadyCounts&)>& matches) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return matches(counts_); });
}

QueueTraits capture_traits() {
    QueueTraits traits;
    traits.memory_kinds = memory_bit(MemoryKind::Mmap) | memory_bit(MemoryKind::Userptr) |
                          memory_bit(MemoryKind::Dmabuf);
    traits.buffers_max = 32;
    traits.readable = true;
    return traits;
}

QueueTraits output_traits() {
    QueueTraits traits = capture_traits();
    traits.access = DeviceAccess::Read;
    return traits;
}

Rig::Rig(const QueueTraits& traits)
    : queue(Queue::create(traits, driver, core, makers, shown).value()),
      context_((*core.provider("user"))->open_context().value()) {
    shown.watch(*queue);
}

int Rig::request(unsigned count, MemoryKind memory) {
    const auto made = queue->request_buffers(memory, count);
    return made ? static_cast<int>(*made) : made.error().code;
}

int Rig::create(unsigned count, MemoryKind memory) {
    const auto made = queue->create_buffers(memory, count, driver.shape);
    return made ? static_cast<int>(made->index) : made.error().code;
}

int Rig::prepare(unsigned index, const BufferSettings& settings) {
    return code(queue->prepare(index, settings));
}

int Rig::qbuf(unsigned index, const BufferSettings& settings) {
    return code(queue->queue(index, settings, BufferFences(), options));
}

int Rig::qbuf_out(unsigned index, std::optional<int> in) {
    auto queued = queue->queue(index, BufferSettings(), BufferFences{in, true}, options);
    if (queued) {
        out[index] = std::move(queued->out_fence);
    }
    return code(queued);
}

int Rig::qbuf_in(unsigned index, int fence) {
    return code(queue->queue(index, BufferSettings(), BufferFences{fence, false}, options));
}

int Rig::dqbuf() {
    const auto report = queue->dequeue();
    return report ? static_cast<int>(report->index) : report.error().code;
}

int Rig::stream_on() {
    return code(queue->stream_on());
}

void Rig::stream(unsigned count) {
    request(count);
    for (unsigned index = 0; index < count; ++index) {
        qbuf(index);
    }
    stream_on();
}

TestFence Rig::fence() {
    MintedFence minted = context_->mint(0).value();
    return TestFence{std::move(minted.fd), std::move(minted.promise)};
}

int outcome(int fd) {
    const auto seen = Fence::import(fd, DmaBufAccess::Write);
    return !seen ? seen.error().code : seen->status.ended() ? seen->status.error : 1;
}

int final_outcome(int fd) {
    pollfd waited{fd, POLLIN, 0};
    (void)sys::poll(std::span(&waited, 1), 10'000);
    return outcome(fd);
}

}  // namespace v4lfence::testing
