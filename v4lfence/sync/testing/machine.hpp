// SPDX-License-Identifier: MIT
//
// Machine: a device and a source of in-fences that threads of a test drive, without a descriptor
// and without the heap.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

#include "v4lfence/fence/testing/scripted_clock.hpp"
#include "v4lfence/sync/sync.hpp"

namespace v4lfence::testing {

inline constexpr unsigned buffers = 4;

/// The first who comes by while the door is shut says so and waits there.
struct Door {
    std::atomic<bool> is_shut{false};
    std::atomic<bool> is_reached{false};
};
inline void stop_here(Door& door) {
    if (door.is_shut.load() && !door.is_reached.exchange(true)) {
        door.is_reached.notify_all();
        door.is_shut.wait(true);
    }
}

/// Counts; nobody may end a fence or give a buffer while it is closed.
class CountingFences final : public FenceContext {
public:
    Result<MintedFence> mint(unsigned slot) override {
        ++minted;
        return MintedFence{UniqueFd(), FencePromise(*this, UniqueFd(), slot)};
    }
    Result<> begin_generation(bool /*ordered*/) override { return {}; }
    void abandon() noexcept override {}

    std::uint64_t minted = 0;
    std::atomic<std::uint64_t> ended{0};
    std::atomic<std::uint64_t> late{0};
    std::atomic<bool> closed{false};
    Door blocks_end;

private:
    void end_fence(UniqueFd /*end*/, std::uint64_t /*id*/, int /*error*/) noexcept override {
        stop_here(blocks_end);
        late.fetch_add(closed.load() ? 1 : 0);
        ended.fetch_add(1);
    }
};

/// A device and a source of in-fences, each with a list that its own thread works off.
class Machine final : public Taker, public FenceWaits {
public:
    Answer give(unsigned index) override {
        late.fetch_add(closed.load() ? 1 : 0);
        {
            const std::lock_guard lock(mutex_);
            device_.push(index);
        }
        given.fetch_add(1);
        return {};
    }
    Answer start(unsigned /*count*/) override { return {}; }

    Result<> watch(Job job, const Fence& /*fence*/) override {
        const std::lock_guard lock(mutex_);
        pending_[job.index] = job;
        return {};
    }
    /// As promised: waits for a report on another thread.
    void unwatch(unsigned index) override {
        if (std::this_thread::get_id() == reporter_.load()) {
            const std::lock_guard lock(mutex_);
            pending_[index] = Job{};
            return;
        }
        const std::lock_guard report(report_mutex_);
        const std::lock_guard lock(mutex_);
        pending_[index] = Job{};
    }
    void set_deadline(Deadline /*deadline*/) override {}
    void wake() override {
        stop_here(blocks_wake);
        late.fetch_add(closed.load() ? 1 : 0);
    }
    void on_given() override {
        stop_here(blocks_given);
        late.fetch_add(closed.load() ? 1 : 0);
    }

    /// Ends an in-fence, if one is pending.
    void end_one(Sync& sync, unsigned index, int error) {
        const std::lock_guard report(report_mutex_);
        reporter_.store(std::this_thread::get_id());
        Job job;
        {
            const std::lock_guard lock(mutex_);
            job = pending_[index];
        }
        if (job.position != 0) {
            const auto state = error == 0 ? FenceState::Signaled : FenceState::Failed;
            sync.on_in_fence(job, {state, error, std::nullopt});
        }
        reporter_.store(std::thread::id());
    }

    /// Finishes the oldest buffer of the device. Returns its index, or -1.
    int finish_one(Sync& sync) {
        unsigned index = 0;
        {
            const std::lock_guard lock(mutex_);
            if (device_.is_empty()) {
                return -1;
            }
            index = device_.pop();
        }
        sync.finish(sync.view(index).job, 0);
        return static_cast<int>(index);
    }

    void stop_device() {
        const std::lock_guard lock(mutex_);
        device_ = {};
    }

    Door blocks_wake;
    Door blocks_given;

    std::atomic<std::uint64_t> given{0};
    std::atomic<std::uint64_t> late{0};
    std::atomic<bool> closed{false};

private:
    struct Ring {
        bool is_empty() const { return head == tail; }
        void push(unsigned index) { slots[tail++ % slots.size()] = index; }
        unsigned pop() { return slots[head++ % slots.size()]; }
        std::array<unsigned, 16> slots{};
        std::size_t head = 0;
        std::size_t tail = 0;
    };

    std::mutex report_mutex_;  ///< One report at a time.
    std::atomic<std::thread::id> reporter_{};
    std::mutex mutex_;  ///< For what follows.
    Ring device_;
    std::array<Job, buffers> pending_{};
};

struct Setting {
    explicit Setting(SyncOptions options = {}) {
        sync.set_options(options);
        sync.resize(buffers);
    }

    bool qbuf(unsigned index, bool in) {
        Submission submission;
        submission.index = index;
        if (in) {
            submission.in = Fence::adopt(UniqueFd(), FenceKind::Stream);
        }
        submission.out = std::move(fences.mint(index)->promise);
        return sync.queue(std::move(submission)).has_value();
    }

    ScriptedClock clock;
    FenceCounters counters;
    CountingFences fences;
    Machine machine;
    Sync sync{machine, machine, clock, counters};
};

}  // namespace v4lfence::testing
