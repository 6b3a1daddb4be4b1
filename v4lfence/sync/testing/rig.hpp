// SPDX-License-Identifier: MIT
//
// Rig: a Sync between a scripted Taker and scripted FenceWaits, for tests that show one thing each.

#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "v4lfence/fence/testing/fake_provider.hpp"
#include "v4lfence/fence/testing/scripted_clock.hpp"
#include "v4lfence/sync/sync.hpp"

namespace v4lfence::testing {

/// Takes whatever comes, unless a test says otherwise; remembers it.
class ScriptedTaker final : public Taker {
public:
    Answer give(unsigned index) override {
        given.push_back(index);
        return on_give ? on_give(index) : Answer{};
    }
    Answer start(unsigned count) override {
        starts.push_back(count);
        return on_start ? on_start(count) : Answer{};
    }

    std::function<Answer(unsigned index)> on_give;
    std::function<Answer(unsigned count)> on_start;
    std::vector<unsigned> given;
    std::vector<unsigned> starts;
};

class ScriptedWaits final : public FenceWaits {
public:
    explicit ScriptedWaits(unsigned count) : jobs(count), is_watched(count), fences(count) {}

    Result<> watch(Job job, const Fence& fence) override {
        if (const int error = std::exchange(watch_error, 0)) {
            return fail(error, "scripted");
        }
        jobs[job.index] = job;
        is_watched[job.index] = true;
        fences[job.index] = &fence;
        return {};
    }
    void unwatch(unsigned index) override {
        last_unwatched_fd = is_watched[index] ? fences[index]->fd() : last_unwatched_fd;
        is_watched[index] = false;
    }
    void set_deadline(Deadline next) override { deadline = next; }
    void wake() override { ++wakes; }
    void on_given() override { ++givens; }

    std::vector<Job> jobs;  ///< The last that was watched, of each buffer.
    std::vector<bool> is_watched;
    std::vector<const Fence*> fences;  ///< Where watch() was shown them.
    int last_unwatched_fd = -1;
    Deadline deadline;
    int watch_error = 0;  ///< Of the next watch().
    unsigned wakes = 0;
    unsigned givens = 0;
};

/// What a QBUF of a test has with it.
struct With {
    bool in = false;
    int in_error = 0;
    bool out = true;
    std::optional<std::chrono::milliseconds> deadline{};
    std::optional<std::chrono::milliseconds> bound{};
    bool busy = false;
};
inline constexpr With in_fence{.in = true};
inline constexpr With bare{.out = false};

struct Rig {
    static constexpr unsigned buffers = 40;

    explicit Rig(SyncOptions options = {}) {
        sync.set_options(options);
        sync.resize(buffers);
    }

    /// 0 or a negative errno.
    int qbuf(unsigned index, const With& with = {}) {
        Submission submission;
        submission.index = index;
        submission.in_error = with.in_error;
        submission.deadline = with.deadline;
        submission.bound = with.bound;
        if (with.in) {
            submission.in = Fence::adopt(UniqueFd(), FenceKind::Stream);
        }
        if (with.busy) {
            submission.busy = Fence::adopt(UniqueFd(), FenceKind::SyncFile);
        }
        if (with.out) {
            auto minted = context->mint(index);
            fence_fds.push_back(std::move(minted->fd));
            submission.out = std::move(minted->promise);
        }
        return code(sync.queue(std::move(submission)));
    }
    int stream_on() { return code(sync.stream_on()); }

    void end_in_fence(unsigned index, int error = 0) { end_in_fence(waits.jobs[index], error); }
    void end_in_fence(Job job, int error) {
        const auto state = error == 0 ? FenceState::Signaled : FenceState::Failed;
        sync.on_in_fence(job, {state, error, std::nullopt});
    }

    void finish(unsigned index, int error = 0) { sync.finish(sync.view(index).job, error); }

    /// STREAMOFF with a device that stops at once.
    void stop(int error = -ECANCELED) {
        const Sync::Pause pause(sync);
        sync.cancel(error);
    }

    void pass(std::chrono::milliseconds time) {
        clock.advance(time);
        if (waits.deadline && *waits.deadline <= clock.now()) {
            waits.deadline.reset();
            sync.on_deadline(clock.now());
        }
    }

    SlotState state(unsigned index) const { return sync.view(index).state; }

    /// The buffers of the fences that have ended, in that order.
    std::vector<unsigned> ended() const {
        std::vector<unsigned> slots;
        for (const EndedFence& fence : provider.ended()) {
            slots.push_back(fence.slot);
        }
        return slots;
    }
    /// How the last fence of a buffer ended; 1: it has not.
    int error_of(unsigned index) const {
        int error = 1;
        for (const EndedFence& fence : provider.ended()) {
            error = fence.slot == index ? fence.error : error;
        }
        return error;
    }

    static int code(const Result<>& result) { return result ? 0 : result.error().code; }

    ScriptedClock clock;
    FakeProvider provider;
    std::unique_ptr<FenceContext> context = std::move(*provider.open_context());
    std::vector<UniqueFd> fence_fds;  ///< As the program has them.
    FenceCounters counters;
    ScriptedTaker taker;
    ScriptedWaits waits{buffers};
    Sync sync{taker, waits, clock, counters};
};

}  // namespace v4lfence::testing
