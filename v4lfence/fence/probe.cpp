// SPDX-License-Identifier: MIT

#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/providers/eventfd.hpp"
#include "v4lfence/fence/providers/reason.hpp"
#include "v4lfence/fence/providers/sw_sync.hpp"
#include "v4lfence/fence/providers/user.hpp"
#include "v4lfence/fence/providers/vgem.hpp"

namespace v4lfence {

namespace {

/// Mints one fence, sees it pending, ends it, sees it ended. Returns why that does not work; empty
/// when it does.
std::string try_out(FenceProvider& provider) {
    const std::string_view name = provider.traits().name;
    const auto context = provider.open_context();
    if (!context) {
        return cannot("open", name, context.error().code);
    }
    auto minted = (*context)->mint(0);
    if (!minted) {
        return cannot("make a fence with", name, minted.error().code);
    }
    const auto seen = Fence::import(minted->fd.get(), DmaBufAccess::Write);
    if (!seen) {
        return cannot("recognise a fence of", name, seen.error().code);
    }
    if (!seen->pending) {
        return std::string("fences of ").append(name).append(" are never pending");
    }
    std::move(minted->promise).end(0);
    if (seen->pending->status().state != FenceState::Signaled) {
        return std::string("fences of ").append(name).append(" do not end when they are ended");
    }
    return {};
}

ProbedProvider find_provider(std::string_view name) {
    if (name == "user") {
        return {std::make_unique<UserProvider>(), {}};
    }
    if (name == "eventfd") {
        return {std::make_unique<EventFdProvider>(), {}};
    }
    if (name == "vgem") {
        return VgemProvider::find();
    }
    if (name == "sw_sync") {
        return SwSyncProvider::find();
    }
    return {};
}

}  // namespace

Result<ProbedProvider> probe_provider(std::string_view name) {
    ProbedProvider probed = find_provider(name == "auto" ? provider_names[0] : name);
    if (!probed.provider && probed.reason.empty()) {
        return fail(-EINVAL, "no provider of that name");
    }
    if (probed.provider) {
        probed.reason = try_out(*probed.provider);
        if (!probed.reason.empty()) {
            probed.provider.reset();
        }
    }
    return probed;
}

}  // namespace v4lfence
