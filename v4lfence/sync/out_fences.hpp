// SPDX-License-Identifier: MIT
//
// OutFences: who makes the out-fences of one queue now. The chosen provider does, until a bound has
// expired in this generation: then the user provider, whose fences may stay pending
// (SEMANTICS 5.7).

#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "v4lfence/fence/provider.hpp"
#include "v4lfence/sync/core.hpp"
#include "v4lfence/sync/fence_labels.hpp"
#include "v4lfence/sync/sync.hpp"

namespace v4lfence {

/// FileOptions::implicit
inline constexpr unsigned implicit_in = 1U << 0;
inline constexpr unsigned implicit_out = 1U << 1;
/// Whose fences can be put into dma-bufs.
inline constexpr const char* implicit_provider = "vgem";

/// What the program chose for all queues of one file. Thread: any.
struct FileOptions {
    std::atomic<const char*> provider{"user"};
    std::atomic<unsigned> deadline_ms{0};  ///< 0: none.
    std::atomic<unsigned> implicit{0};     ///< Flags, as above.
    FenceLabels labels;

    // Whose file it is, for the board.
    std::atomic<int> fd{-1};         ///< One of the program's numbers of it; -1: not known here.
    std::atomic<int> client_pid{0};  ///< The process that it is served to; 0: this one has it.

    std::optional<std::chrono::milliseconds> deadline() const {
        const unsigned ms = deadline_ms.load();
        return ms > 0 ? std::optional(std::chrono::milliseconds(ms)) : std::nullopt;
    }

    /// Who makes the out-fences, with these flags of `implicit`.
    const char* maker(unsigned flags) const {
        return (flags & implicit_out) != 0 ? implicit_provider : provider.load();
    }
    const char* maker() const { return maker(implicit.load()); }
};

struct OutFence {
    UniqueFd fd;  ///< For the program; empty when none was asked for.
    FencePromise promise;
    std::optional<std::chrono::milliseconds> bound;
    std::string_view provider;     ///< That made it; a literal.
    bool kernel_waitable = false;  ///< `fd` is a sync_file.
};

/// Thread: mint() is the caller's to serialize.
class OutFences {
public:
    explicit OutFences(Core& core) : core_(core) {}

    /// A fence for the buffer `index`. Errors: EMFILE, ENFILE, ENOMEM; ENODEV the provider's device
    /// is gone.
    Result<OutFence> mint(std::string_view provider, unsigned index, const QueueView& queue);

    /// The QBUF that the latest mint() was for has failed, and its promise is gone: nothing is kept
    /// for it.
    void forget(unsigned index);
    /// It has succeeded.
    void keep() noexcept;

    /// What mint() would use. Errors: ENODEV.
    Result<const ProviderTraits*> traits(std::string_view provider, const QueueView& queue);

    /// Gives back what minting keeps open. No promise of it is pending.
    void close() noexcept { entries_ = {}; }

    /// In a forked child.
    void abandon() noexcept;

private:
    struct Entry {
        std::unique_ptr<FenceContext> context;
        std::uint64_t generation = 0;
        bool used = false;  ///< A fence of it was queued.
    };
    static std::string_view effective(std::string_view provider, const QueueView& queue) {
        return queue.degraded ? provider_names[0] : provider;
    }

    Core& core_;
    std::array<Entry, std::size(provider_names)> entries_;
    Entry* latest_ = nullptr;
};

}  // namespace v4lfence
