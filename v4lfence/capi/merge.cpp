// SPDX-License-Identifier: MIT

#include "v4lfence/capi/merge.hpp"

#include <sys/epoll.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "v4lfence/capi/process.hpp"
#include "v4lfence/fence/fence.hpp"

namespace v4lfence::capi {

namespace {

/// Waits for up to two fences and then ends a third; frees itself with that.
class Merge final : private Reactor::Listener {
public:
    Merge(Process& process, Core::LoopUse loop, OwnedPromise& promise,
          std::array<ImportedFence, 2> inputs)
        : process_(process), loop_(std::move(loop)), reactor_(process.context.core().reactor()),
          promise_(promise), inputs_(std::move(inputs)) {}

    /// From here on it owns itself. Errors: ENOMEM, ENOSPC; then its fence has ended with that.
    static Result<> start(std::unique_ptr<Merge> merge) {
        Result<> started;
        Merge* const self = merge.release();
        bool over = false;
        {
            const std::lock_guard lock(self->mutex_);
            for (std::size_t input = 0; input < 2 && started; ++input) {
                started = self->watch(input);
            }
            if (!started) {
                self->failure_ = started.error().code;
            }
            over = !started || (self->inputs_[0].status.ended() && self->inputs_[1].status.ended());
            self->armed_ = !over;  // From here on the reactor finishes it, at any moment.
        }
        if (over) {
            self->finish();
        }
        return started;
    }

private:
    Result<> watch(std::size_t input) {
        if (inputs_[input].pending) {
            watches_[input] = V4LFENCE_TRY(
                reactor_.watch(inputs_[input].pending->fd(), EPOLLIN | EPOLLET, *this, input));
        }
        return {};
    }

    void on_ready(std::uint64_t input, std::uint32_t /*events*/) override {
        {
            const std::lock_guard lock(mutex_);
            const FenceStatus status = inputs_[input].pending->status();
            if (inputs_[input].status.ended() || !status.ended()) {
                return;
            }
            inputs_[input].status = status;
            reactor_.unwatch(watches_[input]);
            if (!armed_ || !inputs_[1 - input].status.ended()) {
                return;
            }
        }
        finish();
    }

    void finish() {
        const std::unique_ptr<Merge> self(this);
        int error = failure_;
        for (std::size_t input = 0; input < 2; ++input) {
            if (watches_[input] != Reactor::WatchId::None) {
                reactor_.unwatch(watches_[input]);
            }
            error = error != 0 ? error : inputs_[input].status.error;
        }
        process_.promises.end(promise_, error);
    }

    Process& process_;
    Core::LoopUse loop_;
    Reactor& reactor_;
    OwnedPromise& promise_;
    std::mutex mutex_;
    std::array<ImportedFence, 2> inputs_;
    std::array<Reactor::WatchId, 2> watches_{};
    bool armed_ = false;
    int failure_ = 0;
};

}  // namespace

Result<UniqueFd> merge_fences(Process& process, std::string_view name, int first, int second) {
    if (auto merged = merge_sync_files(name, first, second);
        merged || merged.error().code != -EINVAL) {
        return merged;
    }
    // One by one: GCC forgets the first when the second leaves from within the braces.
    ImportedFence one = V4LFENCE_TRY(Fence::import(first, DmaBufAccess::Write));
    ImportedFence other = V4LFENCE_TRY(Fence::import(second, DmaBufAccess::Write));
    std::array<ImportedFence, 2> inputs{std::move(one), std::move(other)};
    Core& core = process.context.core();
    Core::LoopUse loop = V4LFENCE_TRY(core.use_loop());
    FenceProvider* provider = V4LFENCE_TRY(core.provider("user"));
    auto context = V4LFENCE_TRY(provider->open_context());
    V4LFENCE_TRY(context->begin_generation(false));
    MintedFence minted = V4LFENCE_TRY(context->mint(0));
    OwnedPromise& promise = process.promises.add(std::move(context), std::move(minted.promise));
    V4LFENCE_TRY(Merge::start(
        std::make_unique<Merge>(process, std::move(loop), promise, std::move(inputs))));
    return std::move(minted.fd);
}

}  // namespace v4lfence::capi
