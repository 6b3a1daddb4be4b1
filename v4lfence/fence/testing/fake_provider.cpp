// SPDX-License-Identifier: MIT

#include "v4lfence/fence/testing/fake_provider.hpp"

#include <fcntl.h>

#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/end_mark.hpp"

namespace v4lfence::testing {

class FakeProvider::Context final : public FenceContext {
public:
    explicit Context(FakeProvider& provider) : provider_(provider) {}

    Result<MintedFence> mint(unsigned slot) override {
        const std::uint64_t number = V4LFENCE_TRY(provider_.take_number(slot));
        auto pipe = V4LFENCE_TRY(sys::pipe(O_NONBLOCK));
        return MintedFence{std::move(pipe.read_end),
                           FencePromise(*this, sys::move_high(std::move(pipe.write_end)), number)};
    }

    Result<> begin_generation(bool ordered) override {
        const std::lock_guard lock(provider_.mutex_);
        if (const int error = std::exchange(provider_.generation_error_, 0)) {
            return fail(error, "scripted");
        }
        provider_.generations_.push_back(ordered);
        return {};
    }

    void abandon() noexcept override { provider_.abandon(); }

protected:
    void end_fence(UniqueFd end, std::uint64_t id, int error) noexcept override {
        provider_.record_end(id, error);
        end_pipe(end.get(), error);
    }

private:
    FakeProvider& provider_;
};

Result<std::unique_ptr<FenceContext>> FakeProvider::open_context() {
    return std::make_unique<Context>(*this);
}

void FakeProvider::abandon() noexcept {
    const std::lock_guard lock(mutex_);
    ++abandoned_;
}

void FakeProvider::fail_mint(std::uint64_t nth, int error) {
    const std::lock_guard lock(mutex_);
    mint_errors_[tried_ + nth] = error;
}

void FakeProvider::fail_generation(int error) {
    const std::lock_guard lock(mutex_);
    generation_error_ = error;
}

std::vector<EndedFence> FakeProvider::ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
}

std::vector<bool> FakeProvider::generations() const {
    const std::lock_guard lock(mutex_);
    return generations_;
}

std::size_t FakeProvider::pending() const {
    const std::lock_guard lock(mutex_);
    return pending_slots_.size();
}

std::uint64_t FakeProvider::minted() const {
    const std::lock_guard lock(mutex_);
    return minted_;
}

unsigned FakeProvider::abandoned() const {
    const std::lock_guard lock(mutex_);
    return abandoned_;
}

Result<std::uint64_t> FakeProvider::take_number(unsigned slot) {
    const std::lock_guard lock(mutex_);
    const auto scripted = mint_errors_.find(++tried_);
    if (scripted != mint_errors_.end()) {
        return fail(scripted->second, "scripted");
    }
    pending_slots_[++minted_] = slot;
    return minted_;
}

void FakeProvider::record_end(std::uint64_t number, int error) {
    const std::lock_guard lock(mutex_);
    const auto fence = pending_slots_.find(number);
    ended_.push_back({fence->second, error, number});
    pending_slots_.erase(fence);
}

}  // namespace v4lfence::testing
