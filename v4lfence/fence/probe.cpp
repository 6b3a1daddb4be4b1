// SPDX-License-Identifier: MIT

#include "v4lfence/base/shortage.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/providers/eventfd.hpp"
#include "v4lfence/fence/providers/reason.hpp"
#include "v4lfence/fence/providers/sw_sync.hpp"
#include "v4lfence/fence/providers/user.hpp"
#include "v4lfence/fence/providers/vgem.hpp"

namespace v4lfence {

namespace {

/// Why it failed, unless that says nothing of the machine.
Result<std::string> judge(std::string_view what, std::string_view name, Error error) {
    if (is_shortage(error.code)) {
        return tl::unexpected<Error>(error);
    }
    return cannot(what, name, error.code);
}

/// Mints one fence, sees it pending, ends it, sees it ended. Returns why that does not work; empty
/// when it does.
Result<std::string> try_out(FenceProvider& provider) {
    const std::string_view name = provider.traits().name;
    const auto context = provider.open_context();
    if (!context) {
        return judge("open", name, context.error());
    }
    auto minted = (*context)->mint(0);
    if (!minted) {
        return judge("make a fence with", name, minted.error());
    }
    const auto seen = Fence::import(minted->fd.get(), DmaBufAccess::Write);
    if (!seen) {
        return judge("recognise a fence of", name, seen.error());
    }
    if (!seen->pending) {
        return std::string("fences of ").append(name).append(" are never pending");
    }
    std::move(minted->promise).end(0);
    if (seen->pending->status().state != FenceState::Signaled) {
        return std::string("fences of ").append(name).append(" do not end when they are ended");
    }
    return std::string();
}

Result<ProbedProvider> find_provider(std::string_view name) {
    if (name == "user") {
        return ProbedProvider{std::make_unique<UserProvider>(), {}};
    }
    if (name == "eventfd") {
        return ProbedProvider{std::make_unique<EventFdProvider>(), {}};
    }
    if (name == "vgem") {
        return VgemProvider::find();
    }
    if (name == "sw_sync") {
        return SwSyncProvider::find();
    }
    return fail(-EINVAL, "no provider of that name");
}

}  // namespace

Result<ProbedProvider> probe_provider(std::string_view name) {
    ProbedProvider probed = V4LFENCE_TRY(find_provider(name == "auto" ? provider_names[0] : name));
    if (probed.provider) {
        probed.reason = V4LFENCE_TRY(try_out(*probed.provider));
        if (!probed.reason.empty()) {
            probed.provider.reset();
        }
    }
    return probed;
}

}  // namespace v4lfence
