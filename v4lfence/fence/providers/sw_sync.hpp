// SPDX-License-Identifier: MIT
//
// Kernel fences of the test driver "sw_sync" in debugfs: root only, never by default. An ordered
// queue has one timeline per generation, and an error there ends like success; on an unordered
// queue each fence has a timeline of its own, and an error ends it by closing that, which the
// kernel reports as -ENOENT.

#pragma once

#include <cstdint>

#include "v4lfence/fence/provider.hpp"

namespace v4lfence {

/// What the kernel's driver does, so that tests can stand in for it.
class SwSyncDevice {
public:
    virtual ~SwSyncDevice() = default;
    /// A new timeline at 0; its fences end when it closes.
    virtual Result<UniqueFd> open_timeline() = 0;
    /// A sync_file that ends when the timeline reaches `point`.
    virtual Result<UniqueFd> create_fence(int timeline, std::uint32_t point) = 0;
    virtual Result<> increment(int timeline, std::uint32_t by) = 0;
};

class SwSyncProvider final : public FenceProvider {
public:
    explicit SwSyncProvider(std::unique_ptr<SwSyncDevice> device);

    /// Does not try a fence out. Errors: EMFILE, ENFILE, ENOMEM.
    static Result<ProbedProvider> find();

    const ProviderTraits& traits() const noexcept override;
    Result<std::unique_ptr<FenceContext>> open_context() override;

private:
    std::unique_ptr<SwSyncDevice> device_;
};

}  // namespace v4lfence
