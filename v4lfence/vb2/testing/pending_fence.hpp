// SPDX-License-Identifier: MIT
//
// For tests: a fence of the kernel's that a dma-buf waits for.

#pragma once

#include <linux/dma-buf.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence::testing {

/// By vgem, which ends it after 10 s if nobody does.
class PendingFence {
public:
    /// NULL where the machine has none; `reason` says why.
    static std::unique_ptr<PendingFence> on(int dma_buf, std::string& reason) {
        auto probed = probe_provider("vgem");
        if (!probed || !probed->provider) {
            reason = probed ? probed->reason : "no provider vgem";
            return nullptr;
        }
        std::unique_ptr<PendingFence> fence(new PendingFence(std::move(probed->provider)));
        dma_buf_import_sync_file request{DMA_BUF_SYNC_WRITE, fence->minted_->fd.get()};
        if (!sys::ioctl(dma_buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &request)) {
            reason = "a dma-buf takes no fence";
            return nullptr;
        }
        return fence;
    }

    bool pending() const {
        const auto status = query_sync_state(minted_->fd.get());
        return status && !status->ended();
    }
    void end() { std::move(minted_->promise).end(0); }

private:
    explicit PendingFence(std::unique_ptr<FenceProvider> provider)
        : provider_(std::move(provider)), context_(std::move(*provider_->open_context())),
          minted_(std::move(*context_->mint(0))) {}

    std::unique_ptr<FenceProvider> provider_;
    std::unique_ptr<FenceContext> context_;
    std::optional<MintedFence> minted_;
};

}  // namespace v4lfence::testing
