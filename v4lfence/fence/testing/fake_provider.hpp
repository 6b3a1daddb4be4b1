// SPDX-License-Identifier: MIT
//
// A provider for tests of the layers above: its fences are pipes, and it remembers all that happens
// to them.

#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "v4lfence/fence/provider.hpp"

namespace v4lfence::testing {

/// Traits of the fake unless a test wants others.
inline constexpr ProviderTraits fake_traits{
    .name = "fake",
    .kernel_waitable = false,
    .errors = true,
    .timeline = false,
    .bound = std::nullopt,
};

struct EndedFence {
    unsigned slot = 0;
    int error = 0;
    std::uint64_t number = 0;  ///< Which mint it came from; the first is 1.

    bool operator==(const EndedFence&) const = default;
};

/// Thread: any, as for every provider.
class FakeProvider final : public FenceProvider {
public:
    explicit FakeProvider(const ProviderTraits& traits = fake_traits) : traits_(traits) {}

    const ProviderTraits& traits() const noexcept override { return traits_; }
    Result<std::unique_ptr<FenceContext>> open_context() override;
    void abandon() noexcept override;

    /// The nth mint from now (1: the next) fails with `error`, a negative errno, once.
    void fail_mint(std::uint64_t nth, int error);
    /// The next begin_generation() fails with `error`.
    void fail_generation(int error);

    /// In the order they ended.
    std::vector<EndedFence> ended() const;
    /// The `ordered` of each begin_generation() that succeeded.
    std::vector<bool> generations() const;
    std::size_t pending() const;
    /// How many mints succeeded.
    std::uint64_t minted() const;
    /// How often a context or the provider was abandoned.
    unsigned abandoned() const;

private:
    class Context;

    Result<std::uint64_t> take_number(unsigned slot);
    void record_end(std::uint64_t number, int error);

    const ProviderTraits traits_;
    mutable std::mutex mutex_;                  ///< For everything below.
    std::map<std::uint64_t, int> mint_errors_;  ///< By how many mints will have been tried.
    int generation_error_ = 0;
    std::uint64_t tried_ = 0;
    std::uint64_t minted_ = 0;
    std::map<std::uint64_t, unsigned> pending_slots_;
    std::vector<EndedFence> ended_;
    std::vector<bool> generations_;
    unsigned abandoned_ = 0;
};

}  // namespace v4lfence::testing
