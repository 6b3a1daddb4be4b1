// SPDX-License-Identifier: MIT
//
// Context: the files of a process that may be fenced, and the Core that the fenced ones share. Made
// by whoever wires the program: the C API or the shim.

#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "v4lfence/bridge/file.hpp"
#include "v4lfence/sync/core.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread.
class Context {
public:
    /// Made when first asked for.
    Core& core();
    /// NULL before the first fence.
    Core* existing_core() const noexcept { return core_.load(std::memory_order_acquire); }

    /// As Core::use_board(), of this one and of those that forked children make.
    Result<> use_board(bool on);

    void add(BridgeFile& file);
    void remove(BridgeFile& file);
    void count_fenced() noexcept { fenced_files_.fetch_add(1); }
    unsigned fenced_files() const noexcept { return fenced_files_.load(); }

    /// Another handle of the node streams with fences: shows what it knows of the buffer.
    SlotView slot_of_owner(const BridgeFile& asking, std::uint32_t type, unsigned index);
    void overlay_from_owner(const BridgeFile& asking, v4l2_buffer& buffer, const SlotView& slot);
    /// Another handle of the node, in this process, owns the queue.
    bool is_owned_by_other(const BridgeFile& asking, std::uint32_t type);

    /// What else a fork concerns: the program's own promises, virtual devices.
    class ForkMember {
    public:
        virtual void lock_for_fork() = 0;
        virtual void unlock_after_fork() = 0;
        virtual void abandon() noexcept = 0;

    protected:
        ~ForkMember() = default;
    };
    /// Before the first fork.
    void add_fork_member(ForkMember& member) { fork_members_.push_back(&member); }

    /// pthread_atfork's three. In the child every fenced file is dead and the Core is left behind
    /// as it is; a file opened there begins anew.
    void before_fork();
    void after_fork_in_parent();
    void after_fork_in_child();

private:
    BridgeFile* find_owner(const BridgeFile& asking, std::uint32_t type) const;

    std::mutex mutex_;  ///< Guards files_, wants_board_ and the making of core_.
    bool wants_board_ = true;
    std::vector<BridgeFile*> files_;
    std::atomic<Core*> core_{nullptr};
    std::atomic<unsigned> fenced_files_{0};
    std::vector<ForkMember*> fork_members_;
    Core* prepared_ = nullptr;  ///< While a fork is under way.
};

}  // namespace v4lfence
