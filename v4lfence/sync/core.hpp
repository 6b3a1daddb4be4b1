// SPDX-License-Identifier: MIT
//
// Core: what all fenced files of a process share: the reactor, the clock, the providers this
// machine has, the board on which they are to be seen.

#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/base/trace_board.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/reactor.hpp"
#include "v4lfence/sync/sync.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread.
class Core {
public:
    Core() : reactor_(Reactor::create(clock_)) {}
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    Reactor& reactor() noexcept { return *reactor_; }
    const Clock& clock() const noexcept { return clock_; }
    FenceCounters& counters() noexcept { return counters_; }

    /// "auto" is "user". Probed once, or until that was possible. Errors: EINVAL no such name;
    /// ENODEV this machine lacks it, see reason(); EMFILE, ENFILE, ENOMEM it could not be tried.
    Result<FenceProvider*> provider(std::string_view name);
    /// Why the machine lacks a provider, or why it could not be tried now; NULL if it has it. Valid
    /// as long as this. Errors: EINVAL no such name.
    Result<const char*> reason(std::string_view name);

    /// Somebody makes fences or waits for one: while one does, the loop runs, on a thread unless
    /// the caller has one of its own (SEMANTICS 7.3). The last one takes the thread, the board and
    /// the descriptors with it; if it ends on the thread itself, a moment later.
    class [[nodiscard]] LoopUse {
    public:
        LoopUse() noexcept = default;
        LoopUse(LoopUse&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
        LoopUse& operator=(LoopUse&& other) noexcept {
            std::swap(core_, other.core_);
            return *this;
        }
        LoopUse(const LoopUse&) = delete;
        LoopUse& operator=(const LoopUse&) = delete;
        ~LoopUse() {
            if (core_ != nullptr) {
                core_->drop_loop_user();
            }
        }
        explicit operator bool() const noexcept { return core_ != nullptr; }
        /// In a forked child: the loop was the parent's.
        void forget() noexcept { core_ = nullptr; }

    private:
        friend class Core;
        explicit LoopUse(Core& core) noexcept : core_(&core) {}
        Core* core_ = nullptr;
    };
    /// Errors: EMFILE, ENFILE, ENOMEM, EAGAIN.
    Result<LoopUse> use_loop();
    /// For as long as the caller has a LoopUse. NULL where a sandbox or RLIMIT_FSIZE forbids it,
    /// and where none is wanted.
    TraceBoard* board() noexcept { return board_.get(); }
    /// Whether there is to be one; there is, unless this says otherwise. Errors: EBUSY the loop is
    /// in use, and was begun otherwise.
    Result<> use_board(bool on);
    /// The caller runs the loop; its descriptor. Errors: EBUSY the thread runs already.
    Result<int> use_own_loop();

    /// In a forked child, with the reactor prepared for it.
    void abandon() noexcept;

private:
    struct Stop {
        Core& core;
        std::shared_ptr<std::atomic<unsigned>> count;
        static void* run(void* self);
    };
    Result<> open_board();
    void drop_loop_user();
    void stop_unused_loop();
    Result<ProbedProvider*> probed(std::string_view name);

    SystemClock clock_;
    FenceCounters counters_;
    std::mutex mutex_;
    std::array<std::unique_ptr<ProbedProvider>, std::size(provider_names)> providers_;
    std::atomic<unsigned> loop_users_{0};
    /// Stops on threads of their own that are under way; they outlive the count's last change.
    std::shared_ptr<std::atomic<unsigned>> stops_ = std::make_shared<std::atomic<unsigned>>(0);
    std::atomic<bool> loop_ready_{false};
    std::atomic<bool> own_loop_{false};
    bool wants_board_ = true;            ///< With mutex_.
    std::unique_ptr<TraceBoard> board_;  ///< While loop_ready_.
    std::unique_ptr<Reactor> reactor_;   ///< Last: its thread ends before the rest goes.
};

}  // namespace v4lfence
