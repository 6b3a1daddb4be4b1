// SPDX-License-Identifier: MIT
//
// VirtualDevices: the devices that live in this process, by the names under which a program opens
// them: "virtual:camera", "virtual:camera-mplane". "virtual:camera@NAME" is one more of its kind.

#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "v4lfence/bridge/context.hpp"
#include "v4lfence/v4l2/virtual_file.hpp"

namespace v4lfence::capi {

/// Thread: every member may be called from any thread.
class VirtualDevices final : public Context::ForkMember {
public:
    explicit VirtualDevices(Context& context) noexcept : context_(context) {}

    static bool is_virtual(std::string_view path);

    /// The device is made when it is first opened, and stays. `flags` as open(2): O_NONBLOCK,
    /// O_CLOEXEC. Errors: ENOENT no such kind; EMFILE, ENFILE, ENOMEM.
    Result<VirtualFile::Opened> open(std::string_view path, int flags);

    /// Open files that use fences.
    unsigned fenced_files() const;

    /// In a child the devices are the parent's: their files are dead, and the names stand for new
    /// ones.
    void lock_for_fork() override;
    void unlock_after_fork() override;
    void abandon() noexcept override;

private:
    Result<std::shared_ptr<VideoDevice>> device(const std::string& name);

    /// All that live.
    std::vector<std::shared_ptr<VideoDevice>> all() const;

    Context& context_;
    mutable std::mutex mutex_;  ///< Guards what follows.
    /// The last is this process'. Those before it are parents', as their threads left them.
    std::list<MemoryMakers> makers_{1};
    unsigned next_number_ = 0;
    std::map<std::string, std::shared_ptr<VideoDevice>, std::less<>> devices_;
    /// Unplugged, and another has the name; files may be open on them.
    std::vector<std::weak_ptr<VideoDevice>> gone_;
    /// Until the next open(): no device may end while a fork is under way, nor with mutex_ held.
    std::vector<std::shared_ptr<VideoDevice>> held_;
    std::vector<VideoDevice*> locked_;                     ///< Of held_, while a fork is under way.
    std::vector<std::shared_ptr<VideoDevice>> abandoned_;  ///< Never ended: they are the parent's.
};

}  // namespace v4lfence::capi
