// SPDX-License-Identifier: MIT
//
// Who makes fences. A provider says what its fences can do and opens contexts; a context mints
// fences for one queue; each fence minted comes in two halves: the descriptor for whoever waits,
// and the FencePromise that ends it.

#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

struct ProviderTraits {
    std::string_view name;
    bool kernel_waitable = false;  ///< Its descriptors are sync_files.
    bool errors = false;           ///< Whoever holds the descriptor can read how it ended.
    bool timeline = false;         ///< One context ends its fences in the order they were minted.
    /// Its fences are to be ended this long after they were minted (SEMANTICS 5.7).
    std::optional<std::chrono::milliseconds> bound;
};

class FenceContext;

/// The maker's half of one fence: ends it exactly once. Dropped pending, it ends the fence with
/// -ECANCELED, so that a path that forgets leaves nobody waiting. Its context must outlive it.
class [[nodiscard]] FencePromise {
public:
    FencePromise() noexcept = default;
    FencePromise(FenceContext& context, UniqueFd end, std::uint64_t id) noexcept
        : context_(&context), end_(std::move(end)), id_(id) {}
    FencePromise(FencePromise&& other) noexcept;
    FencePromise& operator=(FencePromise&& other) noexcept;
    ~FencePromise();

    explicit operator bool() const noexcept { return context_ != nullptr; }

    /// For whoever shows a pending fence: the descriptor by which it is ended, borrowed, -1 where
    /// its context has that; and the provider's number of it.
    int end_fd() const noexcept { return end_.get(); }
    std::uint64_t id() const noexcept { return id_; }

    /// `error` 0 or a negative errno. What this thread did before is visible to who sees the fence
    /// ended.
    void end(int error) && noexcept;

    /// In a forked child: the fence is the parent's to end; our copy of the means to do so goes.
    void abandon() noexcept;

private:
    FenceContext* context_ = nullptr;
    UniqueFd end_;
    std::uint64_t id_ = 0;
};

struct MintedFence {
    UniqueFd fd;  ///< For the program: close-on-exec, the lowest free number.
    FencePromise promise;
};

/// The fences of one queue. Thread: mint() by one thread at a time; promises are ended on any
/// thread meanwhile.
class FenceContext {
public:
    virtual ~FenceContext() = default;

    /// A pending fence. `slot` is the buffer's index: at most one fence of a slot is pending at a
    /// time. Errors: EMFILE, ENFILE, ENOMEM, ENODEV the provider's device is gone.
    virtual Result<MintedFence> mint(unsigned slot) = 0;

    /// No fence is pending: a new stream begins. Timelines start a context of the kernel's for it;
    /// on an unordered queue each fence gets a context of its own.
    virtual Result<> begin_generation(bool ordered) = 0;

    /// Drops what is only kept so that the next fence of `slot` is made faster. None of it is
    /// pending.
    virtual void forget(unsigned /*slot*/) noexcept {}

    /// In a forked child: closes every descriptor that could keep the parent's fences pending.
    virtual void abandon() noexcept = 0;

protected:
    friend class FencePromise;
    virtual void end_fence(UniqueFd end, std::uint64_t id, int error) noexcept = 0;
};

class FenceProvider {
public:
    virtual ~FenceProvider() = default;
    virtual const ProviderTraits& traits() const noexcept = 0;
    /// Errors: what opening the provider's device says; EMFILE.
    virtual Result<std::unique_ptr<FenceContext>> open_context() = 0;
    /// In a forked child, after every context's.
    virtual void abandon() noexcept {}
};

/// What the machine has. `provider` is empty when it is missing, and `reason` says why in words for
/// a person.
struct ProbedProvider {
    std::unique_ptr<FenceProvider> provider;
    std::string reason;
};

/// The providers there are, in the order they are shown: "user", "eventfd", "vgem", "sw_sync".
inline constexpr std::string_view provider_names[] = {"user", "eventfd", "vgem", "sw_sync"};

/// Tries the provider out: a fence is minted, seen pending, ended, seen ended. "auto" is "user".
/// Errors: EINVAL no such name; EMFILE, ENFILE, ENOMEM it could not be tried out.
Result<ProbedProvider> probe_provider(std::string_view name);

}  // namespace v4lfence
