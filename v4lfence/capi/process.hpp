// SPDX-License-Identifier: MIT
//
// What the C API keeps per process: the one Context, the files by number, the virtual devices here
// and elsewhere, the program's own promises, timelines and mappings.

#pragma once

#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "v4lfence/bridge/context.hpp"
#include "v4lfence/capi/fd_table.hpp"
#include "v4lfence/capi/mappings.hpp"
#include "v4lfence/capi/remote_devices.hpp"
#include "v4lfence/capi/timelines.hpp"
#include "v4lfence/capi/virtual_devices.hpp"
#include "v4lfence/fence/provider.hpp"

namespace v4lfence::capi {

/// A promise of the program's, with the context it was minted from.
struct OwnedPromise {
    std::unique_ptr<FenceContext> context;
    FencePromise promise;
    std::list<OwnedPromise>::iterator self;
};

/// Thread: every member may be called from any thread.
class Promises final : public Context::ForkMember {
public:
    OwnedPromise& add(std::unique_ptr<FenceContext> context, FencePromise promise);
    /// Ends and frees it.
    void end(OwnedPromise& promise, int error);

    void lock_for_fork() override { mutex_.lock(); }
    void unlock_after_fork() override { mutex_.unlock(); }
    void abandon() noexcept override;

private:
    std::mutex mutex_;
    std::list<OwnedPromise> promises_;
};

struct Process {
    Context context;
    FdTable files;
    Promises promises;
    Timelines timelines;
    Mappings mappings;
    VirtualDevices devices{context};
    RemoteDevices remote;

    // What a preloaded program was started with; set before any file is there.
    FileDefaults defaults;
    std::string provider;        ///< What `defaults` point to.
    std::vector<dev_t> wrapped;  ///< The nodes that are bridged when they are found.
};

/// Made at the first call and never destroyed: threads may still be inside when the program ends.
Process& process();

/// -1 and errno, as a system call says it.
int failed(const Error& error);

}  // namespace v4lfence::capi
