// SPDX-License-Identifier: MIT
//
// ReactorWaits: the waiting half of a queue, done by the reactor: a watch for each in-fence and a
// timer for the earliest deadline. Who derives from it says what a waking and a giving mean.

#pragma once

#include <atomic>

#include "v4lfence/base/index_table.hpp"
#include "v4lfence/fence/reactor.hpp"
#include "v4lfence/sync/sync.hpp"
#include "v4lfence/sync/taker.hpp"

namespace v4lfence {

/// Thread: as FenceWaits.
class ReactorWaits : public FenceWaits, private Reactor::Listener, private Reactor::TimerListener {
public:
    /// Both are borrowed and must outlive it; `sync` may still be under construction.
    ReactorWaits(Reactor& reactor, Sync& sync) noexcept : reactor_(reactor), sync_(sync) {}
    ReactorWaits(const ReactorWaits&) = delete;
    ReactorWaits& operator=(const ReactorWaits&) = delete;

    /// Errors: ENOMEM.
    Result<> open();

    /// There are `count` buffers; none is watched.
    void resize(unsigned count);

    Result<> watch(Job job, const Fence& fence) final;
    void unwatch(unsigned index) final;
    void set_deadline(Deadline deadline) final;

protected:
    ~ReactorWaits();

private:
    void on_ready(std::uint64_t cookie, std::uint32_t events) final;
    void on_deadline(MonotonicTime now) final;

    struct Watched {
        std::atomic<Reactor::WatchId> id{Reactor::WatchId::None};
        const Fence* fence = nullptr;
    };

    Reactor& reactor_;
    Sync& sync_;
    IndexTable<Watched> watched_;
    unsigned count_ = 0;
    Reactor::TimerId timer_ = Reactor::TimerId::None;
};

}  // namespace v4lfence
