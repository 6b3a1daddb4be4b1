// SPDX-License-Identifier: MIT

#include "v4lfence/fence/providers/eventfd.hpp"

#include <sys/eventfd.h>

#include <span>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/own_fence.hpp"

namespace v4lfence {

namespace {

/// Of a semaphore each read takes one: no reader ever gets it back to zero. Half the counter's
/// range, so that a holder's own write still fits.
constexpr std::uint64_t ended_count = std::uint64_t{1} << 63;

class EventFdContext final : public FenceContext {
public:
    Result<MintedFence> mint(unsigned /*slot*/) override {
        auto fd = V4LFENCE_TRY(sys::eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE));
        V4LFENCE_TRY(mark_own_fence(fd.get()));
        auto end = V4LFENCE_TRY(sys::dup_high(fd.get()));
        return MintedFence{std::move(fd), FencePromise(*this, std::move(end), 0)};
    }

    Result<> begin_generation(bool /*ordered*/) override { return {}; }

    /// Each promise holds its own descriptor.
    void abandon() noexcept override {}

protected:
    void end_fence(UniqueFd end, std::uint64_t /*id*/, int /*error*/) noexcept override {
        // It is refused only where a holder has filled the counter, which ended the fence.
        static_cast<void>(sys::write(end.get(), std::as_bytes(std::span(&ended_count, 1))));
    }
};

constexpr ProviderTraits eventfd_traits{
    .name = "eventfd",
    .kernel_waitable = false,
    .errors = false,
    .timeline = false,
    .bound = std::nullopt,
};

}  // namespace

const ProviderTraits& EventFdProvider::traits() const noexcept {
    return eventfd_traits;
}

Result<std::unique_ptr<FenceContext>> EventFdProvider::open_context() {
    return std::make_unique<EventFdContext>();
}

}  // namespace v4lfence
